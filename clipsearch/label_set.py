"""What a label set is to those who neither store nor embed it: its labels, how they are joined and scored, and what
its scores depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Mode = Literal["single", "multi", "binary"]
Aggregate = Literal["mean_embedding", "max", "sum_probability"]

MODES: tuple[Mode, ...] = ("single", "multi", "binary")
AGGREGATES: tuple[Aggregate, ...] = ("mean_embedding", "max", "sum_probability")
# Counted up whenever the same set would be given other scores: by another background, formula or constant.
ARITHMETIC = 1
BACKGROUND = -1  # the position of the background among the labels of a set


@dataclass(frozen=True)
class Example:
    """An image that stands for a label: the SHA-256 of its file (of its embedding where it came without a file),
    empty where it was not looked up yet, and where it was found."""

    uri: str
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Label:
    """One choice: words, several prompts, example images, or a mixture of them.

    ``words_weight`` is the share of the words in a mixture with examples, 0 to 1; None means half where there are
    both. ``negatives`` are the prompts of "not this" for the mode binary; without any they are generated.
    ``min_score`` (cosine) and ``min_probability`` reject this label below them, and stand before those of the set.
    """

    name: str
    prompts: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    category: str | None = None
    words_weight: float | None = None
    min_score: float | None = None
    min_probability: float | None = None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """Ordered labels, and how they are chosen from.

    ``background`` holds the prompts of "something else"; empty for none. ``min_margin`` is the least difference of
    the probabilities of the first and the second.
    """

    labels: tuple[Label, ...]
    templates: tuple[str, ...] = ()
    mode: Mode = "single"
    aggregate: Aggregate = "mean_embedding"
    background: tuple[str, ...] = ()
    min_score: float | None = None
    min_probability: float | None = None
    min_margin: float | None = None

    @classmethod
    def of(cls, labels: Iterable[tuple[str, Iterable[str]]], templates: Iterable[str] = ()) -> LabelSet:
        """The plain set of names with their prompts."""
        return cls(
            labels=tuple(Label(name=name, prompts=tuple(prompts)) for name, prompts in labels),
            templates=tuple(templates),
        )

    @property
    def digest(self) -> str:
        """SHA-256 of what scores and probabilities depend on: neither thresholds nor categories are part of it."""
        labels = [
            [one.name, one.prompts, one.negatives, one.words_weight, [example.digest for example in one.examples]]
            for one in self.labels
        ]
        parts = [ARITHMETIC, self.mode, self.aggregate, self.templates, self.background, labels]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()

    def as_tree(self) -> dict[str, Any]:
        """As JSON can hold it; what has its usual value is left out."""
        tree = _spare(self, LabelSet)
        tree["labels"] = [_spare(label, Label) for label in self.labels]
        return tree


def from_tree(tree: Mapping[str, Any]) -> LabelSet:
    """The set that ``as_tree`` wrote."""
    given = dict(tree)
    given["labels"] = tuple(_label(label) for label in given["labels"])
    return LabelSet(**_tuples(given))


def _label(tree: Mapping[str, Any]) -> Label:
    given = _tuples(tree)
    given["examples"] = tuple(Example(**one) for one in given.get("examples", ()))
    return Label(**given)


def _tuples(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in tree.items()}


def _spare(thing: Label | LabelSet, kind: type[Label] | type[LabelSet]) -> dict[str, Any]:
    # Of the kind alone: a row has a number and dates besides.
    usual = {field.name: field.default for field in fields(kind)}
    names = [name for name in usual if getattr(thing, name) != usual[name]]
    return {name: _plain(getattr(thing, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [asdict(one) if isinstance(one, Example) else one for one in value]
    return value
