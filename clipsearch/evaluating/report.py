"""An evaluation as a page to look at: words for its figures, thumbnails for its mistakes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from clipsearch import reports
from clipsearch.answers import Contender, EvaluationAnswer, FailedFile, MeasuredFigure, Mistake
from clipsearch.errors import ClipSearchError, InvalidInput
from clipsearch.images import make_thumbnail, path_of
from clipsearch.library import Library

THUMBNAIL = 240
FAILED_SHOWN = 200

MEANINGS = {
    "accuracy_at_1": ("Accuracy", "the first label is the true one"),
    "accuracy_at_5": ("Accuracy at 5", "the true label is among the first five"),
    "accuracy_of_category": ("Accuracy of the category", "the category of the true label comes first"),
    "mean_per_class_recall": ("Mean per-class recall", "every class counts the same, however many pictures it has"),
    "calibration_error": (
        "Calibration error",
        "how far probabilities are from shares that were right; lower is better",
    ),
    "share_accepted": ("Accepted", "pictures whose first label passed the thresholds"),
    "accuracy_of_accepted": ("Accuracy of the accepted", "their first label is the true one"),
    "mean_average_precision": ("Mean average precision", "how well pictures with a label come before those without"),
    "micro_average_precision": ("Micro average precision", "the same over all pairs of pictures and labels at once"),
    "f1": ("F1", "of all labels together, at the thresholds of the set"),
    **{
        f"{way}_recall_at_{k}": (f"{words} at {k}", f"found among the first {k}")
        for way, words in (("text_to_image", "Captions find pictures"), ("image_to_text", "Pictures find captions"))
        for k in (1, 5, 10)
    },
}


def write_report(library: Library, answer: EvaluationAnswer, path: str | os.PathLike[str]) -> EvaluationAnswer:
    """Write one self-contained HTML file; the answer with its name. Raises OSError."""
    target = Path(os.path.expanduser(os.fspath(path)))
    reports.write_report(report_content(library, answer), target)
    return answer.model_copy(update={"report": str(target)})


def check_report(path: str | os.PathLike[str]) -> None:
    """Before an hour of work: raises InvalidInput where no report can be written."""
    target = Path(os.path.expanduser(os.fspath(path)))
    if target.is_dir():
        raise InvalidInput(f"the report cannot be written to {target}: it is a folder; name a file in it")
    if not target.parent.is_dir():
        raise InvalidInput(
            f"the report cannot be written to {target}: there is no folder {target.parent}; make it first"
        )


def report_content(library: Library, answer: EvaluationAnswer) -> reports.ReportContent:
    """What the page shows. Pictures that cannot be read any more are shown by name only."""
    facts = [("Source", answer.source), ("Pictures", f"{answer.images:,}")]
    if answer.classes:
        facts.append(("Classes", f"{len(answer.classes):,}"))
    if answer.written_to is not None:
        facts.append(("Thresholds stored in", answer.written_to))
    failed = all_failed(answer)
    by_labels = len({contender.model for contender in answer.contenders}) < len(answer.contenders)
    return reports.ReportContent(
        title="Evaluation",
        facts=facts,
        warnings=[f"{len(failed):,} files could not be used; they are listed at the end"] if failed else [],
        sides=[_side(library, contender, by_labels=by_labels) for contender in answer.contenders],
        differences=_figures(answer.differences),
        tables=[*_template_table(answer), *_failed_table(failed)],
    )


def all_failed(answer: EvaluationAnswer) -> list[FailedFile]:
    """What could not be used by any side, each file once."""
    several = [*answer.failed, *(one for contender in answer.contenders for one in contender.failed)]
    return list({one.uri: one for one in reversed(several)}.values())[::-1]


def _side(library: Library, contender: Contender, *, by_labels: bool) -> reports.Side:
    chosen = contender.label_set or " · ".join(contender.templates[:3])
    least = {one.label: one.min_probability for one in contender.thresholds}
    facts = [("Model", contender.model), ("Pictures", f"{contender.images:,}")]
    if contender.labels:
        version = f", version {contender.label_set_version}" if contender.label_set_version else ""
        facts += [
            ("Label set", f"{contender.label_set}{version}" if contender.label_set else "the classes' own names"),
            ("Mode", contender.mode),
            ("Labels", f"{contender.labels:,}"),
            ("Templates", " · ".join(contender.templates)),
        ]
    counts = np.array(contender.confusion_matrix, dtype=np.int64)
    return reports.Side(
        title=chosen if by_labels and chosen else contender.model,
        facts=facts,
        warnings=contender.warnings,
        figures=_figures(contender.figures),
        labels=[
            reports.LabelLine(
                label=one.label,
                images=one.images,
                predicted=one.predicted,
                recall=one.recall,
                precision=one.precision,
                f1=one.f1,
                average_precision=one.average_precision,
                threshold=least.get(one.label),
            )
            for one in contender.per_label
        ],
        confusion=reports.Confusion(contender.confusion_labels, counts) if contender.confusion_labels else None,
        most_confused=[
            reports.ConfusedPair(one.truth, one.predicted or "none of them", one.images, one.share)
            for one in contender.most_confused
        ],
        reliability=[
            reports.ReliabilityBin(one.low, one.high, one.images, one.probability, one.accuracy)
            for one in contender.calibration
        ],
        curves=[
            reports.Curve(one.label, one.thresholds, one.precision, one.recall, one.f1, least.get(one.label))
            for one in contender.curves
        ],
        mistakes=[_mistake(library, one) for one in contender.mistakes],
    )


def _mistake(library: Library, mistake: Mistake) -> reports.Mistake:
    name, jpeg = mistake.uri, None
    try:
        path = path_of(mistake.uri)
        name = os.fsencode(path).decode("utf-8", "replace")
        jpeg = make_thumbnail(Path(path), size=THUMBNAIL, max_pixels=library.settings.max_pixels)
    except (ClipSearchError, OSError):  # moved since, or an imported embedding without a file
        pass
    return reports.Mistake(
        name=name,
        truth=mistake.truth,
        predicted=mistake.predicted,
        probability=mistake.probability,
        truth_probability=mistake.truth_probability,
        jpeg=jpeg,
    )


def _figures(figures: dict[str, MeasuredFigure]) -> list[reports.Figure]:
    found = []
    for key, one in figures.items():
        name, meaning = MEANINGS.get(key, (key.replace("_", " "), ""))
        found.append(reports.Figure(name, one.value, one.low, one.high, meaning=meaning))
    return found


def _template_table(answer: EvaluationAnswer) -> list[reports.Table]:
    if not answer.templates:
        return []
    key = next(iter(answer.templates[0].figures))
    rows = [
        (
            one.template or "all together",
            _shown(one.figures[key], signed=False),
            "" if one.difference is None else _shown(one.difference, signed=True),
        )
        for one in answer.templates
    ]
    return [reports.Table("Templates", ("Template", MEANINGS[key][0], "Difference from the first"), rows)]


def _failed_table(failed: list[FailedFile]) -> list[reports.Table]:
    if not failed:
        return []
    rows = [(one.uri, one.reason) for one in failed[:FAILED_SHOWN]]
    if len(failed) > FAILED_SHOWN:
        rows.append((f"and {len(failed) - FAILED_SHOWN:,} more", "--json names them all"))
    return [reports.Table("Files that could not be used", ("File", "Reason"), rows)]


def _shown(figure: MeasuredFigure, *, signed: bool) -> str:
    def percent(value: float) -> str:
        return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"

    if figure.low is None or figure.high is None:
        return percent(figure.value)
    return f"{percent(figure.value)} ({percent(figure.low)} to {percent(figure.high)})"
