"""Embeddings for the wires: made while holding a work slot, and given as the numbers that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import ChosenModel, Encodings, count_tokens, encode_pictures, encode_texts
from clipsearch.errors import TooLarge
from clipsearch.web.context import context
from clipsearch.web.upload_limit import check_size

# In all texts of a request: a tokenizer reads each to its end, however little of it the model takes.
MAX_CHARACTERS = 1_000_000


def texts_encoded(texts: Sequence[str], model: ChosenModel, *, called: str = "texts[{}]") -> Encodings:
    """As ``encode_texts``; raises Busy and TooLarge as well."""
    _check_length(texts)
    held = context()
    with held.search_slots.taken():
        return encode_texts(held.library, texts, model=model, called=called)


def texts_counted(texts: Sequence[str], model: ChosenModel, *, called: str = "texts[{}]") -> tuple[Encodings, int]:
    """The same, and how many tokens the model reads of these texts together."""
    _check_length(texts)
    held = context()
    with held.search_slots.taken():
        found = encode_texts(held.library, texts, model=model, called=called)
        return found, count_tokens(held.library, texts, model=model)


def pictures_encoded(pictures: Sequence[bytes], model: ChosenModel, *, called: str = "images[{}]") -> Encodings:
    """As ``encode_pictures``; raises Busy and TooLarge as well."""
    held = context()
    check_size(pictures)
    with held.slots.taken():
        return encode_pictures(held.library, pictures, model=model, called=called)


def numbers(row: NDArray[np.float32]) -> list[float]:
    """A row as the shortest numbers that float32 reads back unchanged: a third of what float64 would write."""
    return [float(text) for text in row.astype("U")]


def rows(vectors: NDArray[np.float32]) -> list[list[float]]:
    """The same of each row."""
    return [numbers(row) for row in vectors]


def _check_length(texts: Sequence[str]) -> None:
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise TooLarge(f"all texts of a request may have {MAX_CHARACTERS:,} characters at most", limit=MAX_CHARACTERS)
