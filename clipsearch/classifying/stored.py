"""Labels for all that is stored, as arrays block by block; knows that a million images are no million objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Classification
from clipsearch.choices import Choice, choice_of, label_set_of
from clipsearch.classifying.telling import told
from clipsearch.database.collections import CollectionRow
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import get_image, image_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.errors import InvalidInput
from clipsearch.indexes import IndexView
from clipsearch.label_set import LabelSet
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels
from clipsearch.scoring import Ranked

BLOCK = 4_096

OnProgress = Callable[[int, int], None]  # images done and images in all; may raise to end the work


@dataclass(frozen=True, eq=False)
class PredictionBlock:
    """The labels of some images: their ids int64 [n], and what ``Ranked`` says of them in the same order."""

    ids: NDArray[np.int64]
    ranked: Ranked


@dataclass(frozen=True, eq=False)
class StoredPredictions:
    """Labels for images of a collection, computed as they are iterated, each time anew, in blocks of bounded size.

    All blocks are of one generation of the index, that of ``view``. ``choice`` and ``view`` are None where the
    collection holds no embedding; then there is no block.
    """

    collection: CollectionRow
    label_set: LabelSetRow
    choice: Choice | None
    view: IndexView | None
    ids: NDArray[np.int64]  # [n]: the images, in the order of the blocks
    top: int | None
    on_progress: OnProgress | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[PredictionBlock]:
        if self.choice is None or self.view is None:
            return
        rank = self.choice.ranker(self.top, len(self.ids))
        for start in range(0, len(self.ids), BLOCK):
            ids = self.ids[start : start + BLOCK]
            yield PredictionBlock(ids, rank(_unit(self.view.index.vectors(ids))))
            if self.on_progress is not None:
                self.on_progress(start + len(ids), len(self.ids))

    def classifications(self, library: Library) -> Iterator[Classification]:
        """What is answered of each image, one after the other; those that have left the collection are passed over."""
        for block in self:
            with library.database.read() as connection:
                rows = image_rows(connection, block.ids.tolist())
            there = np.array([number in rows for number in block.ids.tolist()], dtype=np.bool_)
            numbers = block.ids[there].tolist()
            uris = [rows[number].uri for number in numbers]
            yield from told(self.label_set, block.ranked.only(there), uris, numbers)

    @property
    def model_name(self) -> str:
        """The model that made the embeddings."""
        return self.collection.model_name if self.view is None else self.view.model.model.name

    def warnings(self, library: Library) -> list[str]:
        """What is to be said with the answer."""
        if self.choice is None:
            return [f"the collection {self.collection.name!r} holds no images yet"]
        return self.choice.warnings(library.loaded_encoder(self.collection.model_name))


def classify_all(
    library: Library,
    labels: Labels | LabelSet,
    *,
    collection: str | None = None,
    ids: Sequence[int] | None = None,
    filters: Filters | None = None,
    top: int | None = 1,
    on_progress: OnProgress | None = None,
    at_most: int | None = None,
) -> StoredPredictions:
    """Labels for images of a collection: these ids, those that pass the filters, or all of them.

    With ``at_most`` no more images than that, spread evenly over those that were meant.

    No picture is opened, and no model loaded when the label embeddings are kept. Raises CollectionNotFound,
    ImageNotFound, InvalidInput for one of the ids that has no embedding, LabelSetNotFound, InvalidLabelSet.
    """
    label_set = label_set_of(library, labels)
    row = library.collection(collection)
    view = library.index(row)
    wanted = _wanted(library, row, ids, filters or Filters())
    there = np.isin(wanted, view.index.ids()) if view else np.zeros(len(wanted), dtype=np.bool_)
    if ids is not None and not there.all():
        raise InvalidInput(f"image {wanted[~there][0]} has no embedding by {row.model_name}; index it again")
    wanted, there = _spread(wanted, there, at_most)
    choice = None
    if view is not None and len(view.index):
        choice = choice_of(library, label_set, view.model, lambda: library.encoder_for(row)[0])
    return StoredPredictions(row, label_set, choice, view, wanted[there], top, on_progress)


def _wanted(library: Library, row: CollectionRow, ids: Sequence[int] | None, filters: Filters) -> NDArray[np.int64]:
    with library.database.read() as connection:
        if ids is None:
            return filtered_ids(connection, row.id, filters)
        return np.array([get_image(connection, row.id, number=number).id for number in ids], dtype=np.int64)


def _spread(
    wanted: NDArray[np.int64], there: NDArray[np.bool_], at_most: int | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if at_most is None or len(wanted) <= at_most:
        return wanted, there
    places = np.linspace(0, len(wanted) - 1, at_most).astype(np.int64)
    return wanted[places], there[places]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows
