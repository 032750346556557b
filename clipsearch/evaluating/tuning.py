"""The least probability of each label that serves best on labelled images, and its way back into the label set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from clipsearch.answers import LabelCurve, TunedThreshold
from clipsearch.database.label_sets import LabelSetRow, get_label_set, save_label_set
from clipsearch.errors import Conflict, InvalidInput
from clipsearch.evaluating.outcomes import Flags, MultiOutcome, SingleOutcome, Values
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.metrics import ThresholdCurve, best_threshold, threshold_curve

CURVES = 12
POINTS = 50
_NO_GAIN = 1e-9  # what rounding may make of two equal F1


def tuned(outcome: SingleOutcome | MultiOutcome, names: Sequence[str]) -> list[TunedThreshold]:
    """For each label that an image has, the least probability with the highest F1 on these images.

    Left out is a label whose present threshold is as good: it stays. In the mode ``single`` only images
    whose first label it is can get it. A label for which refusing nothing is best
    gets 0 there.
    """
    found = []
    for place, name in enumerate(names):
        truth, values, accepted = _of_label(outcome, place)
        if not truth.any():
            continue
        curve = _possible(threshold_curve(truth, values))
        best = best_threshold(curve) if len(curve.thresholds) else None
        before = 2 * int((truth & accepted).sum()) / int(truth.sum() + accepted.sum())
        if best is None or best.f1 <= before + _NO_GAIN:
            continue
        single = isinstance(outcome, SingleOutcome)
        everything = best.threshold <= float(curve.thresholds[0])
        found.append(
            TunedThreshold(
                label=name,
                min_probability=0.0 if single and everything else min(1.0, max(0.0, best.threshold)),
                precision=best.precision,
                recall=best.recall,
                f1=best.f1,
                f1_before=before,
            )
        )
    return found


def curves(outcome: SingleOutcome | MultiOutcome, names: Sequence[str], most: int = CURVES) -> list[LabelCurve]:
    """The curves of the ``most`` labels with the most images, each thinned to a number of points that can be seen."""
    truth = outcome.truth
    counts = truth.sum(axis=0) if isinstance(outcome, MultiOutcome) else np.bincount(truth, minlength=len(names))
    best = [place for place in np.argsort(-counts, kind="stable")[:most].tolist() if counts[place]]
    found = []
    for place in best:
        right, values, _ = _of_label(outcome, place)
        curve = _possible(threshold_curve(right, values))
        if len(curve.thresholds):
            some = np.unique(np.linspace(0, len(curve.thresholds) - 1, POINTS).round().astype(int))
            columns = (curve.thresholds, curve.precision, curve.recall, curve.f1)
            thresholds, precision, recall, f1 = (column[some].tolist() for column in columns)
            found.append(
                LabelCurve(label=names[place], thresholds=thresholds, precision=precision, recall=recall, f1=f1)
            )
    return found


def write_thresholds(library: Library, label_set: LabelSetRow, thresholds: Sequence[TunedThreshold]) -> LabelSetRow:
    """Store these least probabilities in the set that they were found with, as its next version.

    Nothing is embedded: thresholds are no part of what scores depend on. Without any the set stays as it
    is. Raises InvalidInput for a set that is not stored, Conflict when it has been changed meanwhile.
    """
    if not label_set.id:
        raise InvalidInput(
            "thresholds can be written to a stored label set only; store one (clipsearch labels create, or labels "
            "import) and name it with --label-set"
        )
    least = {one.label: one.min_probability for one in thresholds}
    plain = [Label(**{field.name: getattr(label, field.name) for field in fields(Label)}) for label in label_set.labels]
    labels = tuple(replace(label, min_probability=least.get(label.name, label.min_probability)) for label in plain)
    values = {field.name: getattr(label_set, field.name) for field in fields(LabelSet)}
    with library.database.write() as connection:
        current = get_label_set(connection, label_set.name)
        if (current.id, current.version) != (label_set.id, label_set.version):
            raise Conflict(
                f"the label set {label_set.name!r} was changed while it was evaluated (version {current.version}, not "
                f"{label_set.version}); evaluate it again"
            )
        if not thresholds:
            return current
        return save_label_set(connection, label_set.name, LabelSet(**{**values, "labels": labels}), replace=True)


def _of_label(outcome: SingleOutcome | MultiOutcome, place: int) -> tuple[Flags, Values, Flags]:
    """What is true, the probability that a threshold is held against (0 where it cannot be got), what was accepted."""
    if isinstance(outcome, MultiOutcome):
        return outcome.truth[:, place], outcome.probabilities[:, place], outcome.accepted[:, place]
    first = outcome.predicted == place
    return outcome.truth == place, np.where(first, outcome.probability, -1.0), first & outcome.accepted


def _possible(curve: ThresholdCurve) -> ThresholdCurve:
    """The curve without the threshold that would give a label to images that cannot get it."""
    some = curve.thresholds >= 0
    return ThresholdCurve(curve.thresholds[some], curve.precision[some], curve.recall[some], curve.f1[some])
