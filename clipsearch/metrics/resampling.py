"""How sure a figure is: the percentile bootstrap over images, alone and of two sides on the same images.

Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 13.3: the figure is computed anew from as many
images drawn with repetition, many times, and the interval holds the middle share of what came out. Two sides are
compared by drawing the same images for both, so that hard images are hard for both. The same seed draws the same
images, whatever the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipsearch.errors import InvalidInput
from clipsearch.metrics import checking
from clipsearch.metrics.checking import Positions, Values

SAMPLES = 1000
LEVEL = 0.95

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure on all images, and between which bounds it lies in the share ``level`` of the resamples.

    Bounds are NaN where no resample had a value.
    """

    estimate: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Difference(Interval):
    """The second side less the first: the estimate, its bounds, and the share of resamples in which the second is
    ahead (a draw counts half). The sides differ for sure enough where the bounds do not hold 0."""

    second_ahead: float = float("nan")


@dataclass(frozen=True)
class Drawing:
    """How resamples are drawn: how many, from which seed, between which bounds, and within which ``strata``.

    With ``strata`` int64 [n] (the true labels, say) each stratum keeps its number of images in every resample.
    """

    samples: int = SAMPLES
    seed: int = 0
    level: float = LEVEL
    strata: Positions | None = None

    def rows(self, images: int) -> Iterator[Rows]:
        """Row numbers int64 [images], drawn with repetition, ``samples`` times."""
        if images < 1:
            raise InvalidInput("there are no images to draw from")
        if self.samples < 1 or not 0 < self.level < 1:
            raise InvalidInput("an interval needs at least one resample, and a level between 0 and 1")
        groups = [np.arange(images)] if self.strata is None else self._groups(images)
        random = np.random.default_rng(self.seed)
        for _ in range(self.samples):
            yield np.concatenate([group[random.integers(0, len(group), len(group))] for group in groups])

    def _groups(self, images: int) -> list[Rows]:
        strata = np.asarray(self.strata)
        if strata.shape != (images,):
            raise InvalidInput(f"the strata have the shape {list(strata.shape)}; one for each of {images} images fits")
        order = np.argsort(strata, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)


def interval(figure: Callable[[Rows], float], images: int, drawing: Drawing | None = None) -> Interval:
    """The interval of one figure. ``figure`` is given row numbers and computes it on them; NaN means it has no value
    there (a label of which no image was drawn), and such resamples are left out."""
    return intervals(lambda rows: np.array([figure(rows)]), images, drawing)[0]


def intervals(figures: Callable[[Rows], Values], images: int, drawing: Drawing | None = None) -> list[Interval]:
    """The intervals of several figures that are computed together: float64 [m] from row numbers."""
    drawing = drawing or Drawing()
    estimates = figures(np.arange(images))
    drawn = np.stack([figures(rows) for rows in drawing.rows(images)])
    lows, highs = _bounds(drawn, drawing.level)
    return [
        Interval(estimate, low, high, drawing.level)
        for estimate, low, high in zip(estimates.tolist(), lows, highs, strict=True)
    ]


def mean_interval(values: ArrayLike, drawing: Drawing | None = None) -> Interval:
    """The interval of the mean of one number for each image, float or bool [n]: of an accuracy from ``hits_at``."""
    given = _plain(values)
    return interval(lambda rows: float(given[rows].mean()), len(given), drawing)


def difference(
    first: Callable[[Rows], float], second: Callable[[Rows], float], images: int, drawing: Drawing | None = None
) -> Difference:
    """The second side's figure less the first's, with the same images drawn for both (paired bootstrap)."""
    drawing = drawing or Drawing()
    everything = np.arange(images)
    drawn = np.array([second(rows) - first(rows) for rows in drawing.rows(images)])
    lows, highs = _bounds(drawn[:, None], drawing.level)
    known = drawn[~np.isnan(drawn)]
    ahead = float(((known > 0) + 0.5 * (known == 0)).mean()) if len(known) else float("nan")
    return Difference(second(everything) - first(everything), lows[0], highs[0], drawing.level, ahead)


def mean_difference(first: ArrayLike, second: ArrayLike, drawing: Drawing | None = None) -> Difference:
    """The difference of two means over the same images, float or bool [n] twice, row by row the same image."""
    before, after = _plain(first), _plain(second)
    checking.same_length(before, after, "the two sides")
    return difference(
        lambda rows: float(before[rows].mean()), lambda rows: float(after[rows].mean()), len(before), drawing
    )


def _bounds(drawn: Values, level: float) -> tuple[list[float], list[float]]:
    """The lower and upper bounds of float64 [samples, m], column by column, without NaN."""
    lows, highs = [], []
    for column in drawn.T:
        known = column[~np.isnan(column)]
        tail = (1 - level) / 2
        low, high = np.quantile(known, [tail, 1 - tail]).tolist() if len(known) else (float("nan"), float("nan"))
        lows.append(low)
        highs.append(high)
    return lows, highs


def _plain(values: ArrayLike) -> Values:
    given = np.asarray(values)
    return checking.scores(given.astype(np.float64) if given.dtype.kind == "b" else given, "the values", dimensions=1)
