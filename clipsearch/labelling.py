"""Make, show and delete label sets; knows what is said of one."""

from __future__ import annotations

import dataclasses

from clipsearch.answers import LabelInfo, LabelSetInfo
from clipsearch.database import label_sets as label_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.label_set import LabelSet
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, PLAIN_TEMPLATE, check_set_name, repeated_labels

_ARTICLES = frozenset("a an the this that some one two three no".split())


def save_label_set(library: Library, name: str, draft: LabelSet, *, replace: bool = False) -> LabelSetInfo:
    """Store a set under ``name``; an old one of that name is replaced on request and counts up its version.

    Raises AlreadyExists, InvalidLabelSet.
    """
    name = check_set_name(name)
    with library.database.write() as connection:
        row = label_rows.save_label_set(
            connection, name, dataclasses.replace(draft, templates=_templates_of(draft)), replace=replace
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


def describe(row: LabelSetRow) -> LabelSetInfo:
    """What is said of a set on every door."""
    return LabelSetInfo(
        name=row.name,
        version=row.version,
        mode="single",
        templates=list(row.templates),
        labels=[LabelInfo(name=label.name, prompts=list(label.prompts)) for label in row.labels],
        warnings=repeated_labels(label.name for label in row.labels),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _templates_of(draft: LabelSet) -> tuple[str, ...]:
    if draft.templates:
        return draft.templates
    # Whoever writes "a dog" has written a phrase, which must not become "a photo of a a dog."
    phrases = any(prompt.split()[0].lower() in _ARTICLES for label in draft.labels for prompt in label.prompts)
    return (PLAIN_TEMPLATE,) if phrases else DEFAULT_TEMPLATES
