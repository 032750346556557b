"""Figures on cases small enough to count by hand, empty classes and ties, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clipsearch import metrics
from clipsearch.errors import InvalidInput

NONE = -1
NAN = float("nan")


def test_a_tie_is_won_by_the_label_that_stands_first() -> None:
    ranked = metrics.ranked_labels([[0.5, 0.7, 0.7], [0.1, 0.1, 0.1]])
    assert ranked.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert metrics.accuracy_at([2, 0], ranked, 1) == 0.5
    assert metrics.accuracy_at([2, 0], ranked, 2) == 1.0


def test_accuracy_beyond_what_was_ranked_counts_what_is_there() -> None:
    assert metrics.hits_at([0, 4], [[0, 1], [0, 1]], 5).tolist() == [True, False]


def test_an_image_of_none_of_the_labels_is_right_only_when_it_got_none() -> None:
    truth, predicted = [NONE, NONE, 0], [NONE, 0, NONE]
    assert metrics.accuracy(truth, predicted) == pytest.approx(1 / 3)
    assert metrics.confusion_matrix(truth, predicted, 1).tolist() == [[0, 1], [1, 1]]
    found = metrics.most_confused(truth, predicted, 1)
    assert [(pair.truth, pair.predicted, pair.count, pair.share) for pair in found] == [
        (NONE, 0, 1, 0.5),
        (0, NONE, 1, 1),
    ]


def test_a_label_without_images_has_no_recall_and_does_not_pull_the_mean_down() -> None:
    found = metrics.per_class([0, 0, 1], [0, 1, 1], classes=3)
    assert found.recall.tolist() == pytest.approx([0.5, 1, NAN], nan_ok=True)
    assert found.precision.tolist() == pytest.approx([1, 0.5, NAN], nan_ok=True)
    assert found.mean_recall == 0.75
    assert found.mean_f1 == pytest.approx(2 / 3)


def test_no_label_with_images_gives_no_mean() -> None:
    assert np.isnan(metrics.mean_per_class_recall([NONE], [0], classes=2))
    assert np.isnan(metrics.mean_average_precision([[False], [False]], [[0.1], [0.2]]))


def test_confused_pairs_are_found_among_more_labels_than_a_matrix_can_hold() -> None:
    truth, predicted = np.array([90_000, 90_000, 7]), np.array([99_999, 99_999, 8])
    pairs = metrics.most_confused(truth, predicted, classes=100_000, limit=1)
    assert [(pair.truth, pair.predicted, pair.count, pair.share) for pair in pairs] == [(90_000, 99_999, 2, 1.0)]
    with pytest.raises(InvalidInput, match="most confused pairs"):
        metrics.confusion_matrix(truth, predicted, classes=100_000)


def test_the_best_threshold_lies_between_what_it_takes_and_what_it_leaves() -> None:
    curve = metrics.threshold_curve([False, True, True, False], [0.2, 0.6, 0.9, 0.4])
    assert metrics.best_threshold(curve) == metrics.BestThreshold(0.5, 1.0, 1.0, 1.0)


def test_of_thresholds_with_the_same_f1_the_highest_is_taken() -> None:
    # From .9 on: 1 of 1 right, 1 of 2 found (2/3); from .1 on: 2 of 4 right, 2 of 2 found (2/3).
    curve = metrics.threshold_curve([True, False, False, True], [0.9, 0.5, 0.4, 0.1])
    best = metrics.best_threshold(curve)
    assert best is not None
    assert best.threshold == pytest.approx(0.7)
    assert (best.precision, best.recall) == (1.0, 0.5)


def test_a_threshold_that_takes_everything_is_the_lowest_score() -> None:
    best = metrics.best_threshold(metrics.threshold_curve([True, True], [0.3, 0.8]))
    assert best == metrics.BestThreshold(0.3, 1.0, 1.0, 1.0)


def test_a_threshold_between_neighbouring_numbers_still_leaves_the_lower_one() -> None:
    upper = float(np.nextafter(0.5, 1))
    best = metrics.best_threshold(metrics.threshold_curve([True, False], [upper, 0.5]))
    assert best is not None
    assert best.threshold == upper


def test_bins_hold_their_upper_limit_and_empty_ones_have_no_figures() -> None:
    found = metrics.reliability_bins([0.0, 0.5, 0.5, 1.0], [False, True, False, True], bins=4)
    assert found.counts.tolist() == [1, 2, 0, 1]
    assert found.accuracy.tolist() == pytest.approx([0, 0.5, NAN, 1], nan_ok=True)
    assert found.expected_error == 0
    assert metrics.calibration_error([0.9] * 10, [True] * 5 + [False] * 5) == pytest.approx(0.4)


def test_adaptive_bins_hold_equally_many_and_keep_equal_confidences_together() -> None:
    spread = metrics.reliability_bins(np.linspace(0, 1, 101) ** 4, np.ones(101, bool), 4, "adaptive")
    assert max(spread.counts) - min(spread.counts) <= 1
    tied = metrics.reliability_bins([0.7] * 9, [True] * 9, 3, "adaptive")
    assert sorted(tied.counts.tolist()) == [0, 0, 9]


def test_none_of_the_labels_expects_nothing_of_any_probability() -> None:
    assert metrics.brier_score([NONE], [[0.6, 0.4]]) == pytest.approx(0.36 + 0.16)
    with pytest.raises(InvalidInput, match="column of its own"):
        metrics.log_loss([NONE], [[0.6, 0.4]])


def test_a_sure_mistake_costs_much_and_not_infinitely_much() -> None:
    assert metrics.log_loss([0], [[0.0, 1.0]]) == pytest.approx(36.04, abs=0.01)


def test_an_image_is_content_with_the_best_of_its_captions() -> None:
    similarities = [[0.1, 0.9, 0.5], [0.8, 0.2, 0.3], [0.0, 0.0, 0.0]]
    owner = [0, 0, 1]
    assert metrics.image_to_text_ranks(similarities, owner).tolist() == [1, 2, 0]
    assert metrics.text_to_image_ranks(similarities, owner).tolist() == [2, 1, 2]
    assert metrics.recalls_at(metrics.image_to_text_ranks(similarities, owner), (1, 2)) == {1: 0.5, 2: 1.0}
    assert metrics.found_at([1, 2, 0], 1).tolist() == [True, False]
    assert np.isnan(metrics.recall_at([0, 0], 1))


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    held = 0
    for trial in range(200):
        found = metrics.mean_interval(random.random(150) < 0.7, metrics.Drawing(samples=200, seed=trial, level=0.9))
        held += found.low <= 0.7 <= found.high
    assert 0.82 < held / 200 < 0.97


def test_an_interval_of_several_figures_leaves_out_resamples_without_a_value() -> None:
    truth, predicted = np.array([0] * 30 + [1]), np.zeros(31, np.int64)
    first, second, third = metrics.intervals(
        lambda rows: metrics.per_class(truth[rows], predicted[rows], 3).recall, 31, metrics.Drawing(samples=100)
    )
    assert (first.estimate, first.low, first.high) == (1, 1, 1)
    assert (second.estimate, second.low, second.high) == (0, 0, 0)
    assert np.isnan([third.estimate, third.low, third.high]).all()


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    random = np.random.default_rng(2)
    hard = random.random(400) < 0.5
    better = hard | (random.random(400) < 0.08)
    found = metrics.mean_difference(hard, better)
    assert found.low > 0
    assert found.second_ahead > 0.99
    assert metrics.mean_interval(better).low < metrics.mean_interval(hard).high


@pytest.mark.parametrize(
    ("measure", "complaint"),
    [
        (lambda: metrics.ranked_labels([[0.1, NAN]]), "1 of 2 numbers are not finite .the first at 0, 1"),
        (lambda: metrics.average_precisions([[True]], [[float("inf")]]), "not finite"),
        (lambda: metrics.brier_score([0], [[NAN, 1]]), "not finite"),
        (lambda: metrics.calibration_error([1.2], [True]), "between 0 and 1"),
        (lambda: metrics.calibration_error([0.2], [True], bins=0), "0 bins"),
        (lambda: metrics.mean_interval([0.1, NAN]), "not finite"),
        (lambda: metrics.text_to_image_ranks([[NAN]], [0]), "not finite"),
        (lambda: metrics.text_to_image_ranks([[0.1]], [NONE]), "belongs to no image"),
        (lambda: metrics.text_to_image_ranks([[0.1]], [1]), "1 is no position"),
        (lambda: metrics.image_to_text_ranks([[0.1, 0.2]], [0]), "2 columns of similarities for 1 captions"),
        (lambda: metrics.recall_at([-1], 1), "ranks count from 1"),
        (lambda: metrics.accuracy([], []), "nothing to measure"),
        (lambda: metrics.accuracy([0], [0, 1]), "1 rows against 2"),
        (lambda: metrics.accuracy([0.5], [0]), "whole numbers"),
        (lambda: metrics.accuracy_at([0], [[0]], 0), "k is 0"),
        (lambda: metrics.per_class([3], [0], classes=3), "3 is no position of a label; they go from -1 .none. to 2"),
        (lambda: metrics.per_class([-2], [0], classes=3), "-2 is no position"),
        (lambda: metrics.per_class([0], [0], classes=0), "no labels"),
        (lambda: metrics.average_precisions([[0.5]], [[0.5]]), "yes or no"),
        (lambda: metrics.average_precisions([True], [0.5]), "2 dimensions"),
        (lambda: metrics.average_precisions([[True]], [[0.5, 0.1]]), "do not fit"),
        (lambda: metrics.mean_interval([0.1], metrics.Drawing(samples=0)), "at least one resample"),
        (lambda: metrics.mean_interval([0.1], metrics.Drawing(strata=np.zeros(2, np.int64))), "strata"),
        (lambda: metrics.interval(lambda _: 0.0, 0), "no images"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_by_name(measure: Callable[[], object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        measure()
