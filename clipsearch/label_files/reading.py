"""A label file's text to a label set: what may stand where, in YAML and JSON, and which words name the place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from clipsearch.errors import InvalidLabelSet
from clipsearch.label_files.checking import brief, checked
from clipsearch.label_files.tables import read_table
from clipsearch.label_set import Aggregate, Example, Label, LabelSet, Mode

SET_KEYS = ("mode", "aggregate", "templates", "background", "min_score", "min_probability", "min_margin", "labels")
LABEL_KEYS = (
    "name", "prompts", "negatives", "category", "words_weight", "min_score", "min_probability", "examples"
)  # fmt: skip
# One of them is written without the s.
_SINGULAR = {
    "template": "templates",
    "label": "name",
    "prompt": "prompts",
    "negative": "negatives",
    "example": "examples",
}


def read_label_file(path: Path) -> LabelSet:
    """The set in a file, by its suffix: .yaml .yml .json .csv, else one label a line.

    Examples are found from the file's folder. Raises InvalidLabelSet, InvalidTemplate, which name file and place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidLabelSet(f"the label file {path} cannot be read: {reason}") from error
    return _found_from(path.parent, parse_labels(text, path.suffix.lower().lstrip("."), str(path)))


def parse_labels(text: str, form: str, name: str = "the label set") -> LabelSet:
    """The set that a text holds; ``form`` is yaml, yml, json, csv, or anything else for one label a line."""
    if form in {"yaml", "yml", "json"}:
        return _from_tree(_load(text, form, name), name)
    if form == "csv":
        label_set, places = read_table(text, name)
        return checked(label_set, name=name, places=places)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    kept = [(number, line) for number, line in lines if line and not line.startswith("# ")]
    places = [f"line {number}" for number, _ in kept]
    return checked(LabelSet.of((line, ()) for _, line in kept), name=name, places=places)


def _found_from(folder: Path, label_set: LabelSet) -> LabelSet:
    if not any(label.examples for label in label_set.labels):
        return label_set
    labels = tuple(
        replace(label, examples=tuple(replace(one, uri=_from_folder(folder, one)) for one in label.examples))
        for label in label_set.labels
    )
    return replace(label_set, labels=labels)


def _from_folder(folder: Path, example: Example) -> str:
    # With a digest it is the image that is meant, which need not be there any more.
    if example.digest or "://" in example.uri:
        return example.uri
    return str(folder / os.path.expanduser(example.uri))


def _load(text: str, form: str, name: str) -> Any:
    try:
        if form == "json":
            return json.loads(text, object_pairs_hook=_no_repeats)
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        # Also a date or a number that is none, and a key that cannot be one.
        raise InvalidLabelSet(f"{name} is not {form.upper()} that a label set can be made of: {error}") from error
    except InvalidLabelSet as error:
        raise InvalidLabelSet(f"{name}: {error.message}") from error


def _from_tree(tree: Any, name: str) -> LabelSet:
    whole: dict[str, Any] = {}
    if isinstance(tree, Mapping) and "labels" in tree:
        whole = _known(tree, SET_KEYS, name)
        tree = whole["labels"]
    elif isinstance(tree, Mapping):
        _refuse_misspelt(tree, name)
    if isinstance(tree, Mapping):
        labels = [_label({"name": label} | _parts(parts), name) for label, parts in tree.items()]
    elif isinstance(tree, list):
        labels = [_entry(entry, name) for entry in tree]
    else:
        raise InvalidLabelSet(f"{name} must be a list of labels, or a mapping of labels to prompts")
    label_set = LabelSet(
        labels=tuple(labels),
        templates=_texts(whole.get("templates"), name),
        mode=cast(Mode, _usual(whole, "mode", "single")),
        aggregate=cast(Aggregate, _usual(whole, "aggregate", "mean_embedding")),
        background=_texts(whole.get("background"), name),
        **{field: whole.get(field) for field in ("min_score", "min_probability", "min_margin")},
    )
    return checked(label_set, name=name)


