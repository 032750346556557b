"""The bytes of a snapshot, a header and plain arrays; knows their order, not where they lie or whose.

All little-endian: 64 bytes of header, ids int64 [n], rows float16 [n, d], and for cells centroids float32 [c, d],
ranges float32 [2 d], sizes int64 [c], then for each cell its codes uint8 [m, d] and positions int64 [m]. Before the
rows and before the lists stand the few bytes that faiss would write there, so that both can be searched where they
lie in a mapped file. faiss is handed them only where they are, to the byte, what it would write for these sizes: its
readers can be made to crash by others.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import cells as cell_room
from clipsearch.vector_index.generation import Generation
from clipsearch.vector_index.manifest import NotBelieved
from clipsearch.vector_index.protocol import Trial
from clipsearch.vector_index.rows import StoredRows, scan_header
from clipsearch.vector_index.segments import Segment

_MAGIC = b"CLIPVIDX"
_HEADER = struct.Struct("<8sIIQIIQ24x")  # magic, version, dimension, count, cells, probes, trained_on
_VERSION = 2
_BLOCK_ROWS = 16_384
_ALIGNED = 64

Write = Callable[[Any], object]


@dataclass(frozen=True)
class _Layout:
    """Where each part begins, in bytes; a part ends where the next one's header begins, but for filling zeros."""

    rows: int
    centroids: int
    ranges: int
    sizes: int
    lists: int
    size: int


def _layout(dimension: int, count: int, lists: int) -> _Layout:
    rows = _HEADER.size + count * 8
    rows += -(rows + len(scan_header(dimension, count))) % _ALIGNED + len(scan_header(dimension, count))
    centroids = rows + count * dimension * 2
    if not lists:
        return _Layout(rows, centroids, centroids, centroids, centroids, centroids)
    centroids += -centroids % _ALIGNED
    ranges = centroids + lists * dimension * 4
    sizes = ranges + 2 * dimension * 4
    begin = sizes + lists * 8
    header = len(cell_room.lists_header(np.zeros(lists, dtype=np.int64), dimension))
    begin += -(begin + header) % _ALIGNED + header
    return _Layout(rows, centroids, ranges, sizes, begin, begin + count * (dimension + 8))


def size_of(index: Generation) -> int:
    """Bytes that `write` will write."""
    cells = index.segments[0].cells if len(index) else None
    return _layout(index.dimension, len(index), 0 if cells is None else cells.cell_count).size


def write(index: Generation, out: Write) -> None:
    """Hand all bytes of ``index`` to ``out``, block by block; the same rows give the same bytes."""
    # cells speak of positions in one segment; rows alone are gathered from wherever they lie
    cells = None
    if index.kind == "ivf_sq8":
        index = index.compacted()
        cells = index.segments[0].cells
    ids = index.ids()
    extra = (0, 0, 0) if cells is None else (cells.cell_count, cells.trial.probes, cells.trial.rows)
    layout = _layout(index.dimension, len(ids), extra[0])
    header = scan_header(index.dimension, len(ids))
    out(_HEADER.pack(_MAGIC, _VERSION, index.dimension, len(ids), *extra))
    out(ids.astype("<i8").data)
    out(bytes(layout.rows - len(header) - _HEADER.size - ids.nbytes) + header)
    for start in range(0, len(ids), _BLOCK_ROWS):
        out(index.stored_vectors(ids[start : start + _BLOCK_ROWS]).astype("<f2").data)
    if cells is None:
        return
    sizes = np.array([len(positions) for positions, _ in cells.lists()], dtype=np.int64)
    out(bytes(layout.centroids - layout.rows - len(ids) * index.dimension * 2))
    out(cells.coarse.centroids.astype("<f4").data)
    out(cells.coarse.ranges.astype("<f4").data)
    out(sizes.astype("<i8").data)
    before = cell_room.lists_header(sizes, index.dimension)
    out(bytes(layout.lists - len(before) - layout.sizes - sizes.nbytes) + before)
    for positions, codes in cells.lists():
        out(np.ascontiguousarray(codes).data)
        out(positions.astype("<i8").data)


def read(memory: NDArray[np.uint8], dimension: int, count: int, trial: Trial | None, *, sound: bool) -> Generation:
    """The index over ``memory``, uint8, which it goes on reading: a mapped file, whole.

    ``sound`` says that these very bytes were looked through before. Raises NotBelieved where header, ids or cells
    cannot be of ``dimension``, ``count`` and ``trial``.
    """
    if len(memory) < _HEADER.size:
        raise NotBelieved("the file is no snapshot")
    raw = memory[: _HEADER.size].tobytes()
    magic, version, wide, rows_there, lists, probes, trained_on = _HEADER.unpack(raw)
    if magic != _MAGIC or version != _VERSION or raw[-24:].strip(b"\0"):
        raise NotBelieved("the file is no snapshot")
    if (wide, rows_there) != (dimension, count) or lists > 65_536:
        raise NotBelieved("the file is not of the size that its header tells")
    layout = _layout(dimension, count, lists)
    if len(memory) != layout.size:
        raise NotBelieved("the file is not of the size that its header tells")
    if not count:
        return Generation(dimension, trial=trial)
    ids = memory[_HEADER.size : _HEADER.size + count * 8].view("<i8")
    if not sound and (ids[0] < 0 or not (ids[1:] > ids[:-1]).all()):
        raise NotBelieved("the ids are not ascending")
    begin = layout.rows - len(scan_header(dimension, count))
    rows = StoredRows.over(dimension, count, memory[begin : layout.rows + count * dimension * 2])
    cells = None
    if lists:
        if trial is None or (lists, probes, trained_on) != (trial.cells, trial.probes, trial.rows):
            raise NotBelieved("the cells are not those of the manifest")
        cells = _cells(memory, layout, (lists, dimension), trial)
        if not sound:
            _look_through(cells, count)
    return Generation(dimension, [Segment(ids, rows, count, cells=cells)], trial)


def _cells(memory: NDArray[np.uint8], layout: _Layout, shape: tuple[int, int], trial: Trial) -> cell_room.Cells:
    centroids = memory[layout.centroids : layout.ranges].view("<f4").reshape(shape)
    ranges = memory[layout.ranges : layout.sizes].view("<f4")
    sizes = memory[layout.sizes : layout.sizes + shape[0] * 8].view("<i8")
    header = len(cell_room.lists_header(sizes, shape[1]))
    try:
        return cell_room.over(cell_room.Coarse(centroids, ranges), sizes, trial, memory[layout.lists - header :])
    except ValueError as error:
        raise NotBelieved("the cells do not fit together") from error


def _look_through(cells: cell_room.Cells, count: int) -> None:
    """Raise NotBelieved unless every position stands in exactly one cell."""
    seen = np.zeros(count, dtype=np.bool_)
    for positions, _ in cells.lists():
        if positions.size and not 0 <= positions.min() <= positions.max() < count:
            raise NotBelieved("the cells do not fit together")
        seen[positions] = True
    if not seen.all():  # as many positions as rows: one that stood twice would be missing elsewhere
        raise NotBelieved("the cells do not fit together")


def blocks(memory: NDArray[np.uint8]) -> Iterator[memoryview]:
    """All of ``memory`` in blocks, for a checksum."""
    step = 1 << 24
    for start in range(0, len(memory), step):
        yield memory[start : start + step].data
