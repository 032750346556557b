"""What a query's scores are worth on its collection; knows which searches want that told, and from where on to cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Cut
from clipsearch.database.collections import CollectionRow
from clipsearch.errors import ClipSearchError
from clipsearch.indexes import IndexView
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching.directions import Direction, given_vector

if TYPE_CHECKING:
    from clipsearch.backgrounds import Background, Kind
    from clipsearch.relevance import Scale, Yardstick


@dataclass
class Measure:
    """How the scores of one search are judged: ``own`` are its scores over the sample, ``least`` the cut."""

    yardstick: Yardstick
    own: NDArray[np.float32]
    least: float | None
    best: float = -np.inf

    def relevance(self, scores: Sequence[float]) -> list[float]:
        """Of scores in falling order that begin with the best of all."""
        self.best = max(self.best, scores[0] if scores else -np.inf)
        return [float(one) for one in self._scale().relevance(np.asarray(scores, dtype=np.float64))]

    def cut(self, left_out: bool) -> Cut | None:
        """What the answer says of it."""
        if self.least is None:
            return None
        return Cut(min_relevance=self.least, min_score=self._scale().least_score(self.least), left_out=left_out)

    def least_score(self, relevance: float) -> float | None:
        """The score from which on an image has this relevance; None where none can have it."""
        return self._scale().least_score(relevance)

    def _scale(self) -> Scale:
        return self.yardstick.scale(self.own, max(self.best, float(self.own.max()) if self.own.size else -np.inf))


def measures(
    library: Library, row: CollectionRow, view: IndexView, queries: Sequence[Query], found: Sequence[Direction]
) -> list[Measure | None]:
    """The measure of each query that wants one; None for the others, and where there is nothing to measure by.

    Where relevance is only to be told, it is left untold when the background texts cannot be encoded, or when a model
    would have to be loaded for a query of vectors.
    Scores of a mix with a negative weight compare with none.
    Raises ModelUnavailable where a cut was asked for.
    """
    if not any(query.cuts or query.relevance for query in queries):
        return [None] * len(queries)
    # Imported here, as most commands do without.
    from clipsearch.backgrounds import Background
    from clipsearch.relevance import AUTO_CUT

    background = Background(library, row, view, lambda: library.text_encoder_for(row)[0])
    told: list[Measure | None] = []
    for query, direction in zip(queries, found, strict=True):
        told.append(None)
        if direction.meaningless is not None or takes_away(query) or not (query.cuts or query.relevance):
            continue
        if not query.cuts and not background.texts_at_hand and any(term.vector is not None for term in query.terms):
            continue  # a search by a vector needs no model, and is not to wait for one
        try:
            yardstick = background.yardstick(tuple((_kind(term, background), term.weight) for term in query.terms))
        except ClipSearchError:
            if query.cuts:
                raise
            continue
        if yardstick is not None:
            least = max(query.min_relevance or 0.0, AUTO_CUT if query.auto_cut else 0.0) if query.cuts else None
            own = background.sample.scores(direction.vector, direction.excluded)
            told[-1] = Measure(yardstick, own, least)
    return told


def takes_away(query: Query) -> bool:
    """Whether a term has a negative weight: such a query has no scores that are usual to its kind."""
    return any(term.weight < 0 for term in query.terms)


def _kind(term: Term, background: Background) -> Kind:
    if term.vector is not None:
        return background.kind_of(given_vector(term.vector, background.sample.vectors.shape[1]))
    return "text" if term.text is not None else "image"
