"""Two sides on the same images, image by image: who is right where the other is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from clipsearch.metrics import checking


@dataclass(frozen=True)
class McNemar:
    """Images by who was right. ``p_value`` is the exact two-sided one: how likely so uneven a split of the images on
    which the sides differ would be, were both equally good (McNemar 1947; binomial with one half)."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """The counts and the exact p-value from bool [n] twice: whether each side was right about each image."""
    one = checking.truths(first, "the first side", dimensions=1)
    two = checking.truths(second, "the second side", dimensions=1)
    checking.same_length(one, two, "the two sides")
    only_first, only_second = int((one & ~two).sum()), int((~one & two).sum())
    return McNemar(
        both=int((one & two).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~one & ~two).sum()),
        p_value=_two_sided(min(only_first, only_second), only_first + only_second),
    )


def _two_sided(fewer: int, trials: int) -> float:
    """min(1, 2 P(X <= fewer)) for X binomial with ``trials`` and one half."""
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) - trials * math.log(2)
        for k in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))
