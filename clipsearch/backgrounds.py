"""The part of the hall that knows what is usual on a collection: a sample of its images, and the yardsticks made of it.

Kept in memory by collection, model and generation. Of a large collection the sample stands until it has changed much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from clipsearch.database.collections import CollectionRow
from clipsearch.indexes import IndexView
from clipsearch.library import Library
from clipsearch.relevance import FEWEST_IMAGES, Yardstick, background_prompts, image_yardstick, text_yardstick

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder, TextEncoder

Kind = Literal["text", "image"]
# What a query is made of: of each term its kind and its weight.
Parts = tuple[tuple[Kind, float], ...]
Matrix = NDArray[np.float32]

SAMPLE_IMAGES = 4_000
BACKGROUND_IMAGES = 256
# A sample of a part stands while the collection has grown or shrunk by less than this share, for so many revisions.
_CHANGED_SHARE = 0.05
_CHANGED_REVISIONS = 200


@dataclass(frozen=True)
class Sample:
    """Images drawn from one generation of a collection: ``ids`` int64 [n], ``vectors`` unit float32 [n, d]."""

    token: str
    revision: int
    images: int
    ids: NDArray[np.int64]
    vectors: Matrix

    def scores(self, vector: Matrix, excluding: Sequence[int] = ()) -> Matrix:
        """The scores of a unit vector [d] with the images of the sample, but for those of these ids."""
        scores: Matrix = self.vectors @ vector
        return scores[~np.isin(self.ids, np.asarray(excluding, dtype=np.int64))] if excluding else scores


class Background:
    """What queries of a collection are held against, at one generation of its index."""

    def __init__(
        self, library: Library, collection: CollectionRow, view: IndexView, encoder: Callable[[], TextEncoder]
    ) -> None:
        self._library = library
        self._collection = collection
        self._view = view
        self._encoder = encoder
        self.sample = self._sampled()

    def yardstick(self, parts: Parts) -> Yardstick | None:
        """For queries made of such terms; None for images where there are too few of them.

        A query with text is held against background texts, one of images against pairs of images, and a mix against
        the same mix of either. Raises ModelUnavailable where texts have to be encoded and cannot be.
        """
        largest = max((abs(weight) for _, weight in parts), default=0.0) or 1.0
        parts = tuple((kind, round(weight / largest, 6)) for kind, weight in parts)
        if len(parts) == 1:
            parts = ((parts[0][0], float(np.sign(parts[0][1])) or 1.0),)
        key = ("yardstick", self._collection.id, self._view.model.id, self.sample.token, parts)
        kept = self._library.recent.get(key)
        if isinstance(kept, Yardstick):
            return kept
        made = self._made(parts)
        if made is not None:
            self._library.recent.keep(key, made, 200)
        return made

    @property
    def texts_at_hand(self) -> bool:
        """Whether background texts can be had without loading a model for them."""
        if self._library.recent.get(("background texts", self._view.model.id)) is not None:
            return True
        return self._library.loaded_encoder(self._collection.model_name) is not None

    def kind_of(self, vector: Matrix) -> Kind:
        """Whether a vector is rather a text's or an image's, by the scores that are usual to each."""
        images, texts = self.yardstick((("image", 1.0),)), self.yardstick((("text", 1.0),))
        if images is None or texts is None:
            return "text"
        middle = float(np.median(self.sample.scores(vector)))
        return "image" if abs(middle - images.middle) <= abs(middle - texts.middle) else "text"

    def _sampled(self) -> Sample:
        key = ("background", self._collection.id, self._view.model.id)
        kept = self._library.recent.get(key)
        if isinstance(kept, Sample) and not self._outdated(kept):
            return kept
        ids = np.sort(self._view.index.ids())
        if len(ids) > SAMPLE_IMAGES:
            ids = np.sort(np.random.default_rng(0).choice(ids, SAMPLE_IMAGES, replace=False))
        vectors = np.ascontiguousarray(self._view.index.vectors(ids), dtype=np.float32)
        sample = Sample(self._view.token, self._view.revision, len(self._view.index), ids, vectors)
        self._library.recent.keep(key, sample, vectors.nbytes + ids.nbytes)
        return sample

    def _outdated(self, sample: Sample) -> bool:
        if sample.token == self._view.token:
            return False
        images = len(self._view.index)
        return (
            max(images, sample.images) <= SAMPLE_IMAGES
            or abs(images - sample.images) > _CHANGED_SHARE * sample.images
            or not 0 <= self._view.revision - sample.revision <= _CHANGED_REVISIONS
        )

    def _made(self, parts: Parts) -> Yardstick | None:
        sizes = {kind: sum(abs(weight) for one, weight in parts if one == kind) for kind in ("text", "image")}
        by_text = sizes["text"] >= sizes["image"]
        if not by_text and len(self.sample.ids) < FEWEST_IMAGES:
            return None
        unrelated, meets = self._unrelated(parts)
        scores = self.sample.vectors @ unrelated.T
        for columns in meets:
            scores[columns, np.arange(len(columns))] = np.nan  # an image and itself
        return text_yardstick(scores, self.sample.images) if by_text else image_yardstick(scores)

    def _unrelated(self, parts: Parts) -> tuple[Matrix, list[NDArray[np.intp]]]:
        """Unit rows [m, d] of queries of this make, and for each image among their terms its row of the sample."""
        rng = np.random.default_rng(0)
        texts = self._texts() if any(kind == "text" for kind, _ in parts) else None
        if texts is not None and len(parts) == 1:
            return texts * np.float32(parts[0][1]), []
        number = min(BACKGROUND_IMAGES, len(texts) if texts is not None else len(self.sample.ids))
        total = np.zeros((number, self.sample.vectors.shape[1]), dtype=np.float32)
        meets = []
        for kind, weight in parts:
            if kind == "text" and texts is not None:
                total += np.float32(weight) * texts[rng.permutation(len(texts))[:number]]
            else:
                drawn = rng.choice(len(self.sample.ids), number, replace=number > len(self.sample.ids))
                total += np.float32(weight) * self.sample.vectors[drawn]
                meets.append(drawn)
        lengths = np.linalg.norm(total, axis=1, keepdims=True)
        unit: Matrix = total / np.maximum(lengths, 1e-6)
        return unit, meets

    def _texts(self) -> Matrix:
        """Unit rows of the background texts, in the list's order; encoded once for each model."""
        key = ("background texts", self._view.model.id)
        kept = self._library.recent.get(key)
        if isinstance(kept, np.ndarray):
            return kept
        from clipsearch.choices.kept_prompts import kept_or_made  # most searches do without

        prompts = background_prompts(self._encoder().vocabulary)
        # Of an encoder it asks for texts alone.
        vectors = kept_or_made(self._library, self._view.model, prompts, cast("Callable[[], Encoder]", self._encoder))
        rows: Matrix = np.stack([vectors[prompt] for prompt in prompts])
        self._library.recent.keep(key, rows, rows.nbytes)
        return rows
