"""Whole label sets: made, shown as they are or were, listed, copied from those that are built in, deleted."""

from __future__ import annotations

import dataclasses

from clipsearch.answers import LabelSetInfo, LabelSetVersionInfo
from clipsearch.built_in import PREFIX, built_in_label_set, built_in_names, is_built_in
from clipsearch.database import label_sets as label_rows
from clipsearch.database.collections import list_collections
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.reviews import count_reviews
from clipsearch.database.taggings import tagging_states
from clipsearch.errors import CollectionNotFound, LabelSetNotFound, NotFound
from clipsearch.label_files import checked
from clipsearch.label_set import Label, LabelSet
from clipsearch.labelling.describing import changes_between, describe, described
from clipsearch.labelling.editing import plain_set, refuse_built_in
from clipsearch.labelling.examples import with_known_examples
from clipsearch.library import Library
from clipsearch.prompts import (
    DEFAULT_TEMPLATES,
    PLAIN_TEMPLATE,
    check_set_name,
    fill,
    prompts_of,
)

_ARTICLES = frozenset("a an the this that some one two three no".split())


def save_label_set(
    library: Library,
    name: str,
    draft: LabelSet,
    *,
    replace: bool = False,
    collection: str | None = None,
    may_read_files: bool = True,
) -> LabelSetInfo:
    """Store a set under ``name``; an old one of that name is replaced on request and counts up its version.

    Example images are embedded by the model of ``collection``, else of the usual one; without ``may_read_files``
    only those that are known already are taken, whatever they are called. Raises AlreadyExists, InvalidLabelSet,
    InvalidTemplate, UnreadableImage.
    """
    name = own_name(name)
    draft = as_saved(library, draft, name=name, collection=collection, may_read_files=may_read_files)
    with library.database.write() as connection:
        return describe(label_rows.save_label_set(connection, name, draft, replace=replace))


def as_saved(
    library: Library, draft: LabelSet, *, name: str = "", collection: str | None = None, may_read_files: bool = True
) -> LabelSet:
    """The set as it would be stored, and not stored yet: checked, with templates and known examples.

    Raises as ``save_label_set``, but for AlreadyExists.
    """
    draft = checked(plain_set(draft), name=f"the label set {name!r}" if name else "the label set")
    draft = dataclasses.replace(draft, templates=_templates_of(draft))
    return with_known_examples(library, draft, collection, may_read_files=may_read_files)


def own_name(name: str) -> str:
    """A name to store a set under. Raises InvalidLabelSet, also for one that means a built-in set."""
    name = check_set_name(name)
    refuse_built_in(name)
    return name


def stored_label_set(library: Library, name: str, version: int | None = None) -> LabelSet:
    """The definition of a set, stored or built in, as it is or as it was. Raises LabelSetNotFound, NotFound."""
    if is_built_in(name):
        return _built_in(name)
    with library.database.read() as connection:
        try:
            row = label_rows.get_label_set(connection, name)
        except LabelSetNotFound as error:
            if name.strip() not in built_in_names():
                raise
            raise LabelSetNotFound(f"there is no label set {name!r}; did you mean {PREFIX}{name.strip()}?") from error
        if version is None or version == row.version:
            return row
        versions = {one.version: one.definition for one in label_rows.label_set_versions(connection, row)}
    if version not in versions:
        known = ", ".join(map(str, sorted({*versions, row.version})))
        raise NotFound(f"the label set {name!r} has no version {version}; known are: {known}")
    return versions[version]


def show_label_set(library: Library, name: str, version: int | None = None) -> LabelSetInfo:
    """A set, stored or built in, as it is or as it was; raises as ``stored_label_set``."""
    found = stored_label_set(library, name, version)
    if isinstance(found, LabelSetRow):
        return describe(found)
    return described(name, version or 0, found)


