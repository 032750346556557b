"""One generation of a collection's index: how it is built from rows, and how it proves that it belongs to them."""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import changes_after
from clipsearch.database.images import present_ids
from clipsearch.database.models import ModelRow
from clipsearch.vector_index import RowsById, VectorIndex


@dataclass(frozen=True)
class IndexView:
    """One generation of a collection's index, and how it stands to the collection."""

    index: VectorIndex
    model: ModelRow
    revision: int
    token: str
    collection_revision: int

    @property
    def stale(self) -> bool:
        """Whether the collection has moved on since this generation."""
        return self.revision != self.collection_revision


def state_of(connection: Connection, collection_id: int) -> tuple[CollectionRow, ModelRow | None, str]:
    """The collection, its model and its revision's token, all of one moment."""
    row = collection_rows.collection_by_id(connection, collection_id)
    token = collection_rows.revision_token(connection, row.id, row.revision)
    return row, model_rows.find_model(connection, row.model_name), token or ""


def belongs(connection: Connection, view: IndexView, row: CollectionRow, model: ModelRow) -> bool:
    """Whether a view is of this model and of a past that the collection's history knows."""
    token = collection_rows.revision_token(connection, row.id, view.revision)
    return token == view.token and view.model.id == model.id


def built(connection: Connection, row: CollectionRow, model: ModelRow) -> VectorIndex:
    """The index of everything that is there by this model, built from rows."""
    # Exact at first, whatever the size: it takes seconds, and someone waits for an answer.
    dimension = model.model.dimension
    rows = RowsById(dimension, present_ids(connection, row.id))
    for block in changes_after(connection, row.id, model.id, dimension, -1):
        rows.add(block.added, block.vectors)
    return rows.index()
