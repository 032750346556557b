"""What the figures are computed from, checked once; alone knows what is refused, and with which words.

Rows are images. Positions count the labels of a set from 0; ``BACKGROUND`` (-1) stands for none of them: the truth
of an image that shows nothing of the set, or the answer where every label was rejected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipsearch.errors import InvalidInput
from clipsearch.label_set import BACKGROUND

Positions = NDArray[np.int64]
Truths = NDArray[np.bool_]
Values = NDArray[np.float64]


def positions(values: ArrayLike, what: str, classes: int | None = None, *, dimensions: int = 1) -> Positions:
    """Whole numbers as int64 from BACKGROUND on, below ``classes`` where it is given.

    Raises InvalidInput for an empty array, for other shapes and for positions out of range.
    """
    given = np.asarray(values)
    _check_shape(given, what, dimensions)
    if given.dtype.kind not in "iu":
        raise InvalidInput(f"{what}: positions of labels are whole numbers, not {given.dtype}")
    checked: Positions = given.astype(np.int64)
    lowest, highest = int(checked.min()), int(checked.max())
    if lowest < BACKGROUND or (classes is not None and highest >= classes):
        found = lowest if lowest < BACKGROUND else highest
        limit = "any number" if classes is None else str(classes - 1)
        raise InvalidInput(f"{what}: {found} is no position of a label; they go from {BACKGROUND} (none) to {limit}")
    return checked


def scores(values: ArrayLike, what: str, *, dimensions: int) -> Values:
    """Finite numbers as float64. Raises InvalidInput for NaN, infinity, an empty array and other shapes."""
    given = np.asarray(values)
    _check_shape(given, what, dimensions)
    if given.dtype.kind not in "fiu":
        raise InvalidInput(f"{what}: numbers are needed, not {given.dtype}")
    checked: Values = given.astype(np.float64)
    wrong = np.argwhere(~np.isfinite(checked))
    if len(wrong):
        where = ", ".join(str(number) for number in wrong[0].tolist())
        raise InvalidInput(
            f"{what}: {len(wrong)} of {checked.size} numbers are not finite (the first at {where}); "
            "leave such images out and say so"
        )
    return checked


def probabilities(values: ArrayLike, what: str, *, dimensions: int) -> Values:
    """Numbers from 0 to 1 as float64. Raises InvalidInput as ``scores`` does, and for numbers outside."""
    checked = scores(values, what, dimensions=dimensions)
    lowest, highest = float(checked.min()), float(checked.max())
    # A sum of float32 probabilities may stand a rounding above one.
    if lowest < 0 or highest > 1 + 1e-6:
        raise InvalidInput(f"{what}: probabilities lie between 0 and 1; these go from {lowest:.6g} to {highest:.6g}")
    return np.minimum(checked, 1.0)


def truths(values: ArrayLike, what: str, *, dimensions: int) -> Truths:
    """Yes and no as bool; 0 and 1 are read as such. Raises InvalidInput for anything else."""
    given = np.asarray(values)
    _check_shape(given, what, dimensions)
    if given.dtype.kind != "b" and not (given.dtype.kind in "fiu" and bool(np.isin(given, (0, 1)).all())):
        raise InvalidInput(f"{what}: yes or no is needed for each (True and False, or 1 and 0)")
    checked: Truths = given.astype(np.bool_)
    return checked


def same_length(first: NDArray[Any], second: NDArray[Any], what: str) -> None:
    """Raises InvalidInput unless both have the same number of rows."""
    if len(first) != len(second):
        raise InvalidInput(f"{what}: {len(first)} rows against {len(second)}; there must be one for each image in both")


def same_shape(first: NDArray[Any], second: NDArray[Any], what: str) -> None:
    """Raises InvalidInput unless both have the same shape."""
    if first.shape != second.shape:
        raise InvalidInput(f"{what}: the shapes {list(first.shape)} and {list(second.shape)} do not fit together")


def class_count(classes: int) -> int:
    """The number of labels. Raises InvalidInput below one."""
    if classes < 1:
        raise InvalidInput("there are no labels to measure by")
    return classes


def depth(k: int) -> int:
    """How many answers are looked at. Raises InvalidInput below one."""
    if k < 1:
        raise InvalidInput(f"k is {k}; at least one answer has to be looked at")
    return k


def _check_shape(given: NDArray[Any], what: str, dimensions: int) -> None:
    if given.ndim != dimensions:
        raise InvalidInput(f"{what}: {dimensions} dimensions are needed, not {given.ndim}")
    if given.size == 0:
        raise InvalidInput(f"{what}: there is nothing to measure; no image with a known answer is there")