def label_set_history(library: Library, name: str) -> list[LabelSetVersionInfo]:
    """Every version of a set, the youngest first, with what it changed. Raises LabelSetNotFound."""
    with library.database.read() as connection:
        row = label_rows.get_label_set(connection, name)
        versions = label_rows.label_set_versions(connection, row)
    found = []
    for place, one in enumerate(versions):
        older = versions[place + 1].definition if place + 1 < len(versions) else None
        found.append(
            LabelSetVersionInfo(
                version=one.version,
                made_at=one.made_at,
                mode=one.definition.mode,
                labels=len(one.definition.labels),
                changes=changes_between(older, one.definition) if older else [],
            )
        )
    return found


def list_label_sets(library: Library) -> list[LabelSetInfo]:
    """All that are stored, by name."""
    with library.database.read() as connection:
        names = label_rows.list_label_sets(connection)
        return [describe(label_rows.get_label_set(connection, name)) for name in names]


def list_built_in() -> list[LabelSetInfo]:
    """The sets that come with clipsearch, by name."""
    return [described(PREFIX + name, 0, _built_in(name)) for name in built_in_names()]


def install_built_in(
    library: Library, name: str, *, new_name: str | None = None, replace: bool = False
) -> LabelSetInfo:
    """Copy a built-in set into the library, to be changed there. Raises LabelSetNotFound, AlreadyExists."""
    found = built_in_label_set(name)
    return save_label_set(library, new_name or name.removeprefix(PREFIX), found, replace=replace)


def lost_with_label_set(library: Library, name: str) -> tuple[int, int]:
    """How many decisions and how many tagged collections go when the set is deleted; raises as ``delete_label_set``.

    Decisions are those on images that are there as they were when they were decided on.
    """
    refuse_built_in(name)
    decisions = tagged = 0
    with library.database.read() as connection:
        row = label_rows.get_label_set(connection, name)
        for collection in list_collections(connection):
            decisions += sum(count_reviews(connection, collection.id, row.id).values())
            tagged += bool(tagging_states(connection, collection.id, row.name))
    return decisions, tagged


def delete_label_set(library: Library, name: str) -> None:
    """Raises LabelSetNotFound, InvalidLabelSet for a built-in set."""
    refuse_built_in(name)
    with library.database.write() as connection:
        label_rows.delete_label_set(connection, name)


def check_label_set(library: Library, name: str, *, collection: str | None = None) -> list[str]:
    """All that there is to warn of in a set, also what the collection's model cuts or has no word for.

    Loads the model's text tower, and embeds nothing. Before the first collection, there is no model to ask. Raises
    LabelSetNotFound, CollectionNotFound.
    """
    label_set = stored_label_set(library, name)
    found = described(name, 0, label_set).warnings
    try:
        encoder, _ = library.text_encoder_for(library.collection(collection))
    except CollectionNotFound:
        if collection is not None:
            raise
        return [*found, "there is no collection yet, and so no model to ask what it cuts or never saw"]
    templates = label_set.templates
    longest = [
        max((fill(*pair) for pair in prompts_of(label.prompts, templates)), key=len, default="")
        for label in label_set.labels
    ]
    cut = encoder.truncated(longest)
    for label, prompt, too_long in zip(label_set.labels, longest, cut, strict=True):
        unknown = encoder.unknown_words(" ".join(label.prompts)) if label.prompts else []
        if unknown:
            found.append(f"the model never saw {', '.join(unknown)} (label {label.name!r})")
        if too_long:
            found.append(f"the label {label.name!r} is too long for the model, which reads only the beginning of "
                         f"{prompt[:60]!r}…")  # fmt: skip
    return found


def _built_in(name: str) -> LabelSet:
    found = built_in_label_set(name)
    return dataclasses.replace(found, templates=_templates_of(found))


def _templates_of(draft: LabelSet) -> tuple[str, ...]:
    if draft.templates:
        return draft.templates
    return (PLAIN_TEMPLATE,) if any(map(_is_phrase, draft.labels)) else DEFAULT_TEMPLATES


def _is_phrase(label: Label) -> bool:
    # Whoever writes "a dog" has written a phrase, which must not become "a photo of a a dog."
    return any(prompt.split()[0].lower() in _ARTICLES for prompt in label.prompts)
