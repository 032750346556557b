"""Label sets as people write them down: YAML, JSON, CSV, or one label a line; knows those forms and no database."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from reprlib import repr as brief
from typing import Any

import yaml

from clipsearch.errors import InvalidLabelSet
from clipsearch.label_set import LabelSet
from clipsearch.prompts import MAX_LABEL, check_template, clean_text

MAX_STORED_LABELS = 200_000
MAX_PROMPTS = 200


def read_label_file(path: Path) -> LabelSet:
    """The draft in a file, by its suffix: .yaml .yml .json .csv, else one label a line.

    Raises InvalidLabelSet, which names the place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidLabelSet(f"the label file {path} cannot be read: {reason}") from error
    return parse_labels(text, path.suffix.lower().lstrip("."), str(path))


def parse_labels(text: str, form: str, name: str = "the label set") -> LabelSet:
    """The draft that a text holds; ``form`` is yaml, yml, json, csv, or anything else for one label a line."""
    if form in {"yaml", "yml", "json"}:
        return _from_tree(_load(text, form, name), name)
    if form == "csv":
        return draft_of(_from_csv(text, name), name=name)
    lines = [line.strip() for line in text.splitlines()]
    return draft_of(((line, ()) for line in lines if line and not line.startswith("# ")), name=name)


def draft_of(
    labels: Iterable[tuple[str, Iterable[str]]], templates: Iterable[str] = (), *, name: str = "the label set"
) -> LabelSet:
    """A checked draft. A label without prompts is its own prompt. Raises InvalidLabelSet, InvalidTemplate."""
    drafted: dict[str, tuple[str, ...]] = {}
    for label, prompts in labels:
        cleaned = clean_text(str(label), what=f"a label of {name}", limit=MAX_LABEL)
        if cleaned in drafted:
            raise InvalidLabelSet(f"{name} names the label {cleaned!r} twice; put its prompts together")
        texts = tuple(
            dict.fromkeys(clean_text(str(one), what=f"a prompt of {cleaned!r}", limit=1_000) for one in prompts)
        )
        if len(texts) > MAX_PROMPTS:
            raise InvalidLabelSet(f"the label {cleaned!r} has {len(texts)} prompts; the limit is {MAX_PROMPTS}")
        drafted[cleaned] = texts or (cleaned,)
    if len(drafted) < 2:
        raise InvalidLabelSet(f"{name} needs at least two labels: a single one would always get the probability 1")
    if len(drafted) > MAX_STORED_LABELS:
        raise InvalidLabelSet(f"{name} has {len(drafted)} labels; the limit is {MAX_STORED_LABELS}")
    return LabelSet.of(drafted.items(), (check_template(one) for one in templates))


def _load(text: str, form: str, name: str) -> Any:
    try:
        if form == "json":
            return json.loads(text, object_pairs_hook=_no_repeats)
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        # Also a date or a number that is none, and a key that cannot be one.
        raise InvalidLabelSet(f"{name} is not {form.upper()} that a label set can be made of: {error}") from error


def _from_tree(tree: Any, name: str) -> LabelSet:
    templates: Any = ()
    if isinstance(tree, Mapping) and "labels" in tree:
        unknown = set(tree) - {"labels", "templates", "template"}
        if unknown:
            raise InvalidLabelSet(f"{name} has the unknown keys {', '.join(sorted(map(brief, unknown)))}; "
                                  "known are labels and templates")  # fmt: skip
        templates = tree.get("templates", tree.get("template", ()))
        tree = tree["labels"]
    if isinstance(tree, Mapping):
        pairs = [(_text(label, name), _texts(prompts, name)) for label, prompts in tree.items()]
    elif isinstance(tree, list):
        pairs = [_pair(entry, name) for entry in tree]
    else:
        raise InvalidLabelSet(f"{name} must be a list of labels, or a mapping of labels to prompts")
    return draft_of(pairs, _texts(templates, name), name=name)


def _pair(entry: Any, name: str) -> tuple[str, list[str]]:
    if isinstance(entry, Mapping):
        label = entry.get("name", entry.get("label"))
        if label is None or set(entry) - {"name", "label", "prompts", "prompt"}:
            raise InvalidLabelSet(f"an entry of {name} must hold name and prompts, not {brief(entry)}")
        return _text(label, name), _texts(entry.get("prompts", entry.get("prompt")), name)
    return _text(entry, name), []


def _texts(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    return [_text(one, name) for one in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any, name: str) -> str:
    # YAML reads no, on and 1.0 as other things than words: what was meant can only be asked.
    if not isinstance(value, str):
        raise InvalidLabelSet(f"{name} holds {brief(value)}, which is not a text; put it in quotes")
    return value


def _from_csv(text: str, name: str) -> list[tuple[str, list[str]]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InvalidLabelSet(f"{name} is not CSV: {error}") from error
    if rows and rows[0][0].strip().lower() in {"label", "name", "class"}:
        rows = rows[1:]
    found: dict[str, list[str]] = {}
    for row in rows:
        prompts = found.setdefault(row[0].strip(), [])
        prompts += [cell.strip() for cell in row[1:] if cell.strip()]
    return list(found.items())


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
    pairs = [
        (loader.construct_object(key, deep=True), loader.construct_object(value, deep=True))
        for key, value in node.value
    ]
    for key, _ in pairs:
        if isinstance(key, list | dict | set):
            raise InvalidLabelSet(f"the key {brief(key)} is not a text")
    return _no_repeats(pairs)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
