"""Tells what each term of a query contributed to the score of an image; knows how a score falls apart into terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipsearch.answers import TermShare
from clipsearch.queries import Query
from clipsearch.searching.directions import Direction
from clipsearch.searching.duplicates import Found
from clipsearch.vector_index import VectorIndex


def explain(index: VectorIndex, query: Query, direction: Direction, found: Sequence[Found]) -> None:
    """Note of each of these images what the terms contributed to its score.

    A query is the sum of its terms' unit vectors by their weights, brought to unit length, and so an image's score is
    the sum of its scores with each term, by the weights over the length that the sum had. The contributions add up to
    the score, but for rounding.
    """
    if not found:
        return
    rows = index.vectors(np.array([one.image.id for one in found], dtype=np.int64)).astype(np.float64)
    scores = rows @ np.stack(direction.parts).astype(np.float64).T
    contributions = scores * np.asarray(direction.shares, dtype=np.float64)
    for one, own, shares in zip(found, np.clip(scores, -1.0, 1.0).tolist(), contributions.tolist(), strict=True):
        one.terms = [
            TermShare(place=place, kind=term.kind, weight=term.weight, score=score, contribution=share)
            for place, (term, score, share) in enumerate(zip(query.terms, own, shares, strict=True))
        ]
