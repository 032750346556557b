"""Parts of a label set changed in place: thresholds, which embed nothing, and single labels, which embed themselves."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from clipsearch.answers import LabelSetInfo
from clipsearch.built_in import PREFIX, is_built_in
from clipsearch.database import label_sets as label_rows
from clipsearch.errors import InvalidInput, InvalidLabelSet
from clipsearch.label_files import checked, checked_number
from clipsearch.label_set import Label, LabelSet
from clipsearch.labelling.describing import describe
from clipsearch.library import Library

SET_THRESHOLDS = ("min_score", "min_probability", "min_margin")
LABEL_THRESHOLDS = ("min_score", "min_probability")
LABEL_PARTS = ("name", "prompts", "negatives", "category", "words_weight", "min_score", "min_probability", "examples")


def set_thresholds(
    library: Library,
    name: str,
    thresholds: Mapping[str, float | None],
    *,
    labels: Mapping[str, Mapping[str, float | None]] | None = None,
) -> LabelSetInfo:
    """Change thresholds of the set, and of ``labels`` by name; None takes one away. Embeds nothing.

    All of them make one version more. Raises LabelSetNotFound, InvalidLabelSet.
    """
    of_labels = labels or {}
    if not thresholds and not any(of_labels.values()):
        raise InvalidInput("name at least one threshold to set or to clear")

    def changed(label_set: LabelSet) -> LabelSet:
        found = dataclasses.replace(label_set, **_numbers(thresholds, SET_THRESHOLDS, f"the label set {name!r}"))
        if not of_labels:
            return found
        for label in of_labels:
            label_of(found, label)
        return dataclasses.replace(
            found,
            labels=tuple(
                dataclasses.replace(one, **_numbers(of_labels[one.name], LABEL_THRESHOLDS, f"the label {one.name!r}"))
                if one.name in of_labels
                else one
                for one in found.labels
            ),
        )

    return _change(library, name, changed)


def edit_label(library: Library, name: str, label: str, changes: Mapping[str, Any]) -> LabelSetInfo:
    """Change parts of one label: name, prompts, negatives, category, words_weight, thresholds, or drop examples.

    Only that label is embedded anew, and only where its words changed. Raises LabelSetNotFound, InvalidLabelSet.
    """
    unknown = set(changes) - set(LABEL_PARTS)
    if unknown:
        raise InvalidInput(f"a label has no {', '.join(sorted(unknown))}; it has {', '.join(LABEL_PARTS)}")

    def changed(label_set: LabelSet) -> LabelSet:
        position = label_set.labels.index(label_of(label_set, label))
        new = dataclasses.replace(label_set.labels[position], **changes)
        new = checked(LabelSet(mode="multi", labels=(new,)), name=f"the label set {name!r}").labels[0]
        others = [*label_set.labels[:position], *label_set.labels[position + 1 :]]
        if any(one.name == new.name for one in others):
            raise InvalidLabelSet(f"the label set {name!r} has a label {new.name!r} already")
        labels = (*label_set.labels[:position], new, *label_set.labels[position + 1 :])
        return dataclasses.replace(label_set, labels=labels)

    return _change(library, name, changed)


def change_labels(
    library: Library, name: str, *, add: tuple[Label, ...] = (), remove: tuple[str, ...] = ()
) -> LabelSetInfo:
    """Add labels at the end and remove others by name. Raises LabelSetNotFound, InvalidLabelSet."""

    def changed(label_set: LabelSet) -> LabelSet:
        gone = {label_of(label_set, one).name for one in remove}
        labels = (*(one for one in label_set.labels if one.name not in gone), *add)
        return checked(dataclasses.replace(label_set, labels=labels), name=f"the label set {name!r}")

    return _change(library, name, changed)


def label_of(label_set: LabelSet, name: str) -> Label:
    """The label of this name. Raises InvalidLabelSet with the nearest, also where the name stands several times."""
    found = [label for label in label_set.labels if label.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidLabelSet(f"the label {name!r} stands {len(found)} times in the set; which is meant cannot be told")
    names = [label.name for label in label_set.labels]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(names[:10])}"
    raise InvalidLabelSet(f"the label set has no label {name!r}; {hint}")


def with_label(label_set: LabelSet, label: Label) -> LabelSet:
    """The set with this label in the place of the one of its name."""
    labels = tuple(label if one.name == label.name else one for one in label_set.labels)
    return dataclasses.replace(label_set, labels=labels)


def refuse_built_in(name: str) -> None:
    """Raises InvalidLabelSet for a name that means a set that comes with clipsearch."""
    if is_built_in(name):
        raise InvalidLabelSet(
            f"{name!r} names a built-in set, which cannot be changed; copy it: "
            f"clipsearch labels install {name.strip().removeprefix(PREFIX)} --as NAME"
        )


def _change(library: Library, name: str, changed: Callable[[LabelSet], LabelSet]) -> LabelSetInfo:
    refuse_built_in(name)
    # Read and written in one transaction: of two changes at once, neither is lost.
    with library.database.write() as connection:
        row = label_rows.get_label_set(connection, name)
        return describe(label_rows.save_label_set(connection, name, changed(plain_set(row)), replace=True))


def _numbers(given: Mapping[str, float | None], known: tuple[str, ...], what: str) -> dict[str, Any]:
    unknown = set(given) - set(known)
    if unknown:
        raise InvalidInput(f"{what} has no threshold {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    return {field: checked_number(value, field, what) for field, value in given.items()}


def plain_set(label_set: LabelSet) -> LabelSet:
    """The definition alone, without the numbers that a row has."""
    given = {field: getattr(label_set, field) for field in LabelSet.__dataclass_fields__}
    labels = tuple(Label(**{field: getattr(one, field) for field in LABEL_PARTS}) for one in label_set.labels)
    return LabelSet(**given | {"labels": labels})
