"""The index that is served: a base and younger segments; knows how they answer and change as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.protocol import Neighbours, Trial
from clipsearch.vector_index.rows import StoredRows, best_first
from clipsearch.vector_index.segments import Segment, merged, settled
from clipsearch.vector_index.validity import distinct_ids, id_set, unit_queries, unit_rows

_BLOCK_FOUND = 1_000_000  # neighbours kept at once for a block of queries: 12 MB for each segment
_BLOCK_ROWS = 16_384


def segment_of(dimension: int, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> Segment:
    """A segment of checked ``ids`` and ``vectors`` in any order."""
    order = np.argsort(ids, kind="stable")
    rows = StoredRows(dimension, len(ids))
    for start in range(0, len(ids), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        rows.put(part, vectors[order[part]])
    return Segment(ids[order], rows, len(ids))


class Generation:
    """A :class:`~clipsearch.vector_index.protocol.VectorIndex` over faiss, in the memory of this process.

    No id is alive in two segments. Changes share all segments they do not touch, so a batch on a million rows
    copies one mask of a million bytes and not a gigabyte of vectors.
    """

    def __init__(self, dimension: int, segments: Sequence[Segment] = (), trial: Trial | None = None) -> None:
        self._dimension = dimension
        self._segments = tuple(segments)
        cells = self._segments[0].cells if self._segments else None
        self._trial = trial if cells is None else cells.trial
        self._count = sum(segment.count for segment in self._segments)

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self._dimension

    @property
    def kind(self) -> sizes.Kind:
        """How the base is searched."""
        return sizes.CELLS if self._segments and self._segments[0].cells else sizes.FLAT

    @property
    def memory_bytes(self) -> int:
        """Bytes held, those shared with other generations included."""
        return sum(segment.memory_bytes for segment in self._segments)

    @property
    def mapped_bytes(self) -> int:
        """Those of them that lie in a mapped file."""
        return sum(segment.mapped_bytes for segment in self._segments)

    @property
    def trial(self) -> Trial | None:
        """How the base's cells were measured, whether they serve or not."""
        return self._trial

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The parts, base first (for this room: snapshots and rebuilding)."""
        return self._segments

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, int | np.integer) or not 0 <= id < 2**63:
            return False
        wanted = np.array([id], dtype=np.int64)
        return any(bool(segment.find(wanted)[1][0]) for segment in self._segments)

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending; a copy."""
        parts = [segment.ids[segment.alive_positions()] for segment in self._segments]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]), kind="stable")

    def stored_vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        """The rows under ``ids`` as they lie in memory, float16 [len(ids), dimension]; else as `vectors`."""
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        found = np.empty((len(wanted), self._dimension), dtype=np.float16)
        missing = np.ones(len(wanted), dtype=np.bool_)
        for segment in self._segments:
            positions, there = segment.find(wanted)
            found[there] = segment.rows.take(positions[there])
            missing &= ~there
        if missing.any():
            raise IndexError(f"{missing.sum()} ids are not in the index: {wanted[missing][:20].tolist()}")
        return found

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows under ``ids``, float32 [len(ids), dimension]. Raises IndexError naming unknown ids."""
        return self.stored_vectors(ids).astype(np.float32)

    def search(
        self,
        queries: NDArray[np.floating],
        k: int,
        *,
        among: NDArray[np.int64] | None = None,
        excluding: NDArray[np.int64] | None = None,
        exact: bool = False,
    ) -> list[Neighbours]:
        """See :meth:`clipsearch.vector_index.protocol.VectorIndex.search`."""
        unit = unit_queries(queries, self._dimension)
        allowed = None if among is None else id_set(among)
        forbidden = id_set(excluding)
        if allowed is not None:
            allowed = np.setdiff1d(allowed, forbidden, assume_unique=True) if forbidden.size else allowed
            forbidden = forbidden[:0]
        k = max(0, min(k, self._count if allowed is None else min(len(allowed), self._count)))
        block = max(1, _BLOCK_FOUND // max(k, 1))
        answers: list[Neighbours] = []
        for start in range(0, len(unit), block):
            answers += self._search_block(unit[start : start + block], k, allowed, forbidden, exact)
        return answers

    def _search_block(
        self,
        queries: NDArray[np.float32],
        k: int,
        among: NDArray[np.int64] | None,
        excluding: NDArray[np.int64],
        exact: bool,
    ) -> list[Neighbours]:
        found = [segment.search(queries, k, among, excluding, exact) for segment in self._segments if k]
        if len(found) == 1:
            [(best, values)] = found
        else:
            ids = [np.empty((len(queries), 0), dtype=np.int64), *(one[0] for one in found)]
            scores = [np.empty((len(queries), 0), dtype=np.float32), *(one[1] for one in found)]
            best, values = best_first(np.concatenate(ids, axis=1), np.concatenate(scores, axis=1), k)
        lengths = (best >= 0).sum(axis=1)
        return [Neighbours(best[i, :n], values[i, :n]) for i, n in enumerate(lengths.tolist())]

    def with_changes(
        self,
        added: tuple[NDArray[np.int64], NDArray[np.floating]] | None = None,
        removed: NDArray[np.int64] | None = None,
    ) -> Generation:
        """See :meth:`clipsearch.vector_index.protocol.VectorIndex.with_changes`."""
        gone = id_set(removed)
        young: list[Segment] = []
        if added is not None:
            vectors = unit_rows(added[1], self._dimension)
            ids = distinct_ids(added[0], len(vectors))
            gone = np.union1d(gone, ids)
            young = [segment_of(self._dimension, ids, vectors)]
        if not gone.size:
            return self
        return Generation(self._dimension, settled([s.without(gone) for s in self._segments] + young), self._trial)

    def compacted(self) -> Generation:
        """The same rows as a single segment with no dead ones; itself where it is that already."""
        if not self._segments or (len(self._segments) == 1 and self._segments[0].alive is None):
            return self
        return Generation(self._dimension, [merged(self._segments)], self._trial)
