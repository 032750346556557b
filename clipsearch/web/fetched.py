"""Images that a request names by address: their bytes, or the error of the first that did not come."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.errors import ClipSearchError
from clipsearch.fetching import Fetched, fetch_images
from clipsearch.web.context import context


def fetched(urls: Sequence[str]) -> list[bytes]:
    """The bytes of the images at these addresses, in their order.

    Raises NotAllowed where the server may not fetch, or not from there, TooLarge and FetchFailed, which name the
    place of the address; Busy.
    """
    found = []
    for place, one in enumerate(fetched_or_not(urls)):
        if isinstance(one, ClipSearchError):
            one.message = f"the image at the address {place}: {one.message}"
            one.args = (one.message,)
            one.details["position"] = place
            raise one
        found.append(one.data)
    return found


def fetched_or_not(urls: Sequence[str]) -> list[Fetched | ClipSearchError]:
    """What came from each address, or the error that says why nothing did; fetched while holding a slot.

    Raises NotAllowed where the server may not fetch, Busy.
    """
    if not urls:
        return []
    held = context()
    with held.fetch_slots.taken():
        return fetch_images(held.settings, urls)
