"""Several labels for each image: average precision, and the threshold of each label that serves best.

``truth`` is bool [n, c], ``scores`` float [n, c]; any scores will do that rise with the label's being there. A
threshold accepts what is equal to it or above. Average precision is the step sum of Zhu, Recall, Precision and
Average Precision (2004), without interpolation: sum over thresholds of (recall_n - recall_(n-1)) * precision_n, equal
scores as one step. A label that no image shows has none (NaN) and is left out of the macro mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipsearch.metrics import checking
from clipsearch.metrics.checking import Positions, Truths, Values
from clipsearch.metrics.classification import PerClass, mean_of_known, per_class_of


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """What each threshold would give, float64 [t] each, thresholds ascending: every distinct score of the label.

    ``recall`` and ``f1`` are NaN where no image shows the label.
    """

    thresholds: Values
    precision: Values
    recall: Values
    f1: Values


@dataclass(frozen=True)
class BestThreshold:
    """The threshold with the highest F1, and what it gives on these images."""

    threshold: float
    precision: float
    recall: float
    f1: float


class LabelRanking:
    """The images of every label, best first, sorted once: average precision of any resample without sorting again."""

    def __init__(self, truth: ArrayLike, scores: ArrayLike) -> None:
        shown, values = _both(truth, scores)
        self.images, self.labels = shown.shape
        self._order: Positions = np.argsort(-values.T, axis=1, kind="stable")
        ordered = np.take_along_axis(values.T, self._order, axis=1)
        # Where a run of equal scores ends: a threshold takes all of a run or nothing of it.
        ends = np.ones(ordered.shape, np.bool_)
        ends[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
        runs: Positions = np.cumsum(ends) - ends.ravel()  # each place's run, counted over all labels
        # Only places that show their label add to the sum: which label's they are, where they stand, where their
        # run ends, and which of them is the last of that run.
        self._shown: Positions = np.flatnonzero(np.take_along_axis(shown.T, self._order, axis=1))
        self._label: Positions = self._shown // self.images
        self._end: Positions = np.flatnonzero(ends)[runs[self._shown]]
        self._last: Positions = np.searchsorted(self._shown, self._end, side="right") - 1
        self._first: Positions = np.searchsorted(self._label, np.arange(self.labels))

    def average_precisions(self, rows: NDArray[np.int64] | None = None) -> Values:
        """float64 [c], NaN for labels without an image; over rows drawn with repetition where they are given."""
        counts = np.ones(self.images) if rows is None else np.bincount(rows, minlength=self.images).astype(np.float64)
        drawn = counts[self._order]
        taken = np.cumsum(drawn, axis=1).ravel()[self._end]
        weights = drawn.ravel()[self._shown]
        running = np.concatenate([[0.0], np.cumsum(weights)])
        right = running[self._last + 1] - running[self._first[self._label]]
        precision = np.divide(right, taken, out=np.zeros_like(right), where=taken > 0)
        found = np.bincount(self._label, weights, minlength=self.labels)
        gained = np.bincount(self._label, weights * precision, minlength=self.labels)
        precisions = np.full(self.labels, np.nan)
        np.divide(gained, found, out=precisions, where=found > 0)
        return precisions

    def mean_average_precision(self, rows: NDArray[np.int64] | None = None) -> float:
        """The macro mean over the labels that have images; NaN where none has."""
        return mean_of_known(self.average_precisions(rows))


def average_precisions(truth: ArrayLike, scores: ArrayLike) -> Values:
    """float64 [c]: the average precision of each label; NaN for labels that no image shows."""
    return LabelRanking(truth, scores).average_precisions()


def mean_average_precision(truth: ArrayLike, scores: ArrayLike) -> float:
    """mAP, macro: the mean over the labels that have images; each label counts the same. NaN where none has."""
    return mean_of_known(average_precisions(truth, scores))


def micro_average_precision(truth: ArrayLike, scores: ArrayLike) -> float:
    """mAP, micro: the average precision over all (image, label) pairs at once. NaN where no label is shown at all.

    It compares scores of different labels with each other, as one threshold for all of them would.
    """
    shown, values = _both(truth, scores)
    return float(average_precisions(shown.reshape(-1, 1), values.reshape(-1, 1))[0])


def threshold_curve(truth: ArrayLike, scores: ArrayLike) -> ThresholdCurve:
    """Precision, recall and F1 of one label, bool [n] and float [n], at each of its distinct scores."""
    shown, values = checking.truths(truth, "the truth", dimensions=1), checking.scores(scores, "scores", dimensions=1)
    checking.same_length(shown, values, "truth and scores")
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    right = np.cumsum(shown[order])[ends].astype(np.float64)
    taken = (ends + 1).astype(np.float64)
    positives = float(shown.sum())
    nothing = np.full(len(ends), np.nan)
    return ThresholdCurve(
        thresholds=ordered[ends][::-1],
        precision=(right / taken)[::-1],
        recall=(right / positives if positives else nothing)[::-1],
        f1=(2 * right / (positives + taken) if positives else nothing)[::-1],
    )


def threshold_curves(truth: ArrayLike, scores: ArrayLike) -> list[ThresholdCurve]:
    """The curve of each label of bool [n, c] and float [n, c]."""
    shown, values = _both(truth, scores)
    return [threshold_curve(shown[:, label], values[:, label]) for label in range(shown.shape[1])]


def best_threshold(curve: ThresholdCurve) -> BestThreshold | None:
    """The threshold with the highest F1; of equal ones the highest. None where no image shows the label.

    It is put half-way between the lowest score it accepts and the next one below, so that rounding when it is
    written down changes nothing; where it accepts everything it is the lowest score itself.
    """
    if np.isnan(curve.f1[0]):
        return None
    place = len(curve.f1) - 1 - int(np.argmax(curve.f1[::-1]))
    accepted = float(curve.thresholds[place])
    threshold = accepted
    if place:
        refused = float(curve.thresholds[place - 1])
        halfway = refused + (accepted - refused) / 2
        threshold = halfway if halfway > refused else accepted
    return BestThreshold(threshold, float(curve.precision[place]), float(curve.recall[place]), float(curve.f1[place]))


def per_label(truth: ArrayLike, accepted: ArrayLike) -> PerClass:
    """Recall, precision and F1 of each label from bool [n, c] twice: what is shown, and what was accepted."""
    shown, given = (checking.truths(values, "the labels", dimensions=2) for values in (truth, accepted))
    checking.same_shape(shown, given, "true and accepted labels")
    return per_class_of(shown.sum(axis=0), given.sum(axis=0), (shown & given).sum(axis=0))


def _both(truth: ArrayLike, scores: ArrayLike) -> tuple[Truths, Values]:
    shown = checking.truths(truth, "the truth", dimensions=2)
    values = checking.scores(scores, "the scores", dimensions=2)
    checking.same_shape(shown, values, "truth and scores")
    return shown, values
