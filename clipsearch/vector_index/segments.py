"""A run of rows under ascending ids, some of them dead; knows how to search, thin out and merge such runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.cells import Cells
from clipsearch.vector_index.rows import Found, StoredRows, best_first, selector

_MORE_PROBES = 8
_BLOCK = 16_384
_FEW = 1_000
_SPARSEST = 4


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

    @property
    def mapped_bytes(self) -> int:
        """Those of them that lie in a mapped file."""
        rows = self.rows.memory_bytes if self.rows.mapped else 0
        return rows + (self.cells.list_bytes if self.cells and self.cells.mapped else 0)

    @cached_property
    def _chosen(self) -> Any:
        """faiss's selector of the rows that are alive; None: all."""
        return None if self.alive is None else selector(self.alive)

    @cached_property
    def _span(self) -> int:
        """From the first id to the last, both counted."""
        return int(self.ids[-1]) - int(self.ids[0]) + 1

    @cached_property
    def _places(self) -> NDArray[np.int32] | None:
        """The position of each id from the first one on, -1 for none; None where the ids are too far apart."""
        span = self._span
        if span > _SPARSEST * self.stored:
            return None
        places = np.full(span, -1, dtype=np.int32)
        places[self.ids - self.ids[0]] = np.arange(self.stored, dtype=np.int32)
        return places

    def find(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For each of ``ids`` its position and whether it is alive; if not, the position means nothing."""
        places = self._places if len(ids) > _FEW else None  # looking up a table beats searching for many
        if places is None:
            positions = np.minimum(np.searchsorted(self.ids, ids), self.stored - 1)
            there = self.ids[positions] == ids
        else:
            positions = ids - self.ids[0]
            there = (ids >= self.ids[0]) & (ids <= self.ids[-1])
            if not there.all():
                positions = np.where(there, positions, 0)
            if self._span != self.stored:  # else an id tells its position
                positions = places[positions].astype(np.int64)
                there &= positions >= 0
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
        if among is not None:
            return self._among(queries, k, among, exact)
        dropped = excluding[:0]
        if excluding.size:
            positions, there = self.find(excluding)
            dropped = positions[there]
        if len(dropped) > sizes.DROPPED_MOST:
            remaining = self.without(excluding)
            found, scores = remaining._best(queries, k, remaining.alive, remaining._chosen, remaining.count, exact)
        else:
            found, scores = self._best(queries, k + len(dropped), self.alive, self._chosen, self.count, exact)
            if len(dropped):
                scores = np.where(np.isin(found, dropped), np.float32(-np.inf), scores)
                found, scores = best_first(np.where(scores == -np.inf, -1, found), scores, k)
        return np.where(found < 0, -1, self.ids[found]), scores

    def _among(self, queries: NDArray[np.float32], k: int, among: NDArray[np.int64], exact: bool) -> Found:
        """As `search`, over the ids of ``among`` alone."""
        positions, there = self.find(among)
        chosen = positions if there.all() else positions[there]
        few = max(sizes.GATHER_LEAST, min(self.stored * sizes.GATHER_SHARE, sizes.GATHER_MOST))
        if len(chosen) < few or len(chosen) <= k:
            found, scores = self.rows.subset(chosen).best(queries, k)
            return self.ids[chosen[found]] if found.size else found, scores
        allowed = np.zeros(self.stored, dtype=np.bool_)
        allowed[chosen] = True
        found, scores = self._best(queries, k, allowed, selector(allowed), len(chosen), exact)
        return np.where(found < 0, -1, self.ids[found]), scores

    def _best(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        chosen: Any,
        count: int,
        exact: bool,
    ) -> Found:
        """Positions and scores of the best of the ``count`` allowed rows, by cells where they serve.

        ``chosen`` is the selector of ``allowed``.
        """
        k = min(k, count)
        if self.cells is None or exact or not k or self.cells.width(k) * 4 > count:
            return self.rows.best(queries, k, allowed, chosen)
        trial, share = self.cells.trial, count / self.stored
        probes = trial.probes
        if share < 1:
            probes = sizes.probes_under_filter(share, probes, trial.filtered_probes, self.cells.cell_count)
        positions = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        pending = np.arange(len(queries))
        while pending.size and probes < self.cells.cell_count:
            candidates = self.cells.candidates(queries[pending], self.cells.width(k), chosen, probes)
            found = best_first(candidates, self.rows.scores(queries[pending], candidates), k)
            positions[pending], scores[pending] = found
            # The probed cells held too few allowed rows to speak for the others. Where all rows are allowed, that is
            # a query far from everything: more cells before all rows. A filter's few rows are scanned at once.
            pending = pending[candidates[:, -1] < 0]
            probes = probes * _MORE_PROBES if allowed is None else self.cells.cell_count
        if pending.size:
            positions[pending], scores[pending] = self.rows.best(queries[pending], k, allowed, chosen)
        return positions, scores


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
