"""One label for each image against the true one: accuracy, recall, precision and what is taken for what.

``truth`` and ``predicted`` are int64 [n], positions of labels; ``BACKGROUND`` (-1) is the answer "none of these" and
counts as right only where the truth says so too. What has no value (the recall of a class without images) is NaN,
and is left out of means. Formulas: Manning, Raghavan & Schuetze, Introduction to Information Retrieval (2008),
sections 8.3 and 13.6; the mean per-class recall is what ImageNet's relatives call mean per-class accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clipsearch.errors import InvalidInput
from clipsearch.label_set import BACKGROUND
from clipsearch.metrics import checking
from clipsearch.metrics.checking import Positions, Truths, Values

# A matrix of so many classes takes 800 MB; beyond that the pairs tell the same.
MOST_CLASSES = 10_000


@dataclass(frozen=True, eq=False)
class PerClass:
    """For each of c labels, in the set's order: images that show it and images that got it, int64 [c]; recall,
    precision and F1, float64 [c], NaN where there is nothing to divide by.

    recall = right / support, precision = right / predicted, F1 = 2 right / (support + predicted).
    """

    support: Positions
    predicted: Positions
    right: Positions
    recall: Values
    precision: Values
    f1: Values

    @property
    def mean_recall(self) -> float:
        """The mean over the labels that have images; NaN where none has."""
        return mean_of_known(self.recall)

    @property
    def mean_f1(self) -> float:
        """The mean over the labels that have images or were given to one (macro F1)."""
        return mean_of_known(self.f1)


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one label that were taken for another: both positions, how many, and their share of the true
    label's images."""

    truth: int
    predicted: int
    count: int
    share: float


@dataclass(frozen=True, eq=False)
class ClassDistribution:
    """How often each label is true and how often it was given, int64 [c], and the same for none of them."""

    truth: Positions
    predicted: Positions
    truth_none: int
    predicted_none: int


def ranked_labels(scores: ArrayLike, k: int | None = None) -> Positions:
    """The labels of float64 [n, c], best first: int64 [n, k], or all of them.

    Equal scores keep the labels' order, so a tie is won by the label that stands earlier in the set. Raises
    InvalidInput for NaN.
    """
    checked = checking.scores(scores, "the scores", dimensions=2)
    order: Positions = np.argsort(-checked, axis=1, kind="stable")
    return order if k is None else order[:, : checking.depth(k)]


def hits_at(truth: ArrayLike, ranked: ArrayLike, k: int) -> Truths:
    """bool [n]: whether the true label is among the first ``k`` of int64 [n, m] ``ranked``, best first.

    Where fewer than ``k`` were ranked, those count. The mean is the accuracy at ``k``.
    """
    true = checking.positions(truth, "the true labels")
    given = checking.positions(ranked, "the ranked labels", dimensions=2)
    checking.same_length(true, given, "true and ranked labels")
    found: Truths = (given[:, : checking.depth(k)] == true[:, None]).any(axis=1)
    return found


def accuracy_at(truth: ArrayLike, ranked: ArrayLike, k: int) -> float:
    """The share of images whose true label is among the first ``k``; ties stand as ``ranked`` has them."""
    return float(hits_at(truth, ranked, k).mean())


def accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """The share of images that got their true label."""
    true, given = _both(truth, predicted, None)
    return float((true == given).mean())


def per_class(truth: ArrayLike, predicted: ArrayLike, classes: int) -> PerClass:
    """Recall, precision and F1 of each of ``classes`` labels."""
    true, given = _both(truth, predicted, classes)
    return per_class_of(_counts(true, classes), _counts(given, classes), _counts(true[true == given], classes))


def per_class_of(support: Positions, predicted: Positions, right: Positions) -> PerClass:
    """The same from counts of each label, int64 [c]: images that show it, that got it, and both."""
    return PerClass(
        support,
        predicted,
        right,
        recall=_quotients(right, support),
        precision=_quotients(right, predicted),
        f1=_quotients(2 * right, support + predicted),
    )


def mean_per_class_recall(truth: ArrayLike, predicted: ArrayLike, classes: int) -> float:
    """The mean recall of the labels that have images: each label counts the same, however many images it has."""
    return per_class(truth, predicted, classes).mean_recall


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Positions:
    """int64 [c + 1, c + 1]: images by true label (row) and given label (column); the last row and the last column
    are "none of these". Raises InvalidInput for more than 10,000 labels."""
    true, given = _both(truth, predicted, classes)
    if classes > MOST_CLASSES:
        raise InvalidInput(
            f"a confusion matrix of {classes:,} labels would not fit in memory; the most confused pairs are there "
            "for any number"
        )
    side = classes + 1
    # BACKGROUND is -1 and becomes the last place.
    cells = np.bincount((true % side) * side + given % side, minlength=side * side)
    matrix: Positions = cells.reshape(side, side).astype(np.int64)
    return matrix


def most_confused(truth: ArrayLike, predicted: ArrayLike, classes: int, limit: int = 20) -> list[ConfusedPair]:
    """The pairs with the most mistakes, most first, equal ones in the set's order; for any number of labels.

    ``BACKGROUND`` stands in a pair where a label was rejected, or where there was none to find.
    """
    true, given = _both(truth, predicted, classes)
    wrong = true != given
    if not wrong.any() or limit < 1:
        return []
    support = np.bincount(true + 1, minlength=classes + 1)
    keys, counts = np.unique((true[wrong] + 1) * (classes + 1) + given[wrong] + 1, return_counts=True)
    best = np.argsort(-counts, kind="stable")[:limit]
    return [
        ConfusedPair(
            truth=key // (classes + 1) + BACKGROUND,
            predicted=key % (classes + 1) + BACKGROUND,
            count=count,
            share=count / int(support[key // (classes + 1)]),
        )
        for key, count in zip(keys[best].tolist(), counts[best].tolist(), strict=True)
    ]


def class_distribution(truth: ArrayLike, predicted: ArrayLike, classes: int) -> ClassDistribution:
    """How often each label is true, and how often it was given: what a leaning towards some labels shows in."""
    true, given = _both(truth, predicted, classes)
    return ClassDistribution(
        truth=_counts(true, classes),
        predicted=_counts(given, classes),
        truth_none=int((true == BACKGROUND).sum()),
        predicted_none=int((given == BACKGROUND).sum()),
    )


def mean_of_known(values: Values) -> float:
    """The mean of what is not NaN; NaN where nothing is known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _both(truth: ArrayLike, predicted: ArrayLike, classes: int | None) -> tuple[Positions, Positions]:
    limit = None if classes is None else checking.class_count(classes)
    true = checking.positions(truth, "the true labels", limit)
    given = checking.positions(predicted, "the given labels", limit)
    checking.same_length(true, given, "true and given labels")
    return true, given


def _counts(positions: Positions, classes: int) -> Positions:
    counts: Positions = np.bincount(positions[positions != BACKGROUND], minlength=classes).astype(np.int64)
    return counts


def _quotients(above: Positions, below: Positions) -> Values:
    quotients = np.full(len(above), np.nan)
    np.divide(above, below, out=quotients, where=below > 0)
    return quotients
