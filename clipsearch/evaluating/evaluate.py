"""Evaluate one or two sides on the same samples; knows what is compared with what, and in which order things happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Contender, EvaluationAnswer, MeasuredFigure
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.errors import InvalidInput
from clipsearch.evaluating import figures
from clipsearch.evaluating.captions import caption_contender
from clipsearch.evaluating.class_names import is_bare_number
from clipsearch.evaluating.contenders import (
    Bench,
    Marked,
    Side,
    bench_of,
    check_classes,
    labels_for,
    marked,
    named,
    outcome_of,
)
from clipsearch.evaluating.outcomes import MultiOutcome, SingleOutcome
from clipsearch.evaluating.pictures import OnProgress
from clipsearch.evaluating.samples import Material
from clipsearch.evaluating.sweeping import sweep
from clipsearch.evaluating.tuning import curves, tuned, write_thresholds
from clipsearch.library import Library
from clipsearch.metrics import Drawing, LabelRanking, difference, mean_difference, mean_per_class_recall

Outcome = SingleOutcome | MultiOutcome
NAMED = 5  # classes that a warning names


@dataclass(frozen=True)
class EvaluationOptions:
    """How much is computed and told: bootstrap ``resamples``, ``confused`` pairs, worst ``mistakes``; templates to
    sweep over; thresholds that are tuned, and written back to the first side's label set."""

    resamples: int = 1_000
    confused: int = 20
    mistakes: int = 24
    sweep: tuple[str, ...] = ()
    tune: bool = False
    write_thresholds: bool = False
    on_progress: OnProgress | None = field(default=None, compare=False)


def evaluate(
    library: Library,
    material: Material,
    sides: Sequence[Side] = (Side(),),
    *,
    collection: str | None = None,
    options: EvaluationOptions | None = None,
) -> EvaluationAnswer:
    """Measure how well one side, or each of two, finds the labels or captions of these samples.

    Pictures whose bytes the library holds are not encoded, others once for each model; nothing is indexed. With
    captions there is retrieval to measure, by model only. Raises InvalidInput when there is nothing to measure,
    LabelSetNotFound, InvalidLabelSet, InvalidTemplate, ModelUnavailable, CollectionNotFound.
    """
    options = options or EvaluationOptions()
    if not material.samples:
        raise InvalidInput(f"{material.name} holds no picture with a known truth")
    benches: dict[str | None, Bench] = {}

    def bench_for(side: Side) -> Bench:
        if side.model not in benches:
            benches[side.model] = bench_of(library, material, side.model, collection, options.on_progress)
        return benches[side.model]

    if material.kind == "captions":
        found = _by_captions(material, sides, bench_for, options)
    else:
        found = _by_labels(library, material, sides, bench_for, options)
    return EvaluationAnswer(
        source=material.name,
        kind=material.kind,
        images=len(material.samples),
        classes=named(material.samples),
        failed=material.failed,
        **found,
    )


def _by_captions(
    material: Material, sides: Sequence[Side], bench_for: Callable[[Side], Bench], options: EvaluationOptions
) -> dict[str, Any]:
    if options.sweep or options.tune or options.write_thresholds or any(side.label_set for side in sides):
        raise InvalidInput(f"{material.name} holds captions, which are found as they stand: there are no labels to try")
    drawing = Drawing(options.resamples)
    several = [caption_contender(bench_for(side), material, drawing) for side in sides]
    differences = _caption_differences([found for _, found in several], drawing)
    return {"contenders": [contender for contender, _ in several], "differences": differences}


def _by_labels(
    library: Library,
    material: Material,
    sides: Sequence[Side],
    bench_for: Callable[[Side], Bench],
    options: EvaluationOptions,
) -> dict[str, Any]:
    # All of them before any picture is encoded: a misspelt name should not cost an hour.
    label_sets = [labels_for(library, side, material) for side in sides]
    for side, label_set in zip(sides, label_sets, strict=True):
        check_classes(material, label_set, side.renamed)
    contenders: list[Contender] = []
    outcomes: list[tuple[Outcome, int]] = []
    for side, label_set in zip(sides, label_sets, strict=True):
        bench = bench_for(side)
        told = marked(bench, material, label_set, side.renamed)
        outcome, choice = outcome_of(library, bench, told, label_set)
        warnings = choice.warnings(library.loaded_encoder(bench.model.model.name))
        contenders.append(_contender(bench, material, label_set, told, outcome, choice.names, warnings, options))
        outcomes.append((outcome, len(choice.names)))
    drawing = Drawing(options.resamples)
    found: dict[str, Any] = {"contenders": contenders, "differences": _differences(outcomes, drawing)}
    if options.sweep:
        first = sides[0]
        swept = sweep(library, bench_for(first), material, label_sets[0], first.renamed, options.sweep, drawing)
        found["templates"] = swept
    if options.write_thresholds:
        written = write_thresholds(library, label_sets[0], contenders[0].thresholds)
        found["written_to"] = written.name if contenders[0].thresholds else None
    return found


