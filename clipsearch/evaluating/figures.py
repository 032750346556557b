"""Figures of one contender: from outcomes to what is answered, with intervals; knows which figures there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import CalibrationBin, Confusion, LabelFigures, MeasuredFigure, Mistake
from clipsearch.evaluating.outcomes import DEPTH, MultiOutcome, SingleOutcome
from clipsearch.evaluating.samples import Sample
from clipsearch.label_set import BACKGROUND
from clipsearch.metrics import (
    Drawing,
    Interval,
    LabelRanking,
    PerClass,
    ReliabilityBins,
    average_precisions,
    calibration_error,
    confusion_matrix,
    hits_at,
    intervals,
    mean_per_class_recall,
    micro_average_precision,
    most_confused,
    per_class,
    per_label,
    reliability_bins,
)

# Of more labels a matrix is no longer read, and the most confused pairs tell the same.
MATRIX_LABELS = 200
# Of so many numbers sorted and summed a thousand times over a person would wait for minutes.
RESAMPLED_CELLS = 300_000_000
FEWEST_RESAMPLES = 100

Rows = NDArray[np.int64]


def measured(interval: Interval) -> MeasuredFigure | None:
    """The figure with its interval; None for one that has no value."""
    if np.isnan(interval.estimate):
        return None
    low, high = (None if np.isnan(end) else end for end in (interval.low, interval.high))
    return MeasuredFigure(value=interval.estimate, low=low, high=high)


def known(figures: dict[str, MeasuredFigure | None]) -> dict[str, MeasuredFigure]:
    """Those that have a value."""
    return {name: figure for name, figure in figures.items() if figure is not None}


def single_figures(outcome: SingleOutcome, labels: int, drawing: Drawing) -> dict[str, MeasuredFigure]:
    """Accuracy at 1 and at 5, mean per-class recall and calibration error; of sets that reject the share that was
    accepted and its accuracy; of sets with categories the accuracy by category."""
    columns: dict[str, NDArray[np.bool_]] = {"accuracy_at_1": hits_at(outcome.truth, outcome.ranked, 1)}
    if labels > DEPTH:
        columns["accuracy_at_5"] = hits_at(outcome.truth, outcome.ranked, DEPTH)
    if outcome.category_right is not None:
        columns["accuracy_of_category"] = outcome.category_right
    rejects = not outcome.accepted.all()
    if rejects:
        columns["share_accepted"] = outcome.accepted
    names = [*columns, "mean_per_class_recall", "calibration_error", *(["accuracy_of_accepted"] if rejects else [])]
    right = outcome.right

    def computed(rows: Rows) -> NDArray[np.float64]:
        values = [float(column[rows].mean()) for column in columns.values()]
        values.append(mean_per_class_recall(outcome.truth[rows], outcome.predicted[rows], labels))
        values.append(calibration_error(outcome.probability[rows], right[rows]))
        if rejects:
            taken = rows[outcome.accepted[rows]]
            values.append(float(right[taken].mean()) if len(taken) else float("nan"))
        return np.array(values)

    drawn = intervals(computed, len(right), drawing)
    return known({name: measured(one) for name, one in zip(names, drawn, strict=True)})


def multi_figures(outcome: MultiOutcome, drawing: Drawing) -> dict[str, MeasuredFigure]:
    """mAP over the labels that are shown (macro) and over all pairs (micro), F1 at the set's thresholds (micro), and
    the calibration error over all pairs."""
    ranking = LabelRanking(outcome.truth, outcome.probabilities)
    truth, accepted = outcome.truth, outcome.accepted
    right, sizes = (truth & accepted).sum(axis=1), truth.sum(axis=1) + accepted.sum(axis=1)

    def computed(rows: Rows) -> NDArray[np.float64]:
        total = int(sizes[rows].sum())
        f1 = 2 * int(right[rows].sum()) / total if total else float("nan")
        return np.array([ranking.mean_average_precision(rows), f1])

    fewer = max(FEWEST_RESAMPLES, RESAMPLED_CELLS // max(1, truth.size))
    drawn = intervals(computed, len(truth), Drawing(min(drawing.samples, fewer), drawing.seed, drawing.level))
    figures = {"mean_average_precision": measured(drawn[0]), "f1": measured(drawn[1])}
    micro = micro_average_precision(truth, outcome.probabilities)
    error = calibration_error(outcome.probabilities.ravel(), truth.ravel())
    figures["micro_average_precision"] = None if np.isnan(micro) else MeasuredFigure(value=micro)
    figures["calibration_error"] = MeasuredFigure(value=error)
    return known(figures)


def single_labels(outcome: SingleOutcome, names: Sequence[str]) -> list[LabelFigures]:
    """Recall and precision of each label that an image has or got."""
    return _by_label(per_class(outcome.truth, outcome.predicted, len(names)), names, None)


def multi_labels(outcome: MultiOutcome, names: Sequence[str]) -> list[LabelFigures]:
    """Recall, precision and average precision of each label that an image has or got."""
    precisions = average_precisions(outcome.truth, outcome.probabilities)
    return _by_label(per_label(outcome.truth, outcome.accepted), names, precisions)


def _by_label(each: PerClass, names: Sequence[str], precisions: NDArray[np.float64] | None) -> list[LabelFigures]:
    return [
        LabelFigures(
            label=names[place],
            images=int(each.support[place]),
            predicted=int(each.predicted[place]),
            recall=_or_none(each.recall[place]),
            precision=_or_none(each.precision[place]),
            f1=_or_none(each.f1[place]),
            average_precision=None if precisions is None else _or_none(precisions[place]),
        )
        for place in np.flatnonzero(each.support + each.predicted).tolist()
    ]


def confusions(outcome: SingleOutcome, names: Sequence[str], limit: int) -> list[Confusion]:
    """The pairs with the most mistakes, most first."""
    return [
        Confusion(
            truth=names[pair.truth],
            predicted=None if pair.predicted == BACKGROUND else names[pair.predicted],
            images=pair.count,
            share=pair.share,
        )
        for pair in most_confused(outcome.truth, outcome.predicted, len(names), limit)
    ]


def matrix(outcome: SingleOutcome, names: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """The labels that an image has or got, and images by true and by given label, "none of them" last; nothing where
    those labels are too many to be read."""
    used = sorted({*outcome.truth.tolist(), *outcome.predicted.tolist()} - {BACKGROUND})
    if len(used) > MATRIX_LABELS:
        return [], []
    place = np.full(len(names) + 1, BACKGROUND)
    place[used] = np.arange(len(used))
    table = confusion_matrix(place[outcome.truth], place[outcome.predicted], len(used))
    return [names[position] for position in used], table.tolist()


def calibration_of(bins: ReliabilityBins) -> list[CalibrationBin]:
    """The bins of a reliability diagram."""
    return [
        CalibrationBin(
            low=float(bins.limits[place]), high=float(bins.limits[place + 1]), images=int(bins.counts[place]),
            probability=_or_none(bins.confidence[place]), accuracy=_or_none(bins.accuracy[place]),
        )
        for place in range(len(bins.counts))
    ]  # fmt: skip


def single_calibration(outcome: SingleOutcome) -> list[CalibrationBin]:
    """How often the first label was right, by its probability."""
    return calibration_of(reliability_bins(outcome.probability, outcome.right))


def multi_calibration(outcome: MultiOutcome) -> list[CalibrationBin]:
    """How often a label was there, by its probability, over all pairs of images and labels."""
    return calibration_of(reliability_bins(outcome.probabilities.ravel(), outcome.truth.ravel()))


def single_mistakes(
    outcome: SingleOutcome, samples: Sequence[Sample], names: Sequence[str], limit: int
) -> list[Mistake]:
    """The images that most surely got a wrong label."""
    wrong = np.flatnonzero(~outcome.right)
    worst = wrong[np.argsort(-outcome.probability[wrong], kind="stable")][:limit]
    found = []
    for row in worst.tolist():
        sample = samples[int(outcome.places[row])]
        given = int(outcome.predicted[row])
        found.append(
            Mistake(
                uri=sample.uri, image_id=sample.image_id, truth=[names[int(outcome.truth[row])]],
                predicted=[] if given == BACKGROUND else [names[given]],
                probability=float(outcome.probability[row]), truth_probability=float(outcome.truth_probability[row]),
            )
        )  # fmt: skip
    return found


def multi_mistakes(outcome: MultiOutcome, samples: Sequence[Sample], names: Sequence[str], limit: int) -> list[Mistake]:
    """The images with a label that was most surely given wrongly, or refused."""
    gaps = np.where(outcome.truth != outcome.accepted, np.abs(outcome.probabilities - outcome.truth), -1.0)
    worst = gaps.max(axis=1)
    found = []
    for row in np.argsort(-worst, kind="stable")[:limit].tolist():
        if worst[row] < 0:
            break
        place = int(gaps[row].argmax())
        probability = float(outcome.probabilities[row, place])
        lacks = bool(outcome.truth[row, place])
        sample = samples[int(outcome.places[row])]
        found.append(
            Mistake(
                uri=sample.uri,
                image_id=sample.image_id,
                truth=[names[place] for place in np.flatnonzero(outcome.truth[row]).tolist()],
                predicted=[names[place] for place in np.flatnonzero(outcome.accepted[row]).tolist()],
                probability=None if lacks else probability,
                truth_probability=probability if lacks else None,
            )
        )
    return found


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
