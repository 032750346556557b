"""Approximate candidates from an inverted file of 8-bit codes; knows how cells are trained, probed and moved.

Positions only: which id stands there, and the exact scores, are the segment's business. Built from and taken
apart into plain arrays, so that moving rows and reading a snapshot need neither training nor faiss's readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.rows import StoredRows, best_first, faiss, selector

_BLOCK = 65_536
_SAMPLED_QUERIES = 100
_NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class CellArrays:
    """Cells taken apart: all that is needed to put them together again."""

    centroids: NDArray[np.float32]  # [cells, dimension]
    ranges: NDArray[np.float32]  # [2 * dimension]: smallest value and span of each dimension's residual
    members: NDArray[np.int32]  # [n]: the cell of each position
    codes: NDArray[np.uint8]  # [n, dimension]
    probes: int  # cells visited by a query
    trained_on: int  # rows there were when the centroids were found


class Cells:
    """An inverted file over positions 0 to n-1. Never changed once handed out."""

    def __init__(self, file: Any, probes: int, trained_on: int) -> None:
        self._file = file
        self.probes = probes
        self.trained_on = trained_on

    def __len__(self) -> int:
        return int(self._file.ntotal)

    @property
    def cell_count(self) -> int:
        """Cells there are, empty ones included."""
        return int(self._file.nlist)

    @property
    def memory_bytes(self) -> int:
        """Bytes of codes, positions and centroids."""
        return int(len(self) * (self._file.d + 8) + self._file.nlist * self._file.d * 4)

    def candidates(
        self,
        queries: NDArray[np.float32],
        width: int,
        allowed: NDArray[np.bool_] | None = None,
        probes: int | None = None,
    ) -> NDArray[np.int64]:
        """Up to ``width`` promising positions for each query, int64 [n, width], -1 where there were fewer."""
        chosen = None if allowed is None else selector(allowed)
        parameters = faiss.SearchParametersIVF(nprobe=probes or self.probes, sel=chosen)
        _, positions = self._file.search(queries, width, params=parameters)
        return np.asarray(positions, dtype=np.int64)

    def arrays(self) -> CellArrays:
        """Everything, as plain arrays (a copy)."""
        lists, width = self._file.invlists, self._file.code_size
        members = np.empty(len(self), dtype=np.int32)
        codes = np.empty((len(self), width), dtype=np.uint8)
        for cell in range(self._file.nlist):
            size = lists.list_size(cell)
            if size:
                positions = faiss.rev_swig_ptr(lists.get_ids(cell), size)
                members[positions] = cell
                block = faiss.rev_swig_ptr(lists.get_codes(cell), size * width)
                codes[positions] = block.reshape(size, width)
        centroids = self._file.quantizer.reconstruct_n(0, self._file.nlist)
        ranges = faiss.vector_to_array(self._file.sq.trained)
        return CellArrays(centroids, ranges, members, codes, self.probes, self.trained_on)

    def moved(self, destinations: NDArray[np.int64], rows: StoredRows, fresh: NDArray[np.int64]) -> Cells:
        """Cells for ``rows``: position p moves to ``destinations[p]`` (-1: is dropped), ``fresh`` are new.

        The centroids stay; a new row goes to the nearest one.
        """
        old = self.arrays()
        kept = destinations >= 0
        file = _file_of(old, old.members[kept], old.codes[kept], destinations[kept])
        _append(file, rows, fresh)
        return Cells(file, self.probes, self.trained_on)


def _empty_file(dimension: int, cells: int) -> Any:
    return faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        cells,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )


def _append(file: Any, rows: StoredRows, positions: NDArray[np.int64]) -> None:
    for start in range(0, len(positions), _BLOCK):
        part = positions[start : start + _BLOCK]
        file.add_with_ids(rows.take(part).astype(np.float32), part)


def _file_of(
    arrays: CellArrays, members: NDArray[np.int32], codes: NDArray[np.uint8], positions: NDArray[np.int64]
) -> Any:
    """A faiss inverted file of the trained parts of ``arrays`` that holds ``codes`` under ``positions``."""
    cells, dimension = arrays.centroids.shape
    file = _empty_file(dimension, cells)
    file.quantizer.add(np.ascontiguousarray(arrays.centroids, dtype=np.float32))
    faiss.copy_array_to_vector(np.ascontiguousarray(arrays.ranges, dtype=np.float32), file.sq.trained)
    file.is_trained = True
    order = np.argsort(members, kind="stable")
    borders = np.searchsorted(members[order], np.arange(cells + 1))
    for cell in range(cells):
        part = order[borders[cell] : borders[cell + 1]]
        if part.size:
            ids = np.ascontiguousarray(positions[part], dtype=np.int64)
            block = np.ascontiguousarray(codes[part])
            file.invlists.add_entries(cell, len(part), faiss.swig_ptr(ids), faiss.swig_ptr(block))
    file.ntotal = len(members)
    return file


def assembled(arrays: CellArrays) -> Cells:
    """Cells from plain arrays, position p being line p. Raises ValueError where they do not fit together."""
    cells, dimension = arrays.centroids.shape
    fits = (
        cells > 0
        and arrays.ranges.shape == (2 * dimension,)
        and arrays.codes.shape == (len(arrays.members), dimension)
        and 0 < arrays.probes <= cells
    )
    if not fits or (arrays.members.size and not 0 <= arrays.members.min() <= arrays.members.max() < cells):
        raise ValueError("the arrays of the cells do not fit together")
    file = _file_of(arrays, arrays.members, arrays.codes, np.arange(len(arrays.members)))
    return Cells(file, arrays.probes, arrays.trained_on)


def trained(rows: StoredRows, text_like: Mapping[str, NDArray[np.float32]] | None = None) -> Cells:
    """Cells for all of ``rows``, probing as many as the recall target asks for.

    ``text_like`` names further samples of queries, unit float32 [m, dimension], that must reach the target
    too: texts lie apart from images, and cells that follow the images serve them worse.
    """
    cells = sizes.cell_count(len(rows))
    file = _empty_file(rows.dimension, cells)
    file.cp.niter = 6
    file.cp.min_points_per_centroid = 1  # the sample is ours to choose; no warning on stderr
    chance = np.random.default_rng(0)
    amount = min(len(rows), cells * sizes.TRAINING_ROWS_PER_CELL)
    sample = np.sort(chance.choice(len(rows), amount, replace=False))
    file.train(rows.take(sample).astype(np.float32))
    _append(file, rows, np.arange(len(rows)))
    found = Cells(file, 1, len(rows))
    held_back = np.sort(chance.choice(len(rows), min(len(rows), _SAMPLED_QUERIES), replace=False))
    probes = _probes_needed(found, rows, rows.take(held_back).astype(np.float32), held_back)
    for queries in (text_like or {}).values():
        if len(queries):
            probes = max(probes, _probes_needed(found, rows, queries[:_SAMPLED_QUERIES], None))
    if not text_like:
        probes = min(2 * probes, cells)  # unmeasured texts need more than images do
    return Cells(file, probes, len(rows))


def _probes_needed(cells: Cells, rows: StoredRows, queries: NDArray[np.float32], own: NDArray[np.int64] | None) -> int:
    """The smallest power of two of probes with the wanted recall@10; ``own`` positions do not count."""
    extra = 0 if own is None else 1
    truth = _without(rows.best(queries, _NEIGHBOURS + extra)[0], own)
    total = cells.cell_count
    probes = 1
    while probes < total:
        candidates = cells.candidates(queries, sizes.RERANK_LEAST, probes=probes)
        ranked = best_first(candidates, rows.scores(queries, candidates), _NEIGHBOURS + extra)[0]
        got = _without(ranked, own)
        hits = (truth[:, :, None] == got[:, None, :]).any(axis=2)
        if hits.mean() >= sizes.RECALL_TARGET:
            return probes
        probes *= 2
    return total


def _without(positions: NDArray[np.int64], own: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """``positions`` [n, 11] cut to ten without each query's ``own``; as they are where there are none."""
    if own is None:
        return positions
    last = np.argsort(positions == own[:, None], axis=1, kind="stable")
    return np.take_along_axis(positions, last, axis=1)[:, :_NEIGHBOURS]
