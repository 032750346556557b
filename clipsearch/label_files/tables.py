"""Label sets as CSV, both ways: a row for each prompt; knows the columns, and the plain table without a header."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import cast

from clipsearch.errors import InvalidLabelSet
from clipsearch.label_set import Aggregate, Example, Label, LabelSet, Mode

_QUOTED = re.compile(r'"[^"]*"?')
_FIRST = frozenset({"label", "name", "class"})
# What a label has several of, one a row; an example's digest stands in the row of its uri.
_LABEL_LISTS = ("prompt", "negative", "example", "digest")
_LABEL_NUMBERS = ("words_weight", "min_score", "min_probability")
# What belongs to the whole set, in any row.
_SET_LISTS = ("template", "background")
_SET_NUMBERS = {"set_min_score": "min_score", "set_min_probability": "min_probability", "set_min_margin": "min_margin"}
_SET_WORDS = ("mode", "aggregate")
COLUMNS = (
    "label", *_LABEL_LISTS[:2], "category", *_LABEL_NUMBERS, *_LABEL_LISTS[2:], *_SET_WORDS, *_SET_LISTS, *_SET_NUMBERS
)  # fmt: skip


@dataclass
class _Gathered:
    """What the rows of one label, or those of the set, say together."""

    line: int
    lists: dict[str, list[str]] = field(default_factory=dict)
    single: dict[str, str] = field(default_factory=dict)

    def number(self, column: str, name: str) -> float | None:
        if column not in self.single:
            return None
        try:
            return float(self.single[column])
        except ValueError:
            raise InvalidLabelSet(
                f"{name}, line {self.line}: {column} is {self.single[column]!r}, not a number"
            ) from None


def read_table(text: str, name: str) -> tuple[LabelSet, list[str]]:
    """The set that a CSV text holds, unchecked, and where each label stands. Raises InvalidLabelSet.

    Columns after a header are told by its names; without one, or with names of the writer's own, whatever follows
    the label is a prompt.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InvalidLabelSet(f"{name} is not CSV: line {reader.line_num}: {error}") from error
    columns: list[str] = []
    if rows and rows[0][1][0].strip().lower() in _FIRST:
        columns = _columns([cell.strip().lower() for cell in rows[0][1]], name)
        rows = rows[1:]
    whole = _Gathered(1)
    labels: dict[str, _Gathered] = {}
    for line, row in rows:
        _gather(line, row, columns, whole, labels, name)
    label_set = LabelSet(
        labels=tuple(_label(label, found, name) for label, found in labels.items()),
        templates=tuple(whole.lists.get("template", ())),
        background=tuple(whole.lists.get("background", ())),
        mode=cast(Mode, whole.single.get("mode", "single")),
        aggregate=cast(Aggregate, whole.single.get("aggregate", "mean_embedding")),
        **{known: whole.number(column, name) for column, known in _SET_NUMBERS.items()},
    )
    return label_set, [f"line {found.line}" for found in labels.values()]


def _delimiter(text: str) -> str:
    # Where the comma is the decimal mark, spreadsheets write semicolons.
    first = _QUOTED.sub("", next((line for line in text.splitlines() if line.strip()), ""))
    return ";" if ";" in first and "," not in first else ","


def _columns(header: list[str], name: str) -> list[str]:
    known = [cell for cell in header[1:] if cell in COLUMNS]
    unknown = [cell for cell in header[1:] if cell and cell not in COLUMNS]
    if known and unknown:
        raise InvalidLabelSet(
            f"{name} has the unknown columns {', '.join(map(repr, unknown))}; known are {', '.join(COLUMNS)}"
        )
    repeated = [cell for cell in known if known.count(cell) > 1 and cell != "prompt"]
    if repeated:
        raise InvalidLabelSet(f"{name} has the column {repeated[0]!r} twice")
    return header if known else []


def _gather(
    line: int, row: list[str], columns: list[str], whole: _Gathered, labels: dict[str, _Gathered], name: str
) -> None:
    label = row[0].strip()
    found = labels.setdefault(label, _Gathered(line)) if label else None
    # Beyond the header, and without one, there are prompts only.
    plain = not columns or columns[-1] == "prompt"
    for place, (cell, title) in enumerate(zip_longest(row, columns[: len(row)], fillvalue="")):
        if not place or not cell.strip():
            continue
        column = title or ("prompt" if plain else "")
        if not column:
            raise InvalidLabelSet(f"{name}, line {line}: the cell {cell!r} stands under no column")
        of_set = column in _SET_LISTS or column in _SET_NUMBERS or column in _SET_WORDS
        owner = whole if of_set else found
        if owner is None:
            raise InvalidLabelSet(f"{name}, line {line}: the {column} {cell!r} belongs to no label")
        if column in _LABEL_LISTS or column in _SET_LISTS:
            owner.lists.setdefault(column, []).append(cell if column == "example" else cell.strip())
            continue
        known = owner.single.setdefault(column, cell.strip())
        if known != cell.strip():
            raise InvalidLabelSet(f"{name}, line {line}: {column} is {cell.strip()!r} here, and {known!r} above")
    if found is not None:
        _pair_digest(found, line, name)


def _pair_digest(found: _Gathered, line: int, name: str) -> None:
    examples, digests = found.lists.get("example", []), found.lists.setdefault("digest", [])
    if len(digests) > len(examples):
        raise InvalidLabelSet(f"{name}, line {line}: a digest stands without its example")
    digests += [""] * (len(examples) - len(digests))


def _label(label: str, found: _Gathered, name: str) -> Label:
    pairs = zip(found.lists.get("example", ()), found.lists.get("digest", ()), strict=True)
    return Label(
        name=label,
        prompts=tuple(found.lists.get("prompt", ())),
        negatives=tuple(found.lists.get("negative", ())),
        category=found.single.get("category"),
        examples=tuple(Example(uri, digest) for uri, digest in pairs),
        **{column: found.number(column, name) for column in _LABEL_NUMBERS},
    )


def write_table(label_set: LabelSet) -> str:
    """The set as CSV with a header; columns that would be empty are left out."""
    rows: list[dict[str, str]] = []
    for label in label_set.labels:
        rows += _rows_of(label)
    lists = {"template": label_set.templates, "background": label_set.background}
    for column, texts in lists.items():
        for place, text in enumerate(texts):
            if place == len(rows):
                rows.append({})
            rows[place][column] = text
    single = {"mode": label_set.mode, "aggregate": label_set.aggregate}
    usual = {"mode": "single", "aggregate": "mean_embedding"}
    rows[0] |= {column: word for column, word in single.items() if word != usual[column]}
    for column, known in _SET_NUMBERS.items():
        value = getattr(label_set, known)
        rows[0] |= {} if value is None else {column: repr(value)}
    used = [column for column in COLUMNS if column in ("label", "prompt") or any(column in row for row in rows)]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, used, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _rows_of(label: Label) -> list[dict[str, str]]:
    numbers = {column: getattr(label, column) for column in _LABEL_NUMBERS}
    first = {column: repr(value) for column, value in numbers.items() if value is not None}
    if label.category is not None:
        first["category"] = label.category
    rows = [
        {"label": label.name}
        | ({"prompt": prompt} if prompt is not None else {})
        | ({"negative": negative} if negative is not None else {})
        | ({"example": example.uri} if example is not None else {})
        | ({"digest": example.digest} if example is not None and example.digest else {})
        for prompt, negative, example in zip_longest(label.prompts, label.negatives, label.examples)
    ]
    rows[0] |= first
    return rows
