"""Approximate candidates from an inverted file of 8-bit codes; knows how cells are filled, probed and moved.

Positions only: which id stands there, and the exact scores, are the segment's business. A row's code depends on the
row alone (not on its cell), so it moves with it. Built from and taken apart into plain arrays, or laid over a mapped
file: neither needs training nor faiss's readers of whole files.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.protocol import Trial
from clipsearch.vector_index.rows import StoredRows, faiss, spread

_BLOCK = 16_384
_LISTS = struct.Struct("<4sQQ4sQ")


@dataclass(frozen=True, eq=False)
class Coarse:
    """What training found: unit centroids float32 [cells, d], and the ranges of codes, smallest value and span of
    each dimension, float32 [2 d]."""

    centroids: NDArray[np.float32]
    ranges: NDArray[np.float32]


class Cells:
    """An inverted file over positions 0 to n-1. Never changed once handed out."""

    def __init__(self, file: Any, coarse: Coarse, trial: Trial, memory: NDArray[np.uint8] | None = None) -> None:
        self._file = file
        self._memory = memory  # the mapping that the lists look at must live as long as they
        self.coarse = coarse
        self.trial = trial
        self._usual = faiss.SearchParametersIVF(nprobe=trial.probes)

    def __len__(self) -> int:
        return int(self._file.ntotal)

    @property
    def mapped(self) -> bool:
        """Whether the codes lie in a mapped file."""
        return self._memory is not None

    @property
    def cell_count(self) -> int:
        """Cells there are, empty ones included."""
        return len(self.coarse.centroids)

    @property
    def list_bytes(self) -> int:
        """Bytes of codes and positions."""
        return int(len(self) * (self._file.d + 8))

    @property
    def memory_bytes(self) -> int:
        """Bytes of codes, positions and centroids."""
        return int(self.list_bytes + self.coarse.centroids.nbytes)

    def width(self, k: int) -> int:
        """How many candidates to re-rank for ``k`` neighbours."""
        return min(-(-k * self.trial.width // 10), k * sizes.RERANK_FACTOR) + sizes.RERANK_SPARE

    def candidates(
        self, queries: NDArray[np.float32], width: int, chosen: Any = None, probes: int | None = None
    ) -> NDArray[np.int64]:
        """Up to ``width`` promising positions for each query, int64 [n, width], -1 where there were fewer.

        ``chosen`` is a faiss selector of positions (see `rows.selector`), ``probes`` the cells to visit.
        """
        parameters = self._usual
        if chosen is not None or probes not in (None, self.trial.probes):
            parameters = faiss.SearchParametersIVF(nprobe=probes or self.trial.probes, sel=chosen)
        spread(len(queries))
        positions: NDArray[np.int64] = self._file.search(queries, width, params=parameters)[1]
        return positions

    def lists(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Positions int64 [m] and codes uint8 [m, d] of one cell after the other: views, to be read while it is
        held."""
        held, width = self._file.invlists, self._file.code_size
        for cell in range(self._file.nlist):
            size = held.list_size(cell)
            if size:
                codes = faiss.rev_swig_ptr(held.get_codes(cell), size * width)
                yield faiss.rev_swig_ptr(held.get_ids(cell), size), codes.reshape(size, width)
            else:
                yield np.empty(0, dtype=np.int64), np.empty((0, width), dtype=np.uint8)

    def moved(self, destinations: NDArray[np.int64], rows: StoredRows, fresh: NDArray[np.int64]) -> Cells:
        """Cells for ``rows``: position p moves to ``destinations[p]`` (-1: is dropped), ``fresh`` are new.

        The centroids stay; a new row goes to the nearest one.
        """
        file = _empty_file(self.coarse)
        for cell, (positions, codes) in enumerate(self.lists()):
            targets = destinations[positions]
            kept = targets >= 0
            _append(file, cell, targets[kept], codes[kept])
        for start in range(0, len(fresh), _BLOCK):
            part = fresh[start : start + _BLOCK]
            values = rows.take(part).astype(np.float32)
            owners = file.quantizer.search(values, 1)[1][:, 0]
            codes = file.sq.compute_codes(values)
            for cell in np.unique(owners):
                _append(file, int(cell), part[owners == cell], codes[owners == cell])
        file.ntotal = len(rows)
        return Cells(file, self.coarse, self.trial)

    def with_trial(self, trial: Trial) -> Cells:
        """The same cells, searched as ``trial`` says."""
        return Cells(self._file, self.coarse, trial, self._memory)


