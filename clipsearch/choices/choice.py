"""A label set ready to choose from by one model; its rows are in memory for as long as the set stands as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsearch.choices.label_rows import presence_of, targets_of
from clipsearch.choices.label_warnings import label_warnings
from clipsearch.choices.sets import stamp_of
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.models import ModelRow
from clipsearch.library import Library
from clipsearch.scoring import Presence, Ranker, Targets, ranker

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


_MAKESHIFT = (
    "the model {} is not here to embed background texts: the labels are held against each other, and probabilities "
    "will change once it is"
)


@dataclass(eq=False)
class _Kept:
    """What is expensive to make: rows, and what is to be said of the words that they were made of."""

    targets: Targets
    presence: Presence | None
    from_words: bool
    makeshift: bool = False
    warnings: list[str] | None = None

    @property
    def memory_bytes(self) -> int:
        return self.targets.memory_bytes + (self.presence.memory_bytes if self.presence else 0)


@dataclass(frozen=True, eq=False)
class Choice:
    """A label set with what stands for its labels by one model."""

    label_set: LabelSetRow
    model: ModelRow
    kept: _Kept

    @property
    def names(self) -> list[str]:
        """The labels in order."""
        return [label.name for label in self.label_set.labels]

    def ranker(self, top: int | None, images: int) -> Ranker:
        """What ranks the labels for block after block of ``images`` unit rows float32 [n, d] in all: ``top`` of them,
        or all with None."""
        kept = self.kept
        return ranker(self.label_set, kept.targets, self.model.model, top=top, images=images, presence=kept.presence)

    def warnings(self, encoder: Encoder | None) -> list[str]:
        """What is to be said of the labels; told in full where the encoder that embeds them is in memory."""
        said = [_MAKESHIFT.format(self.model.model.name)] if self.kept.makeshift else []
        if encoder is None or not self.kept.from_words:
            return said + label_warnings(self.label_set, None)
        if self.kept.warnings is None:
            self.kept.warnings = label_warnings(self.label_set, encoder)
        return said + self.kept.warnings


def choice_of(library: Library, label_set: LabelSetRow, model: ModelRow, encoder: Callable[[], Encoder]) -> Choice:
    """The set with the rows of its labels by this model; ``encoder`` is asked for only when something is not kept.

    What is a makeshift for want of the model is made anew each time, until the model is here. Raises as ``targets_of``
    and ``presence_of``.
    """
    told = stamp_of(label_set) if label_set.id else (label_set.name, label_set.digest)
    key = ("choice", *told, model.id, model.model.fingerprint)
    known = library.recent.get(key)
    if isinstance(known, _Kept):
        return Choice(label_set, model, known)
    targets, from_words = targets_of(library, label_set, model, encoder)
    presence, makeshift = presence_of(library, label_set, targets, model, encoder)
    kept = _Kept(targets, presence, from_words, makeshift)
    if not makeshift:
        library.recent.keep(key, kept, kept.memory_bytes)
    return Choice(label_set, model, kept)
