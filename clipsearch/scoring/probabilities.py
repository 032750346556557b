"""Logits to probabilities, in float64; knows how not to overflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def softmax(logits: Numbers) -> Numbers:
    """Rows of float64 [n, labels] that each add up to one (Radford et al. 2021, section 2.3)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Numbers = shifted.sum(axis=1, keepdims=True)
    probabilities: Numbers = shifted / total
    return probabilities


def sigmoid(logits: Numbers) -> Numbers:
    """Of each number 1 / (1 + exp(-x)), float64 of the same shape (Zhai et al. 2023, section 3.2)."""
    small = np.exp(-np.abs(logits))
    probabilities: Numbers = np.where(logits >= 0, 1.0, small) / (1.0 + small)
    return probabilities


def log_sum_exp(logits: Numbers, starts: NDArray[np.int64]) -> Numbers:
    """log(sum(exp(logits))) of each group of neighbouring columns, float64 [n, groups]; ``starts`` int64 [groups] are
    the first columns of the groups, none of which is empty."""
    largest = np.maximum.reduceat(logits, starts, axis=1)
    sizes = np.diff(np.append(starts, logits.shape[1]))
    sums = np.add.reduceat(np.exp(logits - np.repeat(largest, sizes, axis=1)), starts, axis=1)
    joined: Numbers = np.log(sums) + largest
    return joined
