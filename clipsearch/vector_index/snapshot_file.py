"""The bytes of a snapshot, a header and plain arrays; knows their order, not where they lie or whose.

Plain arrays and not faiss's own files: those can be made to crash the reader, these are only numbers. All
little-endian: 64 bytes of header, ids int64 [n], rows float16 [n, d], and for cells centroids float32 [c, d],
ranges float32 [2d], members int32 [n], codes uint8 [n, d].
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import cells as cell_room
from clipsearch.vector_index.generation import Generation
from clipsearch.vector_index.manifest import NotBelieved
from clipsearch.vector_index.rows import StoredRows
from clipsearch.vector_index.segments import Segment

_MAGIC = b"CLIPVIDX"
_HEADER = struct.Struct("<8sIIQIIQ24x")  # magic, version, dimension, count, cells, probes, trained_on
_VERSION = 1
_BLOCK_ROWS = 16_384

Write = Callable[[Any], object]
ReadInto = Callable[[memoryview], None]  # fills it wholly, or raises NotBelieved


def size_of(index: Generation) -> int:
    """Bytes that `write` will write."""
    cells = index.segments[0].cells if len(index) else None
    lists = 0 if cells is None else cells.cell_count
    return _size(index.dimension, len(index), lists)


def _size(dimension: int, count: int, lists: int) -> int:
    size = _HEADER.size + count * (8 + 2 * dimension)
    return size + (lists + 2) * dimension * 4 + count * (4 + dimension) if lists else size


def write(index: Generation, out: Write) -> None:
    """Hand all bytes of ``index`` to ``out``, block by block; the same rows give the same bytes."""
    # cells speak of positions in one segment; rows alone are gathered from wherever they lie
    arrays = None
    if index.kind == "ivf_sq8":
        index = index.compacted()
        cells = index.segments[0].cells
        arrays = None if cells is None else cells.arrays()
    ids = index.ids()
    extra = (0, 0, 0) if arrays is None else (len(arrays.centroids), arrays.probes, arrays.trained_on)
    out(_HEADER.pack(_MAGIC, _VERSION, index.dimension, len(ids), *extra))
    out(ids.astype("<i8").data)
    for start in range(0, len(ids), _BLOCK_ROWS):
        out(index.stored_vectors(ids[start : start + _BLOCK_ROWS]).astype("<f2").data)
    if arrays is not None:
        for array, kind in (
            (arrays.centroids, "<f4"),
            (arrays.ranges, "<f4"),
            (arrays.members, "<i4"),
            (arrays.codes, "u1"),
        ):
            out(np.ascontiguousarray(array, dtype=kind).data)


def read(into: ReadInto, size: int, dimension: int, count: int) -> Generation:
    """The index in ``size`` bytes that ``into`` hands out in order.

    Nothing is allocated before the header agrees with ``size``, ``dimension`` and ``count``. Raises
    NotBelieved where it does not, or where the ids or cells cannot be.
    """
    raw = bytearray(_HEADER.size)
    into(memoryview(raw))
    magic, version, wide, rows_there, lists, probes, trained_on = _HEADER.unpack(raw)
    if magic != _MAGIC or version != _VERSION or bytes(raw[-24:]).strip(b"\0"):
        raise NotBelieved("the file is no snapshot")
    if (wide, rows_there) != (dimension, count) or size != _size(wide, rows_there, lists):
        raise NotBelieved("the file is not of the size that its header tells")
    ids = _array(into, "<i8", (count,))
    rows = StoredRows(dimension, count)
    for start in range(0, count, _BLOCK_ROWS):
        into(rows.buffer(start, min(start + _BLOCK_ROWS, count)))
    if count and (ids[0] < 0 or not (ids[1:] > ids[:-1]).all()):
        raise NotBelieved("the ids are not ascending")
    cells = None
    if lists:
        arrays = cell_room.CellArrays(
            _array(into, "<f4", (lists, dimension)),
            _array(into, "<f4", (2 * dimension,)),
            _array(into, "<i4", (count,)),
            _array(into, "u1", (count, dimension)),
            probes,
            trained_on,
        )
        try:
            cells = cell_room.assembled(arrays)
        except ValueError as error:
            raise NotBelieved("the cells do not fit together") from error
    return Generation(dimension, [Segment(ids, rows, count, cells=cells)] if count else [])


def _array(into: ReadInto, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.empty(shape, dtype=kind)
    if array.size:
        into(array.reshape(-1).view(np.uint8).data)
    return array
