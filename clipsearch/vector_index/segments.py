"""A run of rows under ascending ids, some of them dead; knows how to search, thin out and merge such runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.cells import Cells
from clipsearch.vector_index.rows import Found, StoredRows, best_first

_BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows in the order of their ids: a smaller position is a smaller id. Immutable; generations share it."""

    ids: NDArray[np.int64]  # [stored], ascending
    rows: StoredRows
    count: int  # rows that are alive
    alive: NDArray[np.bool_] | None = None  # [stored]; None: all
    cells: Cells | None = None

    @property
    def stored(self) -> int:
        """Rows held, dead ones included."""
        return len(self.ids)

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        cells = 0 if self.cells is None else self.cells.memory_bytes
        alive = 0 if self.alive is None else self.alive.nbytes
        return int(self.ids.nbytes + self.rows.memory_bytes + alive + cells)

    def find(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For each of ``ids`` its position and whether it is alive; if not, the position means nothing."""
        positions = np.minimum(np.searchsorted(self.ids, ids), self.stored - 1)
        there = self.ids[positions] == ids
        if self.alive is not None:
            there &= self.alive[positions]
        return positions, there

    def alive_positions(self) -> NDArray[np.int64]:
        """Positions of the rows that are alive, ascending."""
        return np.arange(self.stored) if self.alive is None else np.flatnonzero(self.alive)

    def without(self, ids: NDArray[np.int64]) -> Segment:
        """This segment with ``ids`` dead; itself where none of them was alive."""
        positions, there = self.find(ids)
        if not there.any():
            return self
        alive = np.ones(self.stored, dtype=np.bool_) if self.alive is None else self.alive.copy()
        alive[positions[there]] = False
        return replace(self, alive=alive, count=int(np.count_nonzero(alive)))

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        among: NDArray[np.int64] | None,
        excluding: NDArray[np.int64],
        exact: bool,
    ) -> Found:
        """The best ids and their scores for unit ``queries``, [n, m]; -1 and -inf where there are fewer.

        ``among`` and ``excluding`` are ascending and distinct; ``excluding`` is empty beside an ``among``.
        """
        allowed, count = self.alive, self.count
        if among is not None:
            positions, there = self.find(among)
            chosen = positions[there]
            if len(chosen) < self.stored * sizes.GATHER_SHARE:
                found, scores = self.rows.subset(chosen).best(queries, k)
                return self.ids[chosen[found]] if found.size else found, scores
            allowed, count = np.zeros(self.stored, dtype=np.bool_), len(chosen)
            allowed[chosen] = True
        elif excluding.size:
            remaining = self.without(excluding)
            allowed, count = remaining.alive, remaining.count
        found, scores = self._best(queries, k, allowed, count, exact)
        return np.where(found < 0, -1, self.ids[found]), scores

    def _best(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None, count: int, exact: bool
    ) -> Found:
        """Positions and scores of the best of the ``count`` allowed rows, by cells where they serve."""
        k = min(k, count)
        width = max(k * sizes.RERANK_FACTOR, sizes.RERANK_LEAST)
        few = count < self.stored * sizes.EXACT_SHARE
        if self.cells is None or exact or few or width * 4 > count or not k:
            return self.rows.best(queries, k, allowed)
        candidates = self.cells.candidates(queries, width, allowed)
        found, scores = best_first(candidates, self.rows.scores(queries, candidates), k)
        short = found[:, -1] < 0  # the probed cells held too few allowed rows
        if short.any():
            found[short], scores[short] = self.rows.best(queries[short], k, allowed)
        return found, scores


def merged(segments: Sequence[Segment]) -> Segment:
    """One segment of all rows alive in ``segments`` (no id in two), with the first one's cells kept up."""
    places = [segment.alive_positions() for segment in segments]
    parts = [segment.ids[place] for segment, place in zip(segments, places, strict=True)]
    ids = np.sort(np.concatenate(parts), kind="stable")
    rows = StoredRows(segments[0].rows.dimension, len(ids))
    targets = [np.searchsorted(ids, part) for part in parts]
    for segment, place, target in zip(segments, places, targets, strict=True):
        for start in range(0, len(place), _BLOCK):
            part = slice(start, start + _BLOCK)
            rows.put(target[part], segment.rows.take(place[part]))
    cells = segments[0].cells
    if cells is not None:
        destinations = np.full(segments[0].stored, -1, dtype=np.int64)
        destinations[places[0]] = targets[0]
        cells = cells.moved(destinations, rows, np.sort(np.concatenate([places[0][:0], *targets[1:]])))
    return Segment(ids, rows, len(ids), cells=cells)


def settled(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """``segments`` (the base first, then ever younger ones) with empty ones gone and small ones merged.

    A younger segment is merged into the one before it until that is twice as large, so there are only
    logarithmically many and a row is copied about as often; when all of them together with the base's dead
    rows weigh too much, everything becomes a new base.
    """
    tidy = [segment for segment in segments if segment.count]
    while len(tidy) > 2 and tidy[-2].count < 2 * tidy[-1].count:
        tidy[-2:] = [merged(tidy[-2:])]
    if not tidy:
        return ()
    burden = tidy[0].stored - tidy[0].count + sum(segment.stored for segment in tidy[1:])
    if sizes.too_burdened(tidy[0].stored, burden):
        tidy = [merged(tidy)]
    return tuple(tidy)
