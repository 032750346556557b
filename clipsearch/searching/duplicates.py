"""Ranked images to hits; knows when one image repeats another, and when no later image could change the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from clipsearch.answers import Hit, TermShare
from clipsearch.database.images import ImageRow
from clipsearch.queries import Query
from clipsearch.vector_index import VectorIndex

# Two pictures are near-duplicates when their embeddings and their pixels both say so: either alone also
# fires on bursts, dark frames and series (measured by others: issue threads of photo managers).
DUPLICATE_SCORE = 0.95
DUPLICATE_BITS = 6


@dataclass
class Found:
    """An image on its way to a hit."""

    image: ImageRow
    score: float
    relevance: float | None = None
    duplicates: list[int] = field(default_factory=list)
    rank: int = 0
    terms: list[TermShare] | None = None
    group: str | None = None

    def hit(self) -> Hit:
        """What a person gets."""
        return Hit(
            rank=self.rank,
            score=self.score,
            relevance=self.relevance,
            image=self.image.info(),
            duplicates=self.duplicates,
            terms=self.terms,
            group=self.group,
        )


def leaders(index: VectorIndex, ranked: Sequence[Found], query: Query, wanted: int) -> tuple[list[Found], bool]:
    """Up to ``wanted`` hits among these images, best first, and whether no later image could change them."""
    found: list[Found] = []
    for one in ranked:
        if query.min_score is not None and one.score < query.min_score:
            return found, True
        image = one.image
        leader = _leader(index, found, image) if query.collapse_duplicates else None
        if leader is not None:
            leader.duplicates.append(image.id)
        elif len(found) == wanted:
            return found, True
        else:
            found.append(one)
    return found, False


def _leader(index: VectorIndex, found: Sequence[Found], image: ImageRow) -> Found | None:
    """The hit that this image repeats. Compared with leaders only, so that chains do not join unlike images."""
    for one in found:
        if image.content_hash is not None and one.image.content_hash == image.content_hash:
            return one
    near = [one for one in found if _looks_alike(one.image, image)]
    if not near:
        return None
    vectors = index.vectors(np.array([image.id, *(one.image.id for one in near)], dtype=np.int64))
    scores = vectors[1:] @ vectors[0]
    return near[int(scores.argmax())] if scores.max() >= DUPLICATE_SCORE else None


def _looks_alike(one: ImageRow, other: ImageRow) -> bool:
    if one.pixel_hash is None or other.pixel_hash is None:
        return False
    from clipsearch.images import pixel_hash_distance

    return pixel_hash_distance(one.pixel_hash, other.pixel_hash) <= DUPLICATE_BITS
