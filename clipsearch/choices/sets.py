"""The label set that a question means: a stored one, a built-in one, or the labels of the question itself.

A stored set is told by its number, version and the time of its last change, which are asked for each time: a set
that was replaced, deleted or brought back by a backup is read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from clipsearch.built_in import PREFIX, built_in_label_set, built_in_names, is_built_in
from clipsearch.database.label_sets import LabelRow, LabelSetRow, get_label_set, label_set_stamp
from clipsearch.errors import LabelSetNotFound
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, MAX_LABEL, MAX_TEXT, check_template, clean_text
from clipsearch.queries import Labels
from clipsearch.scoring import check_choice


def label_set_of(library: Library, labels: Labels | LabelSet) -> LabelSetRow:
    """The set to choose from; ``builtin:NAME`` names one that comes with the software, and a set that is not stored
    stands for itself.

    A threshold that ``labels`` names stands before those of the set and of each of its labels.

    Raises LabelSetNotFound, InvalidLabelSet, EmptyText, TextTooLong, InvalidTemplate.
    """
    if isinstance(labels, LabelSet):
        draft = unstored("", labels)
        check_choice(draft)
        return draft
    if labels.label_set is None:
        label_set = _asked(labels)
    elif is_built_in(labels.label_set):
        label_set = unstored(labels.label_set.strip(), built_in_label_set(labels.label_set))
    else:
        label_set = _stored(library, labels.label_set)
    check_choice(label_set)
    # What the question says stands before what the set and its labels say; no score depends on it.
    asked = [name for name in ("min_score", "min_probability") if getattr(labels, name) is not None]
    return replace(
        label_set,
        labels=_without(label_set.labels, asked),
        min_score=label_set.min_score if labels.min_score is None else labels.min_score,
        min_probability=label_set.min_probability if labels.min_probability is None else labels.min_probability,
        min_margin=label_set.min_margin if labels.min_margin is None else labels.min_margin,
    )


def unstored(name: str, label_set: LabelSet) -> LabelSetRow:
    """The set as a row that is not stored, with the usual templates where it has none."""
    given = {field.name: getattr(label_set, field.name) for field in fields(LabelSet)}
    given["labels"] = tuple(
        LabelRow(position=place, **{field.name: getattr(label, field.name) for field in fields(Label)})
        for place, label in enumerate(label_set.labels)
    )
    given["templates"] = label_set.templates or DEFAULT_TEMPLATES
    return LabelSetRow(name=name, **given)


def _without(labels: tuple[LabelRow, ...], thresholds: Sequence[str]) -> tuple[LabelRow, ...]:
    """The labels without their own thresholds of these names."""
    if not thresholds:
        return labels
    nothing: dict[str, Any] = dict.fromkeys(thresholds)
    return tuple(replace(label, **nothing) for label in labels)


def _asked(labels: Labels) -> LabelSetRow:
    names = [clean_text(name, what="a label", limit=MAX_LABEL) for name in labels.labels]
    return unstored(
        "",
        LabelSet(
            labels=tuple(Label(name=name, prompts=(name,)) for name in names),
            templates=tuple(check_template(template) for template in labels.templates),
            mode=labels.mode,
            aggregate=labels.aggregate,
            background=tuple(clean_text(text, what="a background", limit=MAX_TEXT) for text in labels.background),
        ),
    )


def _stored(library: Library, name: str) -> LabelSetRow:
    with library.database.read() as connection:
        stamp = label_set_stamp(connection, name)
        known = library.recent.get(("label set", *stamp)) if stamp else None
        if isinstance(known, LabelSetRow):
            return known
        try:
            label_set = get_label_set(connection, name)
        except LabelSetNotFound as error:
            if name.strip() not in built_in_names():
                raise
            raise LabelSetNotFound(f"there is no label set {name!r}; did you mean {PREFIX}{name.strip()}?") from error
    texts = sum(len(label.name) + sum(map(len, label.prompts)) for label in label_set.labels)
    library.recent.keep(("label set", *stamp_of(label_set)), label_set, 200 * len(label_set.labels) + texts)
    return label_set


def stamp_of(label_set: LabelSetRow) -> tuple[object, ...]:
    """What tells a stored set from any other that ever stood under its name."""
    return (label_set.id, label_set.name, label_set.version, label_set.updated_at)
