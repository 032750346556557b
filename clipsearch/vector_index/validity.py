"""What may enter an index: knows when a row, a query or an id is refused, and names its position."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipsearch.errors import InvalidVector

# Rows come from float16 storage (error about 1e-5 in length); beyond this they were never normalised.
UNIT_TOLERANCE = 1e-2

_BLOCK = 16_384
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
# Between these a sum of squares is exact enough; what lies outside, and what is refused, takes the longer way.
_TINY, _HUGE = 1e-60, 1e60
_NAMED = 20  # positions named in the message; ``details`` has them all


def as_rows(vectors: ArrayLike, dimension: int, what: str) -> NDArray[Any]:
    """``vectors`` as an array [n, dimension] of any float or integer type, not copied if it is one.

    Nothing at all ([], or an array of no values) is no rows.

    Raises InvalidVector if the shape or the type is another.
    """
    try:
        array = np.asarray(vectors)
    except ValueError as error:
        raise InvalidVector(f"The {what} are not all of one length; {dimension} is wanted.") from error
    if array.ndim <= 2 and array.shape[0:1] == (0,):
        return np.empty((0, dimension), dtype=np.float32)
    if array.dtype.kind not in "fiu":
        raise InvalidVector(f"The {what} hold {array.dtype} values, not numbers.")
    if array.ndim != 2 or array.shape[1] != dimension:
        raise InvalidVector(
            f"The {what} have the shape {list(array.shape)}; [n, {dimension}] is wanted.",
            shape=list(array.shape),
            dimension=dimension,
        )
    return array


def unit_rows(vectors: ArrayLike, dimension: int) -> NDArray[Any]:
    """``vectors`` [n, dimension], checked to be finite and of unit length within 1e-2; not copied.

    Raises InvalidVector naming the positions of those that are not.
    """
    array = as_rows(vectors, dimension, "vectors")
    lengths = np.empty(len(array), dtype=np.float64)
    with np.errstate(all="ignore"):  # overflow and NaN are what is looked for
        for start in range(0, len(array), _BLOCK):
            block = array[start : start + _BLOCK].astype(np.float32)
            lengths[start : start + _BLOCK] = np.sqrt(np.einsum("nd,nd->n", block, block))
        wrong = ~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)
    if wrong.any():
        _refuse(np.flatnonzero(wrong), lengths, "vectors")
    return array


def unit_queries(queries: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """``queries`` ([n, dimension] or [dimension]) brought to unit length, float32 [n, dimension], contiguous.

    Raises InvalidVector naming the positions of those that are zero or not finite.
    """
    if isinstance(queries, np.ndarray) and queries.dtype in _FLOATS and queries.shape[-1:] == (dimension,):
        rows = queries.reshape(-1, dimension).astype(np.float64)
        squares = np.einsum("nd,nd->n", rows, rows)
        if queries.ndim <= 2 and ((squares > _TINY) & (squares < _HUGE)).all():
            rows /= np.sqrt(squares)[:, None]
            return rows.astype(np.float32)
    try:
        single = np.ndim(queries) == 1
    except ValueError:  # ragged: refused with words by as_rows
        single = False
    array = as_rows(np.asarray(queries)[None] if single else queries, dimension, "queries").astype(np.float64)
    with np.errstate(all="ignore"):
        # by the largest value first: squares of 1e200 or 1e-200 leave the range of a float
        largest = np.abs(array).max(axis=1, initial=0.0)
        wrong = ~(np.isfinite(largest) & (largest > 0))
        if wrong.any():
            _refuse(np.flatnonzero(wrong), largest, "queries")
        array /= largest[:, None]
        array /= np.linalg.norm(array, axis=1, keepdims=True)
    return np.ascontiguousarray(array, dtype=np.float32)


def _refuse(positions: NDArray[np.int64], lengths: NDArray[np.float64], what: str) -> None:
    """Raise InvalidVector with a reason for each position."""
    reasons = {int(position): _reason(float(lengths[position])) for position in positions}
    named = ", ".join(f"{position} ({reason})" for position, reason in list(reasons.items())[:_NAMED])
    more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    raise InvalidVector(
        f"{len(reasons)} of {len(lengths)} {what} cannot be used, at position {named}{more}.",
        positions=list(reasons),
        reasons={str(position): reason for position, reason in reasons.items()},
    )


def _reason(length: float) -> str:
    if not np.isfinite(length):
        return "not finite"
    return "zero" if length == 0 else f"length {length:.4g}, not 1"


def distinct_ids(ids: ArrayLike, count: int) -> NDArray[np.int64]:
    """``ids`` as int64 [count]; raises ValueError if they are negative, repeated, not whole or not ``count``.

    A ValueError and not an InvalidInput: ids are database keys, so a wrong one is a bug, not a request.
    """
    array = _whole_numbers(ids)
    if array.shape != (count,):
        raise ValueError(f"{count} vectors need {count} ids, not {list(array.shape)}")
    if count and array.min() < 0:
        raise ValueError(f"ids must not be negative: {array[array < 0][:_NAMED].tolist()}")
    ordered = np.sort(array)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if repeated.size:
        raise ValueError(f"ids must be distinct: {np.unique(repeated)[:_NAMED].tolist()}")
    return array


def id_set(ids: ArrayLike | None) -> NDArray[np.int64]:
    """``ids`` (None: none) as int64, ascending, each once; ValueError if they are not whole numbers."""
    if ids is None:
        return np.empty(0, dtype=np.int64)
    array = _whole_numbers(ids).reshape(-1)
    if array.size > 1 and not (array[1:] > array[:-1]).all():
        return np.unique(array)
    return array


def _whole_numbers(ids: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"ids must be whole numbers, not {array.dtype}")
    return array.astype(np.int64)
