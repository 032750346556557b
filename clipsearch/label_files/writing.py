"""A label set to a label file's text, in the three forms that ``reading`` takes; says what a person would write."""

from __future__ import annotations

import json
from typing import Any, Literal

import yaml

from clipsearch.label_files.tables import write_table
from clipsearch.label_set import Example, Label, LabelSet
from clipsearch.prompts import plain_words

Form = Literal["yaml", "json", "csv"]
_SET = ("mode", "aggregate", "templates", "background", "min_score", "min_probability", "min_margin")
_LABEL = ("negatives", "category", "words_weight", "min_score", "min_probability")
_ALWAYS = ("mode", "templates")


def write_labels(label_set: LabelSet, form: Form = "yaml") -> str:
    """The set as a text that ``parse_labels`` reads back as it is, as long as it was ``checked``."""
    if form == "csv":
        return write_table(label_set)
    if form == "json":
        return json.dumps(definition(label_set), ensure_ascii=False, indent=2) + "\n"
    return yaml.dump(definition(label_set), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def definition(label_set: LabelSet) -> dict[str, Any]:
    """The set as a tree of what YAML and JSON can hold; what has its usual value is left out."""
    usual = LabelSet(labels=())
    tree = {
        key: _plain(getattr(label_set, key))
        for key in _SET
        if key in _ALWAYS or getattr(label_set, key) != getattr(usual, key)
    }
    return tree | {"labels": [_entry(label) for label in label_set.labels]}


def _entry(label: Label) -> Any:
    usual = Label(name="")
    parts: dict[str, Any] = {"name": label.name}
    if label.prompts and (label.prompts != (plain_words(label.name),) or label.examples):
        parts["prompts"] = list(label.prompts)
    parts |= {key: _plain(getattr(label, key)) for key in _LABEL if getattr(label, key) != getattr(usual, key)}
    if label.examples:
        parts["examples"] = [_example(one) for one in label.examples]
    return label.name if len(parts) == 1 else parts


def _example(example: Example) -> Any:
    return {"uri": example.uri, "digest": example.digest} if example.digest else example.uri


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class _Dumper(yaml.SafeDumper):
    """YAML without aliases, which are not read here, and with the entries of a list set in."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Set in, also in a list."""
        super().increase_indent(flow, False)
