"""Whether probabilities mean what they say: reliability, expected calibration error, Brier score and log loss.

ECE: Naeini, Cooper & Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning (2015), as Guo et
al., On Calibration of Modern Neural Networks (2017), equation 3, write it: sum over bins of (images in the bin / all)
* |accuracy - mean confidence|. Adaptive bins hold about equally many images (Nguyen & O'Connor 2015; Nixon et al.
2019). Brier score: Brier (1950), so from 0 to 2 for a choice among labels, and from 0 to 1 for yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from clipsearch.errors import InvalidInput
from clipsearch.label_set import BACKGROUND
from clipsearch.metrics import checking
from clipsearch.metrics.checking import Positions, Values

BINS = 15  # Guo et al. 2017
Binning = Literal["equal_width", "adaptive"]


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Confidences in b bins: their limits float64 [b + 1], images in each int64 [b], and the mean confidence and the
    share that was right, float64 [b], NaN for empty bins. A bin holds its upper limit, the first its lower one too.
    """

    limits: Values
    counts: Positions
    confidence: Values
    accuracy: Values

    @property
    def expected_error(self) -> float:
        """The expected calibration error, 0 (as said) to 1."""
        known = self.counts > 0
        gaps = np.abs(self.accuracy[known] - self.confidence[known])
        return float((gaps * self.counts[known]).sum() / self.counts.sum())

    @property
    def largest_error(self) -> float:
        """The maximum calibration error: the gap of the worst bin."""
        return float(np.nanmax(np.abs(self.accuracy - self.confidence)))


def reliability_bins(
    confidences: ArrayLike, right: ArrayLike, bins: int = BINS, binning: Binning = "equal_width"
) -> ReliabilityBins:
    """Images by confidence: float [n] from 0 to 1 (the probability of what was answered), and bool [n] whether that
    was right. For several labels give the probabilities and truths of all (image, label) pairs, flattened.

    Adaptive bins end at the quantiles, so equal confidences always share a bin. Raises InvalidInput for NaN, for
    probabilities outside 0 to 1, and for fewer than one bin.
    """
    values = checking.probabilities(confidences, "the confidences", dimensions=1)
    correct = checking.truths(right, "what was right", dimensions=1)
    checking.same_length(values, correct, "confidences and what was right")
    if bins < 1:
        raise InvalidInput(f"{bins} bins cannot hold anything; at least one is needed")
    shares = np.linspace(0.0, 1.0, bins + 1)
    limits = shares if binning == "equal_width" else np.percentile(values, shares * 100)
    places = np.searchsorted(limits[1:-1], values)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, weights=values, minlength=bins)
    hits = np.bincount(places, weights=correct, minlength=bins)
    nothing = np.full(bins, np.nan)
    return ReliabilityBins(
        limits=limits,
        counts=counts.astype(np.int64),
        confidence=np.divide(sums, counts, out=nothing.copy(), where=counts > 0),
        accuracy=np.divide(hits, counts, out=nothing.copy(), where=counts > 0),
    )


def calibration_error(
    confidences: ArrayLike, right: ArrayLike, bins: int = BINS, binning: Binning = "equal_width"
) -> float:
    """The expected calibration error of float [n] and bool [n], as ``reliability_bins`` reads them."""
    return reliability_bins(confidences, right, bins, binning).expected_error


def brier_score(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """For a choice among labels: the mean over images of sum over labels of (probability - truth)^2, 0 to 2.

    ``truth`` is int64 [n], ``probabilities`` float [n, c]. An image of none of them (BACKGROUND) expects 0 of every
    label.
    """
    true, values = _choice(truth, probabilities)
    # sum (p - y)^2 = sum p^2 - 2 p_true + 1: without a matrix of the truth.
    squares = np.einsum("nc,nc->n", values, values)
    inside = true != BACKGROUND
    squares[inside] += 1 - 2 * values[inside, true[inside]]
    return float(squares.mean())


def binary_brier_score(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """For yes or no, bool [n, c] and float [n, c]: the mean of (probability - truth)^2 over all pairs, 0 to 1."""
    shown, values = _pairs(truth, probabilities)
    return float(np.square(values - shown).mean())


def log_loss(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """For a choice among labels: the mean of -ln(probability of the true label), in nats.

    A probability is taken as at least the smallest step of float64 (2.2e-16), so one sure mistake costs 36, not
    infinity. Raises InvalidInput for images of none of the labels (BACKGROUND): give "none of these" a column.
    """
    true, values = _choice(truth, probabilities)
    if (true == BACKGROUND).any():
        raise InvalidInput(
            "the log loss needs a true label for each image: leave images of none of them out, or give "
            '"none of these" a column of its own'
        )
    return float(-np.log(_inside(values[np.arange(len(true)), true])).mean())


def binary_log_loss(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """For yes or no, bool [n, c] and float [n, c]: the mean of -ln(probability of what is true), in nats."""
    shown, values = _pairs(truth, probabilities)
    inside = _inside(values)
    return float(-np.where(shown, np.log(inside), np.log1p(-inside)).mean())


def _inside(values: Values) -> Values:
    step = np.finfo(np.float64).eps
    return np.clip(values, step, 1 - step)


def _choice(truth: ArrayLike, probabilities: ArrayLike) -> tuple[Positions, Values]:
    values = checking.probabilities(probabilities, "the probabilities", dimensions=2)
    true = checking.positions(truth, "the true labels", values.shape[1])
    checking.same_length(true, values, "true labels and probabilities")
    return true, values


def _pairs(truth: ArrayLike, probabilities: ArrayLike) -> tuple[checking.Truths, Values]:
    shown = checking.truths(truth, "the truth", dimensions=2)
    values = checking.probabilities(probabilities, "the probabilities", dimensions=2)
    checking.same_shape(shown, values, "truth and probabilities")
    return shown, values
