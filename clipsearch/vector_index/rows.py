"""Float16 rows by position and the exact search over them; knows how faiss keeps and scans them.

The rows live once, in the memory of a faiss scalar quantizer whose codes *are* little-endian float16, and are
read there for re-scoring too. Scores that leave this module are float32 sums over the stored rows, summed in
one fixed order, so equal rows score equal bits whatever path found them.
"""

from __future__ import annotations

from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

# its stubs describe the C++ signatures, not those of the Python wrappers around them
faiss: Any = _faiss

# faiss sums in another order than we do; measured difference 2.4e-7 on 512 dimensions.
_ROUNDING = 2e-6
# Fetched beyond k, so that the rows tied with the last one are mostly seen on the first pass.
_SPARE = 16
_WIDER = 8
_BLOCK_VALUES = 4_000_000  # float32 values of a re-scoring block: 16 MB

Found = tuple[NDArray[np.int64], NDArray[np.float32]]


def best_first(ids: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Found:
    """The ``k`` best columns of each line of ``ids`` and ``scores`` [n, w], by score, then smaller id."""
    order = np.lexsort((ids, -scores), axis=-1)[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)


def selector(allowed: NDArray[np.bool_]) -> Any:
    """A faiss selector of the positions where ``allowed`` is true (it keeps the bits alive itself)."""
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


class StoredRows:
    """``count`` rows of ``dimension`` float16 values. Filled by who makes it, never changed after that."""

    def __init__(self, dimension: int, count: int) -> None:
        self.dimension = dimension
        self._scan = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._values: NDArray[np.float16] = np.empty((0, dimension), dtype=np.float16)
        if count:
            # resized once and filled in place: adding block by block would leave up to twice the memory
            self._scan.codes.resize(count * dimension * 2)
            self._scan.ntotal = count
            codes = faiss.rev_swig_ptr(self._scan.codes.data(), count * dimension * 2)
            # a view into faiss's memory: it must not leave this object, which keeps that memory alive
            self._values = codes.view("<f2").reshape(count, dimension)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the rows."""
        return int(self._values.nbytes)

    def put(self, positions: NDArray[np.int64] | slice, values: NDArray[Any]) -> None:
        """Write rows while building; ``values`` [m, dimension] of any float type are rounded to float16."""
        self._values[positions] = values

    def buffer(self, start: int, stop: int) -> memoryview:
        """The bytes of rows ``start`` to ``stop``, to read a file into while building."""
        return self._values[start:stop].reshape(-1).view(np.uint8).data

    def take(self, positions: NDArray[np.int64] | slice) -> NDArray[np.float16]:
        """Rows at ``positions``, float16 [m, dimension]; a copy."""
        return np.array(self._values[positions])

    def subset(self, positions: NDArray[np.int64]) -> StoredRows:
        """The rows at ``positions`` copied together, in that order."""
        rows = StoredRows(self.dimension, len(positions))
        rows.put(slice(None), self._values[positions])
        return rows

    def scores(self, queries: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines of query i with the rows at ``positions[i]``, float32 [n, w]; -inf for position -1."""
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

    def best(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None) -> Found:
        """The exact ``k`` best allowed positions of each query and their scores, [n, min(k, allowed)].

        ``queries`` float32 [n, dimension] of unit length; ``allowed`` bool [count], None for all.
        """
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, count)
        positions = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if k <= 0:
            return positions, scores
        chosen = None if allowed is None else selector(allowed)
        parameters = None if chosen is None else faiss.SearchParameters(sel=chosen)
        pending = np.arange(len(queries))
        width = min(count, k + _SPARE)
        while pending.size:
            coarse, candidates = self._scan.search(queries[pending], width, params=parameters)
            exact = self.scores(queries[pending], candidates)
            positions[pending], scores[pending] = best_first(candidates, exact, k)
            # What was not fetched scores at most as the last fetched. If the k-th is not clearly above that,
            # rows with equal scores may have been left behind (a picture stored a hundred times): look wider.
            settled = scores[pending, -1] > np.minimum(coarse[:, -1], 1.0) + _ROUNDING
            pending = pending[~settled] if width < count else pending[:0]
            width = min(count, width * _WIDER)
        return positions, scores
