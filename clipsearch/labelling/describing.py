"""What is said of a label set on every door, and what one version of it changed against another."""

from __future__ import annotations

from clipsearch.answers import ExampleInfo, LabelInfo, LabelSetInfo
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.label_names import name_warnings
from clipsearch.label_set import Label, LabelSet
from clipsearch.prompts import repeated_labels

MOST_CHANGES = 10


def describe(row: LabelSetRow) -> LabelSetInfo:
    """What is said of a stored set."""
    info = described(row.name, row.version, row)
    return info.model_copy(update={"created_at": row.created_at, "updated_at": row.updated_at})


def described(name: str, version: int, label_set: LabelSet) -> LabelSetInfo:
    """What is said of any set."""
    return LabelSetInfo(
        name=name,
        version=version,
        mode=label_set.mode,
        aggregate=label_set.aggregate,
        templates=list(label_set.templates),
        background=list(label_set.background),
        min_score=label_set.min_score,
        min_probability=label_set.min_probability,
        min_margin=label_set.min_margin,
        digest=label_set.digest,
        labels=[_label_info(label) for label in label_set.labels],
        warnings=label_set_warnings(label_set),
    )


def describe_draft(label_set: LabelSet) -> LabelSetInfo:
    """What is said of a set that is not stored and has no name."""
    return described("", 0, label_set)


def _label_info(label: Label) -> LabelInfo:
    return LabelInfo(
        name=label.name,
        prompts=list(label.prompts),
        negatives=list(label.negatives),
        category=label.category,
        words_weight=label.words_weight,
        min_score=label.min_score,
        min_probability=label.min_probability,
        examples=[ExampleInfo(uri=one.uri, digest=one.digest) for one in label.examples],
    )


def label_set_warnings(label_set: LabelSet) -> list[str]:
    """What can be told without a model: repeated and doubtful names, and parts that the mode does not use."""
    found = repeated_labels(label.name for label in label_set.labels) + name_warnings(label_set.labels)
    if label_set.mode != "binary" and any(label.negatives for label in label_set.labels):
        found.append(f"negatives are used in the mode binary only; this set's is {label_set.mode}")
    without = [label.name for label in label_set.labels if label.category is None]
    if without and len(without) < len(label_set.labels):
        names = ", ".join(map(repr, without[:3])) + (" and others" if len(without) > 3 else "")
        found.append(f"some labels have a category, {names} have none")
    return found


def changes_between(older: LabelSet, newer: LabelSet) -> list[str]:
    """What the newer version changed, in words; after ten only how much more there is."""
    found = [
        f"{field} {_shown(getattr(older, field))} -> {_shown(getattr(newer, field))}"
        for field in ("mode", "aggregate", "templates", "background", "min_score", "min_probability", "min_margin")
        if getattr(older, field) != getattr(newer, field)
    ]
    before = {label.name: label for label in older.labels}
    after = {label.name: label for label in newer.labels}
    found += [f"label {name!r} added" for name in after if name not in before]
    found += [f"label {name!r} removed" for name in before if name not in after]
    for name, label in after.items():
        if name in before and before[name] != label:
            parts = [
                field for field in Label.__dataclass_fields__ if getattr(before[name], field) != getattr(label, field)
            ]
            found.append(f"label {name!r}: {', '.join(parts)}")
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        found.append("labels in another order")
    more = len(found) - MOST_CHANGES
    return [*found[:MOST_CHANGES], f"and {more} more"] if more > 0 else found


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " | ".join(value) or "none"
    return "none" if value is None else str(value)
