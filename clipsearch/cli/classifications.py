"""Prints what a classification says: tables for people, lines for programs, one image after the other."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from clipsearch.cli.printing import path_bytes, path_shown, print_table, say

if TYPE_CHECKING:
    from clipsearch.answers import Classification, ClassifyAnswer, Prediction

NONE = "-"
BACKGROUND = "(something else)"
_REASONS = {
    "background": "something else fits better",
    "score": "the score is below its threshold",
    "probability": "the probability is below its threshold",
    "margin": "the second label is too near",
}
_CSV = ("file", "rank", "label", "probability", "score", "margin", "accepted", "category")


def print_answer(answer: ClassifyAnswer) -> None:
    """The answer as a table."""
    if len(answer.results) == 1:
        _print_one(answer.results[0], on_its_own=answer.mode != "single")
    elif answer.results:
        _print_many(answer.results)


def print_side_by_side(answers: Sequence[ClassifyAnswer]) -> None:
    """A line for each image, a column for each label set."""
    rows = [
        (path_shown(found[0].uri), *(_in_short(one) for one in found))
        for found in zip(*(answer.results for answer in answers), strict=True)
    ]
    if rows:
        print_table(("file", *(answer.label_set or "labels" for answer in answers)), rows)


def print_csv(named: Iterable[tuple[str | None, Iterable[Classification]]], *, several: bool) -> None:
    """A line for each image and label, as they come; with the label set's name first where there are several."""
    _write_csv([*(["label_set"] if several else []), *_CSV])
    for name, results in named:
        first = [name or ""] if several else []
        for result in results:
            file = path_bytes(result.uri).decode("utf-8", "surrogateescape")
            for rank, one in enumerate(result.predictions, start=1):
                numbers = [f"{value:.6f}" for value in (one.probability, one.score, one.margin)]
                accepted = "yes" if one.accepted else "no"
                _write_csv([*first, file, rank, one.label or "", *numbers, accepted, one.category or ""])


def print_json_lines(named: Iterable[tuple[str | None, Iterable[Classification]]], *, several: bool) -> None:
    """A JSON object for each image, as they come; with the label set's name where there are several."""
    import json

    for name, results in named:
        first = f'{{"label_set":{json.dumps(name, ensure_ascii=False)},' if several else "{"
        for result in results:
            sys.stdout.buffer.write((first + result.model_dump_json()[1:] + "\n").encode())
    sys.stdout.buffer.flush()


def _write_csv(row: Sequence[object]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    click.echo(text.getvalue().encode("utf-8", "surrogateescape"), nl=False)


def _print_one(result: Classification, *, on_its_own: bool) -> None:
    say(path_shown(result.uri))
    if result.rejected:
        say(f"{NONE} ({_REASONS[result.rejected]})")
    columns = ("label", "probability", "score", "margin", *(("there",) if on_its_own else ()))
    rows = [(*_cells(one), *((("yes" if one.accepted else "no"),) if on_its_own else ())) for one in result.predictions]
    print_table(columns, rows, numbers=("probability", "score", "margin"))
    if result.categories:
        shares = [(one.category, f"{one.probability:.1%}", one.label) for one in result.categories]
        print_table(("category", "probability", "label"), shares, numbers=("probability",))


def _cells(one: Prediction) -> tuple[str, str, str, str]:
    return one.label or BACKGROUND, f"{one.probability:.1%}", f"{one.score:.3f}", f"{one.margin:.1%}"


def _print_many(results: Sequence[Classification]) -> None:
    rows = []
    for result in results:
        first, *rest = result.predictions
        _, *numbers = _cells(first)
        others = ", ".join(f"{one.label or BACKGROUND} {one.probability:.0%}" for one in rest[:3])
        rows.append((_labels(result), *numbers, path_shown(result.uri), others))
    print_table(
        ("label", "probability", "score", "margin", "file", "else"), rows, numbers=("probability", "score", "margin")
    )


def _labels(result: Classification) -> str:
    return ", ".join(result.labels) if result.labels else f"{NONE} ({result.rejected})"


def _in_short(result: Classification) -> str:
    if not result.labels:
        return _labels(result)
    found = [one for one in result.predictions if one.accepted]
    return ", ".join(f"{one.label} {one.probability:.0%}" for one in found)