def _refuse_misspelt(tree: Mapping[Any, Any], name: str) -> None:
    # One label alone is no set, so a single list beside keys of the set is the labels under another word.
    others = [key for key in tree if not (isinstance(key, str) and _SINGULAR.get(key, key) in SET_KEYS)]
    if len(others) == 1 and isinstance(tree[others[0]], list):
        raise InvalidLabelSet(
            f"{name} has a list under {brief(others[0])} and no key labels; perhaps labels was meant. A single label "
            "is written labels: [{name: …, prompts: […]}]"
        )


def _usual(whole: Mapping[str, Any], key: str, usual: str) -> Any:
    return usual if whole.get(key) is None else whole[key]


def _parts(parts: Any) -> dict[str, Any]:
    return dict(parts) if isinstance(parts, Mapping) else {"prompts": parts}


def _entry(entry: Any, name: str) -> Label:
    return _label(dict(entry) if isinstance(entry, Mapping) else {"name": entry}, name)


def _label(entry: dict[str, Any], name: str) -> Label:
    what = f"an entry of {name}"
    given = _known(entry, LABEL_KEYS, what)
    if given.get("name") is None:
        raise InvalidLabelSet(f"{what} must hold name and prompts, not {brief(entry)}")
    category = given.get("category")
    return Label(
        name=_text(given["name"], name),
        prompts=_texts(given.get("prompts"), name),
        negatives=_texts(given.get("negatives"), name),
        category=None if category is None else _text(category, name),
        examples=_examples(given.get("examples"), f"the label {brief(given['name'])} of {name}"),
        **{field: given.get(field) for field in ("words_weight", "min_score", "min_probability")},
    )


def _known(tree: Mapping[Any, Any], keys: tuple[str, ...], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    unknown = []
    for key, value in tree.items():
        known = _SINGULAR.get(key, key) if isinstance(key, str) else None
        if known not in keys:
            unknown.append(key)
        elif known in found:
            raise InvalidLabelSet(f"{what} has both {key!r} and its other spelling")
        else:
            found[known] = value
    if unknown:
        raise InvalidLabelSet(
            f"{what} has the unknown keys {', '.join(sorted(map(brief, unknown)))}; known are {', '.join(keys)}"
        )
    return found


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(_text(one, name) for one in (value if isinstance(value, list | tuple) else [value]))


def _text(value: Any, name: str) -> str:
    # YAML reads no, on and 1.0 as other things than words: what was meant can only be asked.
    if not isinstance(value, str):
        raise InvalidLabelSet(f"{name} holds {brief(value)}, which is not a text; put it in quotes")
    return value


def _examples(value: Any, what: str) -> tuple[Example, ...]:
    if value is None:
        return ()
    return tuple(_example(one, what) for one in (value if isinstance(value, list) else [value]))


def _example(value: Any, what: str) -> Example:
    if not isinstance(value, Mapping):
        return Example(_text(value, what))
    given = _known(value, ("uri", "digest"), f"an example of {what}")
    return Example(_text(given.get("uri"), what), _text(given.get("digest", ""), what))


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidLabelSet(f"the key {brief(key)} stands twice")
        found[key] = value
    return found


class _Loader(yaml.SafeLoader):
    """YAML without silent loss (of a key that stands twice, PyYAML would keep the last) and without aliases, by which
    four hundred bytes become gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node, as long as it is written out."""
        if self.check_event(yaml.AliasEvent):
            raise InvalidLabelSet("a label file may not use YAML aliases (*name); write the labels out")
        return super().compose_node(parent, index)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if isinstance(key, list | dict | set):
            raise InvalidLabelSet(f"line {line}: the key {brief(key)} is not a text")
        if key in found:
            raise InvalidLabelSet(f"the key {brief(key)} stands twice, in lines {lines[key]} and {line}")
        found[key] = loader.construct_object(value_node, deep=True)
        lines[key] = line
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
