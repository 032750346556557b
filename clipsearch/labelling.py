"""Make, show and delete label sets; knows what makes a set worth a warning."""

from __future__ import annotations

from collections import Counter

from clipsearch.answers import LabelInfo, LabelSetInfo
from clipsearch.database import label_sets as label_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.errors import InvalidLabelSet
from clipsearch.label_files import LabelSetDraft
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES


def save_label_set(library: Library, name: str, draft: LabelSetDraft, *, replace: bool = False) -> LabelSetInfo:
    """Store a set under ``name``; an old one of that name is replaced on request and counts up its version.

    Raises AlreadyExists, InvalidLabelSet.
    """
    name = check_name(name)
    with library.database.write() as connection:
        row = label_rows.save_label_set(
            connection, name, draft.labels, draft.templates or DEFAULT_TEMPLATES, replace=replace
        )
    return describe(row)


def show_label_set(library: Library, name: str) -> LabelSetInfo:
    """Raises LabelSetNotFound."""
    with library.database.read() as connection:
        return describe(label_rows.get_label_set(connection, name))


def list_label_sets(library: Library) -> list[LabelSetInfo]:
    """All of them, by name."""
    with library.database.read() as connection:
        names = label_rows.list_label_sets(connection)
        return [describe(label_rows.get_label_set(connection, name)) for name in names]


def delete_label_set(library: Library, name: str) -> None:
    """Raises LabelSetNotFound."""
    with library.database.write() as connection:
        label_rows.delete_label_set(connection, name)


def check_name(name: str) -> str:
    """The name, trimmed. Raises InvalidLabelSet for one that could not stand in a path."""
    name = name.strip()
    if not name or len(name) > 200 or any(character in name for character in "/\\\x00\n\r\t"):
        raise InvalidLabelSet("a label set's name is 1 to 200 characters, without slashes and line breaks")
    return name


def describe(row: LabelSetRow) -> LabelSetInfo:
    """What is said of a set on every door."""
    counts = Counter(label.name for label in row.labels)
    return LabelSetInfo(
        name=row.name,
        version=row.version,
        mode="single",
        templates=list(row.templates),
        labels=[LabelInfo(name=label.name, prompts=list(label.prompts)) for label in row.labels],
        warnings=[
            f"the label {name!r} stands {count} times; its places are told apart by position"
            for name, count in counts.items()
            if count > 1
        ],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
