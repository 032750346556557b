"""What a person should know of a choice before believing it; knows what can be told without loading a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsearch.database.label_sets import LabelRow, LabelSetRow
from clipsearch.prompts import fill, prompts_of, repeated_labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


def label_warnings(label_set: LabelSetRow, encoder: Encoder | None) -> list[str]:
    """Labels that stand twice, and, where the encoder is in memory, those it cuts or has no word for.

    A prompt that is not kept yet is embedded by the encoder, so the first answer always says so.
    """
    found = repeated_labels(label.name for label in label_set.labels)
    if encoder is None:
        return found
    worded = [label for label in label_set.labels if texts_of(label)]
    cut = encoder.truncated([_longest_prompt(label, label_set) for label in worded])
    for label, too_long in zip(worded, cut, strict=True):
        unknown = encoder.unknown_words(" ".join(texts_of(label))) if encoder.vocabulary is not None else []
        if unknown:
            found.append(f"the model never saw {', '.join(unknown)} (label {label.name!r})")
        if too_long:
            found.append(f"the label {label.name!r} is too long for the model, which reads the beginning only")
    return found


def texts_of(label: LabelRow) -> tuple[str, ...]:
    """What stands for a label in words: its prompts, else its name, and nothing where it is example images only."""
    return label.prompts or (() if label.examples else (label.name,))


def _longest_prompt(label: LabelRow, label_set: LabelSetRow) -> str:
    # One for each label: tokens follow bytes closely, and a set may have eighty templates.
    prompts = [fill(template, text) for template, text in prompts_of(texts_of(label), label_set.templates)]
    return max(prompts, key=lambda prompt: len(prompt.encode()))
