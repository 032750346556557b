"""What a person should know of a choice before believing it; knows what can be told without loading a model.

A warning that fits one label names it. Where it fits several they share a line, whatever their number: an answer
about one picture is not to be buried under a thousand lines about the words of the set.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipsearch.database.label_sets import LabelRow, LabelSetRow
from clipsearch.prompts import fill, prompts_of, repeated_labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

EXAMPLES = 3
LONGEST = 40  # characters of a name that is an example only


def label_warnings(label_set: LabelSetRow, encoder: Encoder | None) -> list[str]:
    """Labels that stand twice, and, where the encoder is in memory, those it cuts or has no word for.

    One line at most for each of the three. A prompt that is not kept yet is embedded by the encoder, so the first
    answer always says so.
    """
    found = _repeated(label_set)
    if encoder is None:
        return found
    worded = [label for label in label_set.labels if texts_of(label)]
    if encoder.vocabulary is not None:
        words = [(label.name, encoder.unknown_words(" ".join(texts_of(label)))) for label in worded]
        found += _unknown(label_set, [(name, unknown) for name, unknown in words if unknown])
    cut = encoder.truncated([_longest_prompt(label, label_set) for label in worded])
    return found + _cut(label_set, [label.name for label, too_long in zip(worded, cut, strict=True) if too_long])


def texts_of(label: LabelRow) -> tuple[str, ...]:
    """What stands for a label in words: its prompts, else its name, and nothing where it is example images only."""
    return label.prompts or (() if label.examples else (label.name,))


def _repeated(label_set: LabelSetRow) -> list[str]:
    every = repeated_labels(label.name for label in label_set.labels)
    if len(every) <= 1:
        return every
    names = [name for name, count in Counter(label.name for label in label_set.labels).items() if count > 1]
    said = f"{len(names)} names of labels stand more than once and are told apart by position"
    return [said + _examples([repr(_brief(name)) for name in names], label_set)]


def _unknown(label_set: LabelSetRow, found: Sequence[tuple[str, list[str]]]) -> list[str]:
    if len(found) == 1:
        name, words = found[0]
        return [f"the model never saw {', '.join(words)} (label {name!r})"]
    told = [f"{_brief(', '.join(words))} (label {_brief(name)!r})" for name, words in found[:EXAMPLES]]
    said = f"{len(found)} of {len(label_set.labels)} labels hold words that the model never saw"
    return [said + _examples(told, label_set, len(found))] if found else []


def _cut(label_set: LabelSetRow, names: Sequence[str]) -> list[str]:
    if len(names) == 1:
        return [f"the label {names[0]!r} is too long for the model, which reads the beginning only"]
    said = f"{len(names)} of {len(label_set.labels)} labels are too long for the model, which reads the beginning only"
    return [said + _examples([repr(_brief(name)) for name in names], label_set)] if names else []


def _examples(told: Sequence[str], label_set: LabelSetRow, count: int | None = None) -> str:
    """The first of them, and where all are told; ``count`` is how many there are where ``told`` holds fewer."""
    if (count or len(told)) <= EXAMPLES:
        return f": {', '.join(told)}"
    rest = f"; all of them: clipsearch labels check {shlex.quote(label_set.name)}" if label_set.name else ""
    return f", e.g. {', '.join(told[:EXAMPLES])}{rest}"


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _longest_prompt(label: LabelRow, label_set: LabelSetRow) -> str:
    # One for each label: tokens follow bytes closely, and a set may have eighty templates.
    prompts = [fill(template, text) for template, text in prompts_of(texts_of(label), label_set.templates)]
    return max(prompts, key=lambda prompt: len(prompt.encode()))
