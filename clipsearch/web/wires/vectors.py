"""Embeddings for the wires: made while holding a work slot, and given as the numbers that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Encodings, count_tokens, encode_pictures, encode_texts
from clipsearch.errors import TooLarge
from clipsearch.web.context import context


def texts_encoded(texts: Sequence[str], *, collection: str | None = None, model: str | None = None) -> Encodings:
    """As ``encode_texts``; raises Busy as well."""
    held = context()
    with held.search_slots.taken():
        return encode_texts(held.library, texts, collection=collection, model=model)


def pictures_encoded(
    pictures: Sequence[bytes], *, collection: str | None = None, model: str | None = None
) -> Encodings:
    """As ``encode_pictures``; raises Busy and TooLarge as well."""
    held = context()
    limit = held.settings.max_upload_bytes
    if any(len(one) > limit for one in pictures):
        raise TooLarge(f"an image may have {limit:,} bytes at most", limit=limit)
    with held.slots.taken():
        return encode_pictures(held.library, pictures, collection=collection, model=model)


def tokens_of(texts: Sequence[str], *, model: str | None = None) -> int:
    """How many tokens the model reads of these texts together."""
    return count_tokens(context().library, texts, model=model)


def numbers(row: NDArray[np.float32]) -> list[float]:
    """A row as the shortest numbers that float32 reads back unchanged: a third of what float64 would write."""
    return [float(text) for text in row.astype("U")]


def rows(vectors: NDArray[np.float32]) -> list[list[float]]:
    """The same of each row."""
    return [numbers(row) for row in vectors]