def _empty_file(coarse: Coarse) -> Any:
    cells, dimension = coarse.centroids.shape
    quantizer = faiss.IndexFlatIP(dimension)
    file = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, cells, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    quantizer.add(np.ascontiguousarray(coarse.centroids, dtype=np.float32))
    faiss.copy_array_to_vector(np.ascontiguousarray(coarse.ranges, dtype=np.float32), file.sq.trained)
    file.is_trained = True
    return file


def _append(file: Any, cell: int, positions: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
    if positions.size:
        ids = np.ascontiguousarray(positions, dtype=np.int64)
        block = np.ascontiguousarray(codes)
        file.invlists.add_entries(cell, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(block))


def filled(
    coarse: Coarse, owners: NDArray[np.int32], rows: StoredRows, trial: Trial, check: Callable[[], None]
) -> Cells:
    """Cells that hold all of ``rows``, position p in the cell ``owners[p]``; ``check`` is called between blocks."""
    file = _empty_file(coarse)
    order = np.argsort(owners, kind="stable")
    borders = np.searchsorted(owners[order], np.arange(len(coarse.centroids) + 1))
    cell = 0
    while cell < len(coarse.centroids):
        check()
        # as many whole cells as fit into a block: encoding goes block by block, storing cell by cell
        last = max(cell + 1, int(np.searchsorted(borders, borders[cell] + _BLOCK, side="right")) - 1)
        positions = order[borders[cell] : borders[last]]
        codes = file.sq.compute_codes(rows.take(positions).astype(np.float32)) if positions.size else None
        for one in range(cell, last):
            part = slice(borders[one] - borders[cell], borders[one + 1] - borders[cell])
            if codes is not None:
                _append(file, one, positions[part], codes[part])
        cell = last
    file.ntotal = len(rows)
    return Cells(file, coarse, trial)


def lists_header(list_sizes: NDArray[np.int64], dimension: int) -> bytes:
    """What faiss writes before the codes and positions of lists of these sizes, one list after the other."""
    cells = len(list_sizes)
    return _LISTS.pack(b"ilar", cells, dimension, b"full", cells) + list_sizes.astype("<u8").tobytes()


def over(coarse: Coarse, list_sizes: NDArray[np.int64], trial: Trial, memory: NDArray[np.uint8]) -> Cells:
    """Cells whose lists lie in ``memory``, uint8: `lists_header`, then for each cell its codes and its positions.

    Raises ValueError where the parts do not fit together.
    """
    cells, dimension = coarse.centroids.shape
    header = lists_header(list_sizes, dimension)
    count = int(list_sizes.sum())
    fits = (
        len(list_sizes) == cells == trial.cells
        and coarse.ranges.shape == (2 * dimension,)
        and (list_sizes >= 0).all()
        and len(memory) == len(header) + count * (dimension + 8)
        and memory[: len(header)].tobytes() == header
    )
    if not fits:
        raise ValueError("the parts of the cells do not fit together")
    lists = faiss.read_InvertedLists(
        faiss.ZeroCopyIOReader(faiss.swig_ptr(memory), len(memory)), faiss.IO_FLAG_MMAP_IFC
    )
    file = _empty_file(coarse)
    lists.this.disown()
    file.replace_invlists(lists, True)
    file.ntotal = count
    return Cells(file, coarse, trial, memory)
