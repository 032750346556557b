"""What is chosen from: the labels with their embeddings, in memory for as long as the set stands as it does.

A stored set is told by its number, version and the time of its last change, which are asked for each time: a set
that was replaced, deleted or brought back by a backup is read anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.classifying.label_vectors import label_vectors
from clipsearch.classifying.label_warnings import label_warnings
from clipsearch.database.label_sets import LabelRow, LabelSetRow, get_label_set, label_set_stamp
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidLabelSet
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, MAX_LABEL, check_template, clean_text
from clipsearch.queries import Labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


@dataclass(eq=False)
class Choice:
    """A label set with the embeddings of its labels by one model, float32 [labels, d]."""

    label_set: LabelSetRow
    model: ModelRow
    vectors: NDArray[np.float32]
    from_words: bool
    _warnings: list[str] | None = None

    @property
    def names(self) -> list[str]:
        """The labels in order."""
        return [label.name for label in self.label_set.labels]

    @property
    def memory_bytes(self) -> int:
        """Bytes of the embeddings."""
        return int(self.vectors.nbytes)

    def warnings(self, encoder: Encoder | None) -> list[str]:
        """What is to be said of the labels; told in full where the encoder that embeds them is in memory."""
        if encoder is None or not self.from_words:
            return label_warnings(self.label_set, None)
        if self._warnings is None:
            self._warnings = label_warnings(self.label_set, encoder)
        return list(self._warnings)


def label_set_of(library: Library, labels: Labels) -> LabelSetRow:
    """The stored set, or one made of the labels in the question. Raises LabelSetNotFound, InvalidLabelSet."""
    if labels.label_set is not None:
        label_set = _stored(library, labels.label_set)
    else:
        names = [clean_text(name, what="a label", limit=MAX_LABEL) for name in labels.labels]
        templates = tuple(check_template(template) for template in labels.templates) or DEFAULT_TEMPLATES
        rows = tuple(LabelRow(position=position, name=name, prompts=(name,)) for position, name in enumerate(names))
        label_set = LabelSetRow(labels=rows, templates=templates)
    if len(label_set.labels) < 2:
        raise InvalidLabelSet(
            "a choice needs at least two labels: a single one would always get the probability 1; "
            "add what else it could be"
        )
    return label_set


def choice_of(library: Library, label_set: LabelSetRow, model: ModelRow, encoder: Callable[[], Encoder]) -> Choice:
    """The set with its embeddings by this model; raises as ``label_vectors``."""
    key = ("choice", *_key(label_set), model.id, model.model.fingerprint)
    known = library.recent.get(key)
    if isinstance(known, Choice):
        return known
    vectors, from_words = label_vectors(library, label_set, model, encoder)
    vectors.setflags(write=False)
    choice = Choice(label_set, model, vectors, from_words)
    library.recent.keep(key, choice, choice.memory_bytes)
    return choice


def _stored(library: Library, name: str) -> LabelSetRow:
    with library.database.read() as connection:
        stamp = label_set_stamp(connection, name)
        known = library.recent.get(("label set", *stamp)) if stamp else None
        if isinstance(known, LabelSetRow):
            return known
        label_set = get_label_set(connection, name)
    texts = sum(len(label.name) + sum(map(len, label.prompts)) for label in label_set.labels)
    library.recent.keep(("label set", *_key(label_set)[:4]), label_set, 200 * len(label_set.labels) + texts)
    return label_set


def _key(label_set: LabelSetRow) -> tuple[object, ...]:
    stamp = (label_set.id, label_set.name, label_set.version, label_set.updated_at)
    return stamp if label_set.id else (*stamp, label_set.templates, tuple(one.name for one in label_set.labels))