def _contender(
    bench: Bench,
    material: Material,
    label_set: LabelSetRow,
    told: Marked,
    outcome: Outcome,
    names: list[str],
    warnings: list[str],
    options: EvaluationOptions,
) -> Contender:
    drawing = Drawing(options.resamples)
    common: dict[str, Any] = {
        "model": bench.model.model.name,
        "label_set": label_set.name or None,
        "label_set_version": label_set.version or None,
        "mode": label_set.mode,
        "templates": list(label_set.templates),
        "labels": len(names),
        "images": len(told.rows),
        "encoded": bench.encoded,
        "unknown_classes": told.unknown,
        "thresholds": tuned(outcome, names) if options.tune or options.write_thresholds else [],
        "curves": curves(outcome, names),
        "failed": [*bench.failed, *told.unmarked],
        "warnings": [*_warnings(material, told, names, outcome), *warnings],
    }
    if isinstance(outcome, SingleOutcome):
        shown, table = figures.matrix(outcome, names)
        return Contender(
            **common,
            figures=figures.single_figures(outcome, len(names), drawing),
            per_label=figures.single_labels(outcome, names),
            most_confused=figures.confusions(outcome, names, options.confused),
            confusion_labels=shown,
            confusion_matrix=table,
            calibration=figures.single_calibration(outcome),
            mistakes=figures.single_mistakes(outcome, material.samples, names, options.mistakes),
        )
    return Contender(
        **common,
        figures=figures.multi_figures(outcome, drawing),
        per_label=figures.multi_labels(outcome, names),
        calibration=figures.multi_calibration(outcome),
        mistakes=figures.multi_mistakes(outcome, material.samples, names, options.mistakes),
    )


def _warnings(material: Material, told: Marked, names: list[str], outcome: Outcome) -> list[str]:
    found = [
        f"the folder {folder!r} is named by a number; say what it is: --map {folder}=NAME"
        for folder in material.folders.values()
        if is_bare_number(folder)
    ]
    if told.unknown:
        first = ", ".join(f"{name!r} ({count})" for name, count in list(told.unknown.items())[:NAMED])
        more = f" and {len(told.unknown) - NAMED} more" if len(told.unknown) > NAMED else ""
        found.append(
            f"classes that are no label of the set, with their images, which are left out of the figures: {first}{more}"
            "; say which label each stands for: --map CLASS=LABEL"
        )
    if told.none_of_them:
        found.append(
            f"{told.none_of_them} images were decided to be none of them; the figures of the mode single leave them out"
        )
    if isinstance(outcome, MultiOutcome) and not outcome.truth.any():
        found.append("no image has any of the labels, so there is no average precision")
    if len(told.rows) < len(names):
        found.append(f"{len(told.rows)} images for {len(names)} labels say little about each of them")
    return found


def _differences(outcomes: list[tuple[Outcome, int]], drawing: Drawing) -> dict[str, MeasuredFigure]:
    """The second side less the first over the images that both were measured on, the same ones drawn for both."""
    if len(outcomes) < 2:
        return {}
    (first, first_labels), (second, second_labels) = outcomes[:2]
    _, one, two = np.intersect1d(first.places, second.places, return_indices=True)
    if not len(one):
        return {}
    if isinstance(first, SingleOutcome) and isinstance(second, SingleOutcome):
        a, b = first, second
        found = {
            "accuracy_at_1": figures.measured(mean_difference(a.right[one], b.right[two], drawing)),
            "mean_per_class_recall": figures.measured(
                difference(
                    lambda rows: mean_per_class_recall(a.truth[one[rows]], a.predicted[one[rows]], first_labels),
                    lambda rows: mean_per_class_recall(b.truth[two[rows]], b.predicted[two[rows]], second_labels),
                    len(one),
                    drawing,
                )
            ),
        }
        return figures.known(found)
    if isinstance(first, MultiOutcome) and isinstance(second, MultiOutcome):
        before = LabelRanking(first.truth[one], first.probabilities[one])
        after = LabelRanking(second.truth[two], second.probabilities[two])
        fewer = max(figures.FEWEST_RESAMPLES, figures.RESAMPLED_CELLS // max(1, first.truth.size))
        drawn = difference(
            before.mean_average_precision,
            after.mean_average_precision,
            len(one),
            Drawing(min(drawing.samples, fewer), drawing.seed, drawing.level),
        )
        return figures.known({"mean_average_precision": figures.measured(drawn)})
    return {}


def _caption_differences(rows: list[dict[str, NDArray[np.bool_]]], drawing: Drawing) -> dict[str, MeasuredFigure]:
    if len(rows) < 2:
        return {}
    first, second = rows[:2]
    return figures.known(
        {
            name: figures.measured(mean_difference(first[name], second[name], drawing))
            for name in first
            if len(first[name]) == len(second[name])
        }
    )
