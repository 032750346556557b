"""Scores to relevance: what unrelated queries of the same kind score on a collection, and how far above it one stands.

**Texts.** ``S[i, b]`` is the cosine of image ``i`` of a sample with background text ``b``. A text says little about
nearly every image, so that the middle of a text's scores is what it gives to images that have nothing to do with it,
and their spread about that middle is noise:

    middle = median_b median_i S[i, b]
    noise² = (n · noise_w² + 3 · (0.4 · spread)²) / (n + 3)
        noise_w = median_b MAD_i(S[i, b]) · 1.4826,  spread = MAD(S) · 1.4826,  n images

The second part stands in where there are too few images to tell. The query's own middle is used as far as the images
are enough to know it, and only by a third, since a text that fits every image a little also fits its matches more:

    base(q) = middle + n / (n + 25) / 3 · (median_i s_i − middle)

The best of n unrelated scores lies about z(n) noises above the base, z(n) = Φ⁻¹(1 − 1/n), with n at least 60. A query
that matches something has its best score well beyond that, and its other matches not far below the best one. So
relevance is the weaker of two ratios, brought to 0..1:

    there = (best − base) / (1.4 · z(n) · noise),   near = (s − base) / (0.35 · (best − base))
    r = min(there, near),   relevance = r⁸ / (1 + r⁸)

1/2 is where either turns. The noise is the model's own, so one cut serves models whose cosines differ widely.

**Images.** Two pictures are always a little alike, and how much follows the collection. The yardstick is what pairs
drawn at random score: r = (s − base) / (quantile(0.98) − middle). Fewer than ``FEWEST_IMAGES`` images make none. An
exact copy always has at least 1/2.

The constants were chosen by measurement (docs/relevance.md). Relevance rises with the score for one query, and an
order of images or texts changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

# The automatic cut: an image as likely to be a match as not stays.
AUTO_CUT = 0.5
FEWEST_IMAGES = 20

_OWN_MIDDLE = 1 / 3
_IMAGES_FOR_MIDDLE = 25
_IMAGES_FOR_NOISE = 3
_NOISE_OF_SPREAD = 0.4
_BEYOND_CHANCE = 1.4
_FEWEST_DRAWS = 60
_NEAR_BEST = 0.35
_STEEPNESS = 8
_UNUSUAL = 0.98
_MAD = 1.4826  # of a normal distribution's deviation
# Of collections whose images are all the same, so that nothing is divided by zero.
_LEAST_STEP = 1e-4
# The score of a copy, less what rounding may take from it.
_COPY = 1 - 1e-5


@dataclass(frozen=True)
class Scale:
    """Relevance of one query's scores. ``even`` is the score of relevance 1/2 for images other than the best."""

    base: float
    even: float
    there: float

    def relevance(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Float64, 0 to 1, of scores of any shape; never falls where a score rises."""
        ratio = np.clip((np.asarray(scores, dtype=np.float64) - self.base) / (self.even - self.base), 0.0, self.there)
        powered = np.minimum(ratio, 100.0) ** _STEEPNESS
        relevant: NDArray[np.float64] = powered / (1.0 + powered)
        return relevant

    def least_score(self, relevance: float) -> float | None:
        """The score from which on an image has this relevance; None where no image of the collection can have it, and
        for 0, which every image has."""
        if relevance <= 0.0:
            return None
        ratio = (relevance / (1.0 - relevance)) ** (1 / _STEEPNESS) if relevance < 1.0 else np.inf
        return None if ratio > self.there or np.isinf(ratio) else self.base + ratio * (self.even - self.base)


@dataclass(frozen=True)
class Yardstick:
    """What unrelated queries of one kind score on a collection.

    ``middle`` is the usual score, ``step`` how far above it an image is as likely a match as not, ``images`` how many
    the figures were taken from. With ``by_best`` the step is for the best image, and the others are held against it.
    """

    middle: float
    step: float
    images: int
    by_best: bool

    def scale(self, own: NDArray[np.floating], best: float) -> Scale:
        """For a query with these scores ``own`` [n] over the sample, whose best score anywhere is ``best``."""
        base = self.middle
        if own.size:
            share = _OWN_MIDDLE * own.size / (own.size + _IMAGES_FOR_MIDDLE)
            base += share * (float(np.median(own)) - self.middle)
        if not self.by_best:
            # Where nearly all images are copies of one another, a copy is still as like as can be.
            even = min(base + self.step, _COPY)
            return Scale(min(base, even - _LEAST_STEP), even, np.inf)
        above = max(best - base, 0.0)
        return Scale(base, base + max(_NEAR_BEST * above, _LEAST_STEP), above / self.step)


def text_yardstick(scores: NDArray[np.floating], collection_images: int) -> Yardstick:
    """From the scores [images, background texts] of a sample; NaN is left out. ``collection_images`` are drawn from."""
    images = scores.shape[0]
    by_text = np.ascontiguousarray(scores.T, dtype=np.float64)
    # The median that minds NaN is several times slower.
    median = np.nanmedian if np.isnan(by_text).any() else np.median
    middles = median(by_text, axis=1)
    middle = float(np.median(middles))
    within = float(np.median(median(np.abs(by_text - middles[:, None]), axis=1))) * _MAD
    spread = float(median(np.abs(by_text - middle))) * _MAD
    assumed = (_NOISE_OF_SPREAD * spread) ** 2
    noise = ((images * within**2 + _IMAGES_FOR_NOISE * assumed) / (images + _IMAGES_FOR_NOISE)) ** 0.5
    chance = NormalDist().inv_cdf(1 - 1 / max(collection_images, _FEWEST_DRAWS))
    return Yardstick(middle, max(_BEYOND_CHANCE * chance * noise, _LEAST_STEP), images, by_best=True)


def image_yardstick(scores: NDArray[np.floating]) -> Yardstick | None:
    """From the scores [images, other images] of a sample, NaN where an image meets itself; None for too few images."""
    images = scores.shape[0]
    if images < FEWEST_IMAGES:
        return None
    middle, unusual = (float(found) for found in np.nanquantile(scores, [0.5, _UNUSUAL]))
    return Yardstick(middle, max(unusual - middle, _LEAST_STEP), images, by_best=False)
