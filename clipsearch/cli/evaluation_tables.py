"""Evaluations as a person reads them in a terminal: figures with intervals, then what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipsearch.cli.printing import counted, note, path_shown, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import (
        Contender,
        EvaluationAnswer,
        FailedFile,
        IndexRecallAnswer,
        MeasuredFigure,
        RecallFigures,
        ReferenceReport,
        TemplateFigures,
    )

WORST_LABELS = 15
PAIRS = 10
FAILED_SHOWN = 20


def print_evaluation(answer: EvaluationAnswer) -> None:
    """The figures of each side, labels, confused pairs, templates and thresholds; what failed goes to stderr."""
    classes = f" of {counted(len(answer.classes), 'class', 'classes')}" if answer.classes else ""
    say(f"{counted(answer.images, 'picture')}{classes} in {shown(answer.source)}")
    for contender in answer.contenders:
        _print_contender(contender)
    if answer.differences:
        say()
        say("the second less the first, on the same pictures")
        _print_figures(answer.differences, signed=True)
    if answer.templates:
        _print_templates(answer.templates)
    if answer.written_to is not None:
        note(f"the thresholds are stored in the label set {answer.written_to!r}")
    if answer.report is not None:
        note(f"the report: {shown(answer.report)}")
    several = [*answer.failed, *(one for contender in answer.contenders for one in contender.failed)]
    _tell_failed(list({one.uri: one for one in several}.values()))


def _print_contender(contender: Contender) -> None:
    chosen = contender.label_set or ", ".join(contender.templates) or "captions"
    version = f" (version {contender.label_set_version})" if contender.label_set_version else ""
    say()
    say(f"{shown(contender.model)}, {shown(chosen)}{version}: {counted(contender.images, 'picture')}, "
        f"{contender.encoded:,} encoded just now")  # fmt: skip
    _print_figures(contender.figures)
    labels = sorted(contender.per_label, key=lambda one: (1.0 if one.recall is None else one.recall, one.label))
    if labels:
        say()
        if len(labels) > WORST_LABELS:
            say(f"the {WORST_LABELS} labels of {len(labels)} with the lowest recall")
        rows = [
            (one.label, f"{one.images:,}", _share(one.recall), _share(one.precision), _share(one.average_precision))
            for one in labels[:WORST_LABELS]
        ]
        wide = any(one.average_precision is not None for one in labels)
        columns = ("label", "pictures", "recall", "precision", "average precision")[: 5 if wide else 4]
        print_table(columns, [row[: len(columns)] for row in rows], numbers=columns[1:])
    if contender.most_confused:
        say()
        pairs = [
            (one.truth, one.predicted or "none of them", f"{one.images:,}", _share(one.share))
            for one in contender.most_confused[:PAIRS]
        ]
        print_table(("is", "taken for", "pictures", "share"), pairs, numbers=("pictures", "share"))
    if contender.thresholds:
        say()
        least = [
            (one.label, f"{one.min_probability:.4f}", _share(one.f1), _share(one.f1_before))
            for one in contender.thresholds
        ]
        print_table(("label", "least probability", "F1", "F1 before"), least, numbers=("least probability", "F1",
                                                                                       "F1 before"))  # fmt: skip
    for warning in contender.warnings:
        note(f"warning: {shown(warning)}")


def _print_templates(templates: Sequence[TemplateFigures]) -> None:
    say()
    rows = []
    for one in templates:
        name = next(iter(one.figures))
        difference = "" if one.difference is None else _signed(one.difference)
        rows.append((one.template or "all together", _with_interval(one.figures[name]), difference))
    print_table(("template", next(iter(templates[0].figures)).replace("_", " "), "from the first"), rows)


def print_index_recall(answer: IndexRecallAnswer) -> None:
    """Two lines: images and texts."""
    cells = f", {answer.probes} of {answer.cells} cells a query" if answer.cells else ""
    say(f"{shown(answer.collection)}: {counted(answer.images, 'image')}, {answer.kind}{cells}")
    rows = [_recall_row("images", answer.by_image), _recall_row("texts", answer.by_text)]
    columns = ("queries by", "number", f"recall at {answer.neighbours}", "worst", "where they come from")
    print_table(columns, rows, numbers=("number",))


def _recall_row(name: str, found: RecallFigures) -> tuple[str, ...]:
    recall = "not measured" if found.recall is None else _with_interval(found.recall)
    return (name, f"{found.queries:,}", recall, _share(found.worst), found.source)


def print_reference(answer: ReferenceReport) -> None:
    """Every figure with what became of it; what was not checked says what is needed."""
    rows = [
        (
            one.state,
            one.model,
            one.name,
            "" if one.difference is None else f"{one.difference:.5f}",
            f"{one.tolerance:g}",
            one.source,
        )
        for one in answer.checks
    ]
    print_table(("state", "model", "figure", "difference", "allowed", "source"), rows, numbers=("difference",))
    lacking: dict[str, int] = {}
    for check in answer.checks:
        for reason in check.needed:
            lacking[reason] = lacking.get(reason, 0) + 1
    for reason, count in lacking.items():
        note(f"for {counted(count, 'figure')} {shown(reason)}")
    say(f"{answer.reproduced} reproduced, {answer.different} different, {answer.not_checked} not checked")


def _print_figures(figures: dict[str, MeasuredFigure], *, signed: bool = False) -> None:
    rows = [(name.replace("_", " "), _signed(one) if signed else _with_interval(one)) for name, one in figures.items()]
    print_table(("figure", "value and 95 % interval"), rows)


def _with_interval(figure: MeasuredFigure) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f}  [{figure.low:.4f}, {figure.high:.4f}]"


def _signed(figure: MeasuredFigure) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:+.4f}"
    return f"{figure.value:+.4f}  [{figure.low:+.4f}, {figure.high:+.4f}]"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _tell_failed(failed: Sequence[FailedFile]) -> None:
    for one in failed[:FAILED_SHOWN]:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    if len(failed) > FAILED_SHOWN:
        note(f"! and {len(failed) - FAILED_SHOWN:,} more; --json names them all")
    if failed:
        note(f"{counted(len(failed), 'file')} could not be used")
