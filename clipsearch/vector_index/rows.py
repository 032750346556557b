"""Float16 rows by position and the exact search over them; knows how faiss keeps and scans them.

The rows live once, in the memory of a faiss scalar quantizer whose codes *are* little-endian float16, and are
read there for re-scoring too; or they lie in a mapped file, and the quantizer looks at them there. Scores that leave
this module are float32 sums over the stored rows, summed in one fixed order, so equal rows score equal bits whatever
path found them.
"""

from __future__ import annotations

import struct
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes

# its stubs describe the C++ signatures, not those of the Python wrappers around them
faiss: Any = _faiss

# faiss sums in another order than we do; measured difference 2.4e-7 on 512 dimensions.
_ROUNDING = 2e-6
# Fetched beyond k, so that the rows tied with the last one are mostly seen on the first pass.
_SPARE = 16
_WIDER = 8
_BLOCK_VALUES = 4_000_000  # float32 values of a re-scoring block: 16 MB
_PRODUCT_ROWS = 8_192
_ALIGNED = 64
_FEW = 4
_CORES = faiss.omp_get_max_threads()

Found = tuple[NDArray[np.int64], NDArray[np.float32]]


def best_first(ids: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Found:
    """The ``k`` best columns of each line of ``ids`` and ``scores`` [n, w], by score, then smaller id."""
    if len(ids) == 1:
        one = np.lexsort((ids[0], -scores[0]))[:k]
        return ids[:, one], scores[:, one]
    order = np.lexsort((ids, -scores), axis=-1)[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)


def selector(allowed: NDArray[np.bool_]) -> Any:
    """A faiss selector of the positions where ``allowed`` is true (it keeps the bits alive itself)."""
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def spread(queries: int) -> None:
    """Have this thread's next search use one core for a few queries and every core for many.

    Waking other threads takes longer than a search does, above all where a server's threads search side by side.
    """
    faiss.omp_set_num_threads(1 if queries < _FEW else _CORES)


def _empty_scan(dimension: int) -> Any:
    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def scan_header(dimension: int, count: int) -> bytes:
    """What faiss, in its own file format, writes before ``count`` rows: with it they can be scanned where they lie."""
    scan = _empty_scan(dimension)
    scan.ntotal = count
    raw = bytes(faiss.serialize_index(scan))
    return raw[:-8] + struct.pack("<Q", count * dimension * 2)  # the length of the codes, which follow


class StoredRows:
    """``count`` rows of ``dimension`` float16 values. Filled by who makes it, never changed after that."""

    def __init__(self, dimension: int, count: int) -> None:
        self.dimension = dimension
        self.mapped = False
        self._scan = _empty_scan(dimension)
        self._values: NDArray[np.float16] = np.empty((0, dimension), dtype=np.float16)
        if count:
            # resized once and filled in place: adding block by block would leave up to twice the memory
            self._scan.codes.resize(count * dimension * 2)
            self._scan.ntotal = count
            codes = faiss.rev_swig_ptr(self._scan.codes.data(), count * dimension * 2)
            # a view into faiss's memory: it must not leave this object, which keeps that memory alive
            self._values = codes.view("<f2").reshape(count, dimension)

    @classmethod
    def over(cls, dimension: int, count: int, memory: NDArray[np.uint8]) -> StoredRows:
        """Rows in read-only ``memory``, uint8: `scan_header`, then the rows. Not copied, but where the header is one
        of another version of faiss."""
        header = scan_header(dimension, count)
        if not count or memory[: len(header)].tobytes() != header:
            rows = cls(dimension, count)
            rows.put(slice(None), memory[len(memory) - count * dimension * 2 :].view("<f2").reshape(count, dimension))
            return rows
        rows = cls(dimension, 0)
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(memory), len(memory))
        rows._scan = faiss.read_index(reader, faiss.IO_FLAG_MMAP_IFC)
        # a view of the mapping, which it keeps alive for the quantizer too
        rows._values = memory[len(header) :].view("<f2").reshape(count, dimension)
        rows.mapped = True
        return rows

    def __len__(self) -> int:
        return len(self._values)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the rows."""
        return int(self._values.nbytes)

    def put(self, positions: NDArray[np.int64] | slice, values: NDArray[Any]) -> None:
        """Write rows while building; ``values`` [m, dimension] of any float type are rounded to float16."""
        self._values[positions] = values

    @property
    def values(self) -> NDArray[np.float16]:
        """All rows, float16 [count, dimension]: a view, to be read while this object is held."""
        return self._values

    def take(self, positions: NDArray[np.int64] | slice) -> NDArray[np.float16]:
        """Rows at ``positions``, float16 [m, dimension]; a copy."""
        return np.array(self._values[positions])

    def subset(self, positions: NDArray[np.int64]) -> StoredRows:
        """The rows at ``positions`` copied together, in that order."""
        if not len(positions):
            return StoredRows(self.dimension, 0)
        header = np.frombuffer(scan_header(self.dimension, len(positions)), dtype=np.uint8)
        begin = -len(header) % _ALIGNED
        end = begin + len(header)
        memory = np.empty(end + len(positions) * self.dimension * 2, dtype=np.uint8)
        memory[begin:end] = header
        # copied once, to where faiss will look at them: it would fill memory of its own with zeros first
        rows = memory[end:].view("<f2").reshape(len(positions), self.dimension)
        np.take(self._values, positions, axis=0, out=rows, mode="clip")
        return StoredRows.over(self.dimension, len(positions), memory[begin:])

    def scores(self, queries: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines of query i with the rows at ``positions[i]``, float32 [n, w]; -inf for position -1."""
        if len(queries) == 1:  # the same sums, with less around them
            products = self._values[positions[0]].astype(np.float32)
            products *= queries[0]
            one: NDArray[np.float32] = products.sum(axis=1)
            np.minimum(one, 1.0, out=one)
            np.maximum(one, -1.0, out=one)
            one[positions[0] < 0] = -np.inf
            return one[None]
        wanted = positions.reshape(-1)
        owners = np.repeat(np.arange(len(queries)), positions.shape[1])
        scores = np.empty(wanted.size, dtype=np.float32)
        block = max(1, _BLOCK_VALUES // self.dimension)
        for start in range(0, wanted.size, block):
            part = slice(start, start + block)
            products = self._values[wanted[part]].astype(np.float32)
            products *= queries[owners[part]]
            # not a matrix product: BLAS sums a row differently depending on where it stands
            scores[part] = products.sum(axis=1)
        # a row of unit length within float16 can pass 1 by 1e-5: no cosine does
        np.clip(scores, -1.0, 1.0, out=scores)
        scores[wanted < 0] = -np.inf
        return scores.reshape(positions.shape)

    def best(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        chosen: Any = None,
    ) -> Found:
        """The exact ``k`` best allowed positions of each query and their scores, [n, min(k, allowed)].

        ``queries`` float32 [n, dimension] of unit length; ``allowed`` bool [count], None for all;
        ``chosen`` its `selector`, where one is at hand.
        """
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, count)
        positions = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if k <= 0:
            return positions, scores
        chosen = chosen or (None if allowed is None else selector(allowed))
        pending = np.arange(len(queries))
        width = min(count, k + _SPARE)
        while pending.size:
            if len(pending) >= sizes.PRODUCT_QUERIES:
                coarse, candidates = self._products(queries[pending], width, allowed)
            else:
                spread(len(pending))
                parameters = None if chosen is None else faiss.SearchParameters(sel=chosen)
                coarse, candidates = self._scan.search(queries[pending], width, params=parameters)
            exact = self.scores(queries[pending], candidates)
            positions[pending], scores[pending] = best_first(candidates, exact, k)
            # What was not fetched scores at most as the last fetched. If the k-th is not clearly above that,
            # rows with equal scores may have been left behind (a picture stored a hundred times): look wider.
            settled = scores[pending, -1] > np.minimum(coarse[:, -1], 1.0) + _ROUNDING
            pending = pending[~settled] if width < count else pending[:0]
            width = min(count, width * _WIDER)
        return positions, scores

    def _products(
        self, queries: NDArray[np.float32], width: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ``width`` best scores and their positions, best first: every row is read once for all queries."""
        scores = np.empty((len(queries), 0), dtype=np.float32)
        positions = np.empty((len(queries), 0), dtype=np.int64)
        for start in range(0, len(self), _PRODUCT_ROWS):
            block = self._values[start : start + _PRODUCT_ROWS]
            places = np.arange(start, start + len(block))
            if allowed is not None:
                mask = allowed[start : start + len(block)]
                block, places = block[mask], places[mask]
            products = queries @ block.astype(np.float32).T
            scores = np.concatenate([scores, products], axis=1)
            positions = np.concatenate([positions, np.broadcast_to(places, products.shape)], axis=1)
            if scores.shape[1] > width:
                best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
                scores = np.take_along_axis(scores, best, axis=1)
                positions = np.take_along_axis(positions, best, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(positions, order, axis=1)
