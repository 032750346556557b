"""How large an image may be that comes with a request."""

from __future__ import annotations

from collections.abc import Iterable

from clipsearch.errors import TooLarge
from clipsearch.web.context import context


def check_size(images: Iterable[bytes]) -> None:
    """Raises TooLarge where one of these images has more bytes than the settings allow."""
    limit = context().settings.max_upload_bytes
    if any(len(one) > limit for one in images):
        raise TooLarge(f"an image may have {limit:,} bytes at most", limit=limit)
