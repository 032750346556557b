"""Queries and pictures as the API takes them in JSON."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from clipsearch.errors import InvalidInput
from clipsearch.queries import Filters, Labels, Query, Term

Picture = bytes | Path


def bytes_of(picture: bytes | PurePath) -> bytes:
    """The bytes of a picture that is given as such or as a file here. Raises InvalidInput."""
    if isinstance(picture, bytes):
        return picture
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        raise InvalidInput(f"the file {picture} cannot be read: {error.strerror or error}") from error


def base64_of(data: bytes) -> str:
    """As JSON holds bytes."""
    return base64.b64encode(data).decode("ascii")


def body_of_query(query: Query, image_urls: Sequence[str] = ()) -> dict[str, Any]:
    """The body of a search; what has its usual value is left out, so that an older server takes it too."""
    plain = query.model_dump(mode="json", exclude={"terms", "filters"}, exclude_defaults=True)
    plain["relevance"] = query.relevance  # which a server tells unless it is told not to
    terms = [_term(term) for term in query.terms] + [{"image_url": url} for url in image_urls]
    return {"terms": terms, "filters": body_of_filters(query.filters), **plain}


def body_of_filters(filters: Filters) -> dict[str, Any]:
    """Filters as a body holds them."""
    return filters.model_dump(mode="json", exclude_none=True)


def body_of_labels(labels: Labels) -> dict[str, Any]:
    """What to choose from, as a body holds it."""
    return labels.model_dump(mode="json", exclude_defaults=True)


def _term(term: Term) -> dict[str, Any]:
    weight = {"weight": term.weight}
    if term.image is not None:
        return {"image": base64_of(bytes_of(term.image))} | weight
    if term.vector is not None:
        numbers = array("f", term.vector)
        if sys.byteorder == "big":
            numbers.byteswap()
        return {"vector": base64_of(numbers.tobytes())} | weight
    return ({"text": term.text} if term.text is not None else {"image_id": term.image_id}) | weight
