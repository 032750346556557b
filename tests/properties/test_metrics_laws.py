"""Every figure equals scikit-learn's, or the plain count it stands for, on random cases with ties and gaps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from clipsearch import metrics

CLOSE = 1e-9
NONE = -1  # none of the labels


@pytest.fixture(autouse=True)
def _silent_oracle() -> Iterator[None]:
    """The oracle warns where a class is empty; that is one of the cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Choices:
    """One true label of ``classes`` for each image, scores for each label, and a predicted one."""

    classes: int
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]


@st.composite
def choices(draw: st.DrawFn, *, none: bool = False) -> Choices:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes, images = draw(st.integers(1, 12)), draw(st.integers(1, 60))
    # Few decimals make ties, many make none.
    scores = random.normal(size=(images, classes)).round(draw(st.sampled_from([0, 1, 12])))
    lowest = NONE if none else 0
    used = draw(st.integers(1, classes))  # the labels behind are true of no image
    weights = np.exp(scores)
    return Choices(
        classes,
        truth=random.integers(lowest, used, images),
        predicted=random.integers(lowest, classes, images),
        scores=scores,
        probabilities=weights / weights.sum(axis=1, keepdims=True),
    )


@st.composite
def labellings(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """What is shown, bool [n, c], and a probability for each, float64 [n, c]; some labels shown nowhere."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    shown = random.random(shape) < draw(st.sampled_from([0.02, 0.3, 0.9]))
    return shown, random.random(shape).round(draw(st.sampled_from([1, 2, 12])))


def close(ours: ArrayLike, theirs: ArrayLike) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=CLOSE)


@given(choices(), st.integers(1, 14))
def test_accuracy_at_k_is_the_oracles_with_ties_won_by_the_earlier_label(case: Choices, k: int) -> None:
    ranked = metrics.ranked_labels(case.scores, k)
    if case.classes == 1 or k >= case.classes:
        assert metrics.accuracy_at(case.truth, ranked, k) == 1.0
    elif case.classes == 2:
        # The oracle has another meaning for two columns; the best label is the plain one.
        close(metrics.accuracy_at(case.truth, ranked, 1), np.mean(case.truth == case.scores.argmax(axis=1)))
    else:
        # The oracle lets the later column win: turned around, its rule is ours.
        turned = case.classes - 1 - case.truth
        theirs = oracle.top_k_accuracy_score(turned, case.scores[:, ::-1], k=k, labels=np.arange(case.classes))
        close(metrics.accuracy_at(case.truth, ranked, k), theirs)


@given(choices(none=True))
def test_the_accuracy_and_the_confusion_matrix_are_the_oracles(case: Choices) -> None:
    labels = [*range(case.classes), NONE]
    matrix = metrics.confusion_matrix(case.truth, case.predicted, case.classes)
    np.testing.assert_array_equal(matrix, oracle.confusion_matrix(case.truth, case.predicted, labels=labels))
    close(metrics.accuracy(case.truth, case.predicted), oracle.accuracy_score(case.truth, case.predicted))


@given(choices(none=True))
def test_figures_per_class_are_the_oracles(case: Choices) -> None:
    ours = metrics.per_class(case.truth, case.predicted, case.classes)
    precision, recall, f1, support = oracle.precision_recall_fscore_support(
        case.truth, case.predicted, labels=np.arange(case.classes), zero_division=np.nan
    )
    for mine, theirs in ((ours.precision, precision), (ours.recall, recall), (ours.f1, f1), (ours.support, support)):
        close(mine, theirs)


@given(choices())
def test_the_mean_recall_is_the_oracles_balanced_accuracy(case: Choices) -> None:
    theirs = oracle.balanced_accuracy_score(case.truth, case.predicted)
    close(metrics.mean_per_class_recall(case.truth, case.predicted, case.classes), theirs)


@given(choices(none=True))
def test_confused_pairs_and_the_distribution_are_those_of_the_matrix(case: Choices) -> None:
    matrix = metrics.confusion_matrix(case.truth, case.predicted, case.classes)
    pairs = metrics.most_confused(case.truth, case.predicted, case.classes, limit=10_000)
    # Position -1 is the last row and the last column in numpy too.
    for pair in pairs:
        assert pair.count == matrix[pair.truth, pair.predicted]
        close(pair.share, matrix[pair.truth, pair.predicted] / matrix[pair.truth].sum())
    assert [pair.count for pair in pairs] == sorted((pair.count for pair in pairs), reverse=True)
    assert sum(pair.count for pair in pairs) == matrix.sum() - np.trace(matrix)
    found = metrics.class_distribution(case.truth, case.predicted, case.classes)
    np.testing.assert_array_equal(np.append(found.truth, found.truth_none), matrix.sum(axis=1))
    np.testing.assert_array_equal(np.append(found.predicted, found.predicted_none), matrix.sum(axis=0))


@given(labellings())
def test_average_precision_is_the_oracles(case: tuple[NDArray[np.bool_], NDArray[np.float64]]) -> None:
    shown, scores = case
    known = np.atleast_1d(shown.any(axis=0))
    theirs = np.array([
        oracle.average_precision_score(shown[:, label], scores[:, label]) if known[label] else np.nan
        for label in range(shown.shape[1])
    ])  # fmt: skip
    close(metrics.average_precisions(shown, scores), theirs)
    if known.any():
        macro = oracle.average_precision_score(shown[:, known], scores[:, known], average="macro")
        close(metrics.mean_average_precision(shown, scores), macro)
        close(
            metrics.micro_average_precision(shown, scores),
            oracle.average_precision_score(shown.ravel(), scores.ravel()),
        )
    else:
        assert np.isnan(metrics.mean_average_precision(shown, scores))
        assert np.isnan(metrics.micro_average_precision(shown, scores))


@given(labellings(), st.integers(0, 1000))
def test_average_precision_of_a_resample_is_that_of_its_rows(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]], seed: int
) -> None:
    shown, scores = case
    rows = np.random.default_rng(seed).integers(0, len(shown), len(shown))
    ranking = metrics.LabelRanking(shown, scores)
    close(ranking.average_precisions(rows), metrics.average_precisions(shown[rows], scores[rows]))


@given(labellings())
def test_threshold_curves_are_the_oracles_and_the_best_threshold_has_the_best_f1(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    for shown, scores, curve in zip(case[0].T, case[1].T, metrics.threshold_curves(*case), strict=True):
        best = metrics.best_threshold(curve)
        if not shown.any():
            assert best is None
            assert np.isnan(curve.recall).all()
            continue
        precision, recall, thresholds = oracle.precision_recall_curve(shown, scores)
        # The oracle ends with a point of its own, at no threshold.
        close(curve.thresholds, thresholds)
        close(curve.precision, precision[:-1])
        close(curve.recall, recall[:-1])
        f1 = [oracle.f1_score(shown, scores >= threshold) for threshold in thresholds]
        close(curve.f1, f1)
        assert best is not None
        close(best.f1, max(f1))
        close(oracle.f1_score(shown, scores >= best.threshold), best.f1)
        close(oracle.recall_score(shown, scores >= best.threshold), best.recall)
        close(oracle.precision_score(shown, scores >= best.threshold), best.precision)


@given(labellings(), st.floats(0, 1))
def test_figures_per_label_are_the_oracles(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]], threshold: float
) -> None:
    shown, accepted = case[0], case[1] >= threshold
    ours = metrics.per_label(shown, accepted)
    for label in range(shown.shape[1]):
        both = shown[:, label], accepted[:, label]
        close(ours.recall[label], oracle.recall_score(*both, zero_division=np.nan))
        close(ours.precision[label], oracle.precision_score(*both, zero_division=np.nan))
        close(ours.f1[label], oracle.f1_score(*both, zero_division=np.nan))


@given(labellings(), st.integers(1, 20), st.sampled_from(["equal_width", "adaptive"]))
def test_reliability_is_the_oracles(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]], bins: int, binning: metrics.Binning
) -> None:
    right, confidences = case[0].ravel(), case[1].ravel()
    ours = metrics.reliability_bins(confidences, right, bins, binning)
    strategy = {"equal_width": "uniform", "adaptive": "quantile"}[binning]
    accuracy, confidence = calibration_curve(right, confidences, n_bins=bins, strategy=strategy, pos_label=True)
    full = ours.counts > 0
    close(ours.accuracy[full], accuracy)
    close(ours.confidence[full], confidence)
    assert ours.counts.sum() == len(right)
    weighted = (ours.counts[full] * np.abs(accuracy - confidence)).sum() / len(right)
    close(metrics.calibration_error(confidences, right, bins, binning), weighted)
    close(ours.largest_error, np.abs(accuracy - confidence).max())


@given(choices())
def test_brier_score_and_log_loss_of_a_choice_are_the_oracles(case: Choices) -> None:
    if case.classes == 1:
        assert metrics.brier_score(case.truth, case.probabilities) == 0
        assert metrics.log_loss(case.truth, case.probabilities) == pytest.approx(0, abs=1e-15)
        return
    labels = np.arange(case.classes)
    halves = 2 if case.classes == 2 else 1  # the oracle halves the score of two labels
    close(metrics.brier_score(case.truth, case.probabilities),
          halves * oracle.brier_score_loss(case.truth, case.probabilities, labels=labels))  # fmt: skip
    close(metrics.log_loss(case.truth, case.probabilities),
          oracle.log_loss(case.truth, case.probabilities, labels=labels))  # fmt: skip


@given(labellings())
def test_brier_score_and_log_loss_of_yes_or_no_are_the_oracles(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    shown, values = case
    flat = shown.ravel(), values.ravel()
    close(
        metrics.binary_brier_score(shown, values), oracle.brier_score_loss(*flat, labels=[False, True], pos_label=True)
    )
    close(metrics.binary_log_loss(shown, values), oracle.log_loss(*flat, labels=[False, True]))


@st.composite
def captioned(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Similarities of images and captions with ties, several captions for an image and none for some."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    images, captions = draw(st.integers(1, 20)), draw(st.integers(1, 30))
    similarities = random.normal(size=(images, captions)).round(draw(st.sampled_from([0, 1, 12])))
    return similarities, random.integers(0, images, captions)


@given(captioned(), st.integers(1, 10))
def test_ranks_are_those_of_a_sorted_list(case: tuple[NDArray[np.float64], NDArray[np.int64]], k: int) -> None:
    similarities, owner = case
    images = range(len(similarities))
    by_caption = [
        sorted(images, key=lambda image, c=c: (-similarities[image, c], image)).index(owner[c]) + 1  # type: ignore[misc]
        for c in range(len(owner))
    ]
    by_image = []
    for image in images:
        order = sorted(range(len(owner)), key=lambda c, i=image: (-similarities[i, c], c))  # type: ignore[misc]
        by_image.append(next((place for place, c in enumerate(order, 1) if owner[c] == image), 0))
    to_image = metrics.text_to_image_ranks(similarities, owner)
    to_text = metrics.image_to_text_ranks(similarities, owner)
    assert to_image.tolist() == by_caption
    assert to_text.tolist() == by_image
    asked = [rank for rank in by_image if rank]
    close(metrics.recall_at(to_text, k), sum(rank <= k for rank in asked) / len(asked))
    close(metrics.recall_at(to_image, k), sum(rank <= k for rank in by_caption) / len(by_caption))


@given(captioned(), st.integers(1, 7))
def test_ranks_of_blocks_are_those_of_the_whole(case: tuple[NDArray[np.float64], NDArray[np.int64]], size: int) -> None:
    similarities, owner = case
    to_text = [
        metrics.image_to_text_ranks(similarities[start : start + size], owner, first_image=start)
        for start in range(0, len(similarities), size)
    ]
    to_image = [
        metrics.text_to_image_ranks(similarities[:, start : start + size], owner[start : start + size])
        for start in range(0, len(owner), size)
    ]
    assert np.concatenate(to_text).tolist() == metrics.image_to_text_ranks(similarities, owner).tolist()
    assert np.concatenate(to_image).tolist() == metrics.text_to_image_ranks(similarities, owner).tolist()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_mcnemars_test_is_the_exact_binomial_one(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    ours = metrics.mcnemar(first, second)
    counts = oracle.confusion_matrix(first, second, labels=[False, True])
    assert [[ours.neither, ours.only_second], [ours.only_first, ours.both]] == counts.tolist()
    differing = ours.only_first + ours.only_second
    close(ours.p_value, binomtest(ours.only_first, differing).pvalue if differing else 1.0)


@given(choices(), st.integers(0, 5), st.booleans())
def test_the_same_seed_gives_the_same_interval_and_it_holds_the_middle(
    case: Choices, seed: int, stratified: bool
) -> None:
    right = case.truth == case.predicted
    drawing = metrics.Drawing(samples=50, seed=seed, strata=case.truth if stratified else None)
    found = metrics.mean_interval(right, drawing)
    assert found == metrics.mean_interval(right, drawing)
    assert 0 <= found.low <= found.high <= 1
    close(found.estimate, right.mean())
    means = [right[rows].mean() for rows in drawing.rows(len(right))]
    close([found.low, found.high], np.quantile(means, [0.025, 0.975]))
    assert metrics.mean_difference(right, right, drawing) == metrics.Difference(0, 0, 0, 0.95, 0.5)


@given(choices())
def test_a_stratified_resample_keeps_the_number_of_images_of_each_label(case: Choices) -> None:
    for rows in metrics.Drawing(samples=3, strata=case.truth).rows(len(case.truth)):
        np.testing.assert_array_equal(np.bincount(case.truth[rows]), np.bincount(case.truth))
