"""A label set under one template after another, and under all of them together, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import MeasuredFigure, TemplateFigures
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.errors import InvalidInput, InvalidTemplate
from clipsearch.evaluating import figures
from clipsearch.evaluating.contenders import Bench, marked, outcome_of
from clipsearch.evaluating.outcomes import SingleOutcome
from clipsearch.evaluating.samples import Material
from clipsearch.library import Library
from clipsearch.metrics import Drawing, LabelRanking, difference, mean_difference
from clipsearch.prompts import check_template

BUILTIN_TEMPLATES = (
    "{}",
    "a {}",
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of one {}.",
    "a close-up photo of a {}.",
    "a small {} in a large picture.",
    "a snapshot of a {}.",
    "a picture of a {}.",
    "an image that shows a {}.",
    "a drawing of a {}.",
    "this is a {}.",
)
MOST_TEMPLATES = 100


def templates_from(source: str) -> tuple[str, ...]:
    """The templates of a file, one a line, or our own with ``builtin``. Raises InvalidTemplate, InvalidInput."""
    if source == "builtin":
        return BUILTIN_TEMPLATES
    try:
        lines = Path(source).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(f"the templates in {source} cannot be read: {reason}") from error
    found = tuple(dict.fromkeys(check_template(line) for line in lines if line.strip()))
    if not 2 <= len(found) <= MOST_TEMPLATES:
        raise InvalidTemplate(f"{source} holds {len(found)} templates; a sweep compares 2 to {MOST_TEMPLATES}")
    return found


def sweep(
    library: Library,
    bench: Bench,
    material: Material,
    label_set: LabelSetRow,
    renamed: dict[str, str],
    templates: Sequence[str],
    drawing: Drawing,
) -> list[TemplateFigures]:
    """The accuracy (for several labels an image: mAP) of each template and of their ensemble, and by how much each
    differs from the first, over the same images."""
    told = marked(bench, material, label_set, renamed)
    found: list[TemplateFigures] = []
    first: NDArray[np.bool_] | LabelRanking | None = None
    for one in (*templates, None):
        used = tuple(templates) if one is None else (one,)
        outcome, choice = outcome_of(library, bench, told, replace(label_set, id=0, name="", version=0, templates=used))
        if isinstance(outcome, SingleOutcome):
            values = figures.single_figures(outcome, len(choice.names), drawing)
            this: NDArray[np.bool_] | LabelRanking = outcome.right
        else:
            values = figures.multi_figures(outcome, drawing)
            this = LabelRanking(outcome.truth, outcome.probabilities)
        found.append(
            TemplateFigures(
                template=one, figures=values, difference=None if first is None else _difference(first, this, drawing)
            )
        )
        first = this if first is None else first
    return found


def _difference(
    first: NDArray[np.bool_] | LabelRanking, this: NDArray[np.bool_] | LabelRanking, drawing: Drawing
) -> MeasuredFigure | None:
    if isinstance(first, LabelRanking) and isinstance(this, LabelRanking):
        fewer = Drawing(min(drawing.samples, figures.FEWEST_RESAMPLES), drawing.seed, drawing.level)
        return figures.measured(
            difference(first.mean_average_precision, this.mean_average_precision, first.images, fewer)
        )
    return figures.measured(mean_difference(first, this, drawing))  # type: ignore[arg-type]
