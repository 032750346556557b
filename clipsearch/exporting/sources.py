"""Where the labels of an export come from: a person's word, then tags that hold, then the model on the spot.

No picture is opened, and no model loaded where tags say all that is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.choices import choice_of
from clipsearch.database import Connection
from clipsearch.database.collections import CollectionRow
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.reviews import list_reviews
from clipsearch.database.taggings import TaggingState, find_tagging, tagging_states
from clipsearch.database.tags import KeptTag, kept_tags
from clipsearch.exporting.deciding import Classes, Given
from clipsearch.indexes import IndexView
from clipsearch.label_set import BACKGROUND
from clipsearch.library import Library
from clipsearch.scoring import Ranked, Ranker

Origin = Literal["review", "tags", "model"]
BLOCK = 4_096
CELLS = 4_000_000  # ranked labels in memory at once
_DECIDED = {"accepted", "corrected"}


@dataclass(frozen=True)
class Told:
    """What one image was given, and by whom."""

    given: Given
    origin: Origin


class LabelSources:
    """Answers, block by block, what each image of a collection is given; ``images`` is how many will be asked for.

    With ``best`` the labels are that many best ones, whatever the thresholds say.
    """

    def __init__(
        self,
        library: Library,
        collection: CollectionRow,
        label_set: LabelSetRow,
        classes: Classes,
        view: IndexView | None,
        *,
        images: int,
        best: int | None = None,
    ) -> None:
        self._library = library
        self._collection = collection
        self._label_set = label_set
        self._classes = classes
        self._view = view
        self._images = images
        self._best = best
        self._there = view.index.ids() if view is not None else np.empty(0, dtype=np.int64)
        self._ranker: Ranker | None = None
        self._labels = len(label_set.labels) + bool(label_set.background)
        with library.database.read() as connection:
            self._reviews = self._standing_reviews(connection)
            self._tagging = self._standing_tagging(connection)

    @property
    def block(self) -> int:
        """How many images to ask for at once."""
        return max(1, min(BLOCK, CELLS // (self._top or self._labels)))

    def tell(self, connection: Connection, ids: Sequence[int]) -> dict[int, Told]:
        """What these images are given; those are left out of which nothing can be said, for want of an embedding."""
        found = {number: Told(self._reviews[number], "review") for number in ids if number in self._reviews}
        left = [number for number in ids if number not in found]
        if self._tagging is not None and not _stands(connection, self._tagging):
            self._tagging = None  # for good: what follows is by the model and the set that this export began with
        if self._tagging is not None and left:
            found |= self._from_tags(connection, self._tagging, left)
            left = [number for number in left if number not in found]
        return found | self._by_model(np.array(left, dtype=np.int64))

    def vectors(self, ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """The unit embeddings of these images, float32 [d] each; of those that have one."""
        known = self._known(np.array(ids, dtype=np.int64))
        if self._view is None or not len(known):
            return {}
        return dict(zip(known.tolist(), self._view.index.vectors(known), strict=True))

    @property
    def _top(self) -> int | None:
        """How many labels of an image have to be ranked; None for all."""
        if self._best is not None:
            return min(self._best + bool(self._label_set.background), self._labels)
        # Labels that are looked at each on its own may all hold; a category is the sum of all its labels.
        return 1 if self._label_set.mode == "single" and not self._classes.by_category else None

    def _standing_reviews(self, connection: Connection) -> dict[int, Given]:
        names = {label.name for label in self._label_set.labels}
        found = {}
        rows = list_reviews(connection, self._collection.id, self._label_set.id) if self._label_set.id else []
        for review in rows:
            known = [name for name in review.labels if name in names]
            # Of a review whose labels are all gone from the set nothing is left to go by.
            if review.verdict in _DECIDED and (known or not review.labels):
                found[review.image_id] = self._classes.reviewed(known)
        return found

    def _standing_tagging(self, connection: Connection) -> TaggingState | None:
        summed = self._classes.by_category and self._label_set.mode == "single"
        if not self._label_set.id or self._best is not None or summed:
            return None
        states = tagging_states(connection, self._collection.id, self._label_set.name)
        return next((state for state in states if state.why_stale is None and self._is_of_ours(state)), None)

    def _is_of_ours(self, state: TaggingState) -> bool:
        """Whether the tags are of the set and the model of this export: both may have changed since they were read."""
        made_by = (state.tagging.digest, state.tagging.model_id)
        return self._view is not None and made_by == (self._label_set.digest, self._view.model.id)

    def _from_tags(self, connection: Connection, state: TaggingState, ids: Sequence[int]) -> dict[int, Told]:
        tags = kept_tags(connection, state, ids)
        numbers = [number for number in ids if number in tags and self._say_all(state, tags[number])]
        if not numbers:
            return {}
        decided = self._classes.decided(_ranked([tags[number] for number in numbers]))
        return {number: Told(given, "tags") for number, given in zip(numbers, decided, strict=True)}

    def _say_all(self, state: TaggingState, tags: Sequence[KeptTag]) -> bool:
        """Whether no label beyond those that were kept can hold: none is more probable than the last of them."""
        whole = self._label_set.mode == "single" or state.tagging.top >= self._labels
        return whole or tags[-1].probability < self._classes.least_probability

    def _by_model(self, ids: NDArray[np.int64]) -> dict[int, Told]:
        known = self._known(ids)
        if self._view is None or not len(known):
            return {}
        if self._ranker is None:
            encoder_of = self._library.encoder_for
            choice = choice_of(
                self._library, self._label_set, self._view.model, lambda: encoder_of(self._collection)[0]
            )
            self._ranker = choice.ranker(self._top, self._images)
        rows = self._view.index.vectors(known)
        # float16 at rest is of unit length to a thousandth only.
        ranked = self._ranker(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        decided = self._classes.decided(ranked) if self._best is None else self._classes.best(ranked, self._best)
        return {number: Told(given, "model") for number, given in zip(known.tolist(), decided, strict=True)}

    def _known(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return ids[np.isin(ids, self._there, assume_unique=True)]


def _stands(connection: Connection, state: TaggingState) -> bool:
    """Whether the tags that this connection sees are still those of the state: the row is used again for others."""
    then = state.tagging
    now = find_tagging(connection, then.collection_id, then.label_set_id)
    return now is not None and (now.id, now.digest, now.model_id, now.top) == (
        then.id, then.digest, then.model_id, then.top)  # fmt: skip


def _ranked(tags: Sequence[Sequence[KeptTag]]) -> Ranked:
    """Kept tags as they were ranked; a shorter row is filled up with backgrounds, which never hold."""
    width = max(map(len, tags))

    def table(name: str, missing: float) -> NDArray[np.float64]:
        rows = [[getattr(tag, name) for tag in row] + [missing] * (width - len(row)) for row in tags]
        return np.array(rows, dtype=np.float64)

    scores = table("score", -1.0)
    positions = table("position", BACKGROUND).astype(np.int64)
    return Ranked(positions, scores, scores, table("probability", 0.0), table("margin", 0.0))
