"""The half of the hall that holds the indexes and keeps them in step with the rows.

An index is derived from rows. It knows the revision it stands at and that revision's random token; before every
answer it is compared with the collection, and catches up by reading what changed since. An index whose token is
not in the collection's history belongs to another past (a restored backup, say) and is built anew.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import Connection, Database
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import changes_after
from clipsearch.database.models import ModelRow
from clipsearch.errors import StorageFull
from clipsearch.vector_index import (
    Stand,
    VectorIndex,
    build_index,
    load_snapshot,
    rebuild_due,
    rebuilt,
    save_snapshot,
)

log = logging.getLogger(__name__)

# A snapshot is written anew when this many rows, or this share of them, would have to be read to catch up.
SNAPSHOT_ROWS = 256
SNAPSHOT_SHARE = 0.02


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


class _Held:
    """The index of one collection in this process.

    ``lock`` guards the view and the count of rows that ever changed in it; ``saving`` guards the file, and how far
    that count had come when it was written. Who takes both takes ``saving`` first. No search waits for a file that
    another thread writes.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.view: IndexView | None = None
        self.changed_rows = 0
        self.saving = threading.Lock()
        self.saved_rows = 0

    @property
    def unsaved_rows(self) -> int:
        """Rows that would have to be read again, were the process to end now."""
        return self.changed_rows - self.saved_rows


class Indexes:
    """The indexes of one library. Safe to share between threads: a search never waits for another's catching up
    unless it has to, and never sees a half-made state."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._held_by_id: dict[int, _Held] = {}
        self._lock = threading.Lock()

    def view(self, collection: CollectionRow, *, wait: bool = True) -> IndexView | None:
        """The collection's index, caught up; None before the first embedding.

        With ``wait`` false a generation that another thread is bringing up to date is given as it stands.
        """
        held = self._held(collection)
        with self._database.read() as connection:
            row, model, token = _state(connection, collection.id)
        if model is None:
            return None
        view = held.view
        if view and (view.revision, view.token) == (row.revision, token):
            return view
        if not held.lock.acquire(blocking=wait or view is None):
            return replace(view, collection_revision=row.revision) if view else None
        try:
            view = held.view = self._caught_up(collection, held)
            changed = held.changed_rows
        finally:
            held.lock.release()
        if view and changed - held.saved_rows >= max(SNAPSHOT_ROWS, int(SNAPSHOT_SHARE * len(view.index))):
            self._save(collection, held, view, changed, wait=False)
        return view

    def keep_snapshot(self, collection: CollectionRow) -> bool:
        """Write the index to disk, if it is not there as it stands; true when it was written.

        Here, at the end of a run, and never on the way to an answer, a collection that has outgrown an exact scan
        is given its approximate index.
        """
        held = self._held(collection)
        self.view(collection)
        with held.lock:
            view, changed = held.view, held.changed_rows  # no view: it was thrown away a moment ago, and stays so
            if view and rebuild_due(view.index):
                view = held.view = replace(view, index=rebuilt(view.index))
                changed = held.changed_rows = changed + len(view.index)
        return bool(view and self._save(collection, held, view, changed, wait=True))

    def forget(self, collection: CollectionRow) -> None:
        """Drop the index of a collection that is no more."""
        with self._lock:
            self._held_by_id.pop(collection.id, None)
        shutil.rmtree(self._folder_of(collection), ignore_errors=True)

    def _save(self, collection: CollectionRow, held: _Held, view: IndexView, changed: int, *, wait: bool) -> bool:
        """Write a view that stood at ``changed``, unless it is on disk, or a later one is; true when written."""
        if not held.saving.acquire(blocking=wait):
            return False  # another thread is at it
        try:
            if changed <= held.saved_rows or not self._written(collection, view):
                return False
            held.saved_rows = changed
            return True
        finally:
            held.saving.release()

    def _written(self, collection: CollectionRow, view: IndexView) -> bool:
        stand = Stand(
            collection=str(collection.id),
            model=_mark(view.model),
            dimension=view.model.model.dimension,
            revision=view.revision,
            token=view.token,
        )
        try:
            return save_snapshot(self._folder_of(collection), view.index, stand) is not None
        except (StorageFull, OSError) as error:  # a cache: what it holds is in the database
            log.warning("the index of %s could not be written to disk: %s", collection.name, error)
            return False

    def rebuild(self, collection: CollectionRow) -> None:
        """Throw the index away, in memory and on disk, and build it from rows."""
        held = self._held(collection)
        with held.saving, held.lock:
            shutil.rmtree(self._folder_of(collection), ignore_errors=True)
            held.view = None
            held.saved_rows = held.changed_rows  # who still holds a view of before will not write it
        self.keep_snapshot(collection)

    def _held(self, collection: CollectionRow) -> _Held:
        with self._lock:
            return self._held_by_id.setdefault(collection.id, _Held())

    def _caught_up(self, collection: CollectionRow, held: _Held) -> IndexView | None:
        view = held.view or self._loaded(collection)
        with self._database.read() as connection:
            row, model, token = _state(connection, collection.id)
            if model is None:
                return None
            if view and not _belongs(connection, view, row, model):
                view = None
            blocks = changes_after(connection, row.id, model.id, model.model.dimension, view.revision if view else -1)
            if view is None:
                # Kept as they rest: a million rows in float32 would take twice the memory of the index itself.
                index = _built(model, [(block.added, block.vectors.astype(np.float16)) for block in blocks])
                held.changed_rows += len(index)
            else:
                index = view.index
                for block in blocks:
                    index = index.with_changes((block.added, block.vectors), block.removed)
                    held.changed_rows += len(block.added) + len(block.removed)
        return IndexView(index, model, row.revision, token, row.revision)

    def _loaded(self, collection: CollectionRow) -> IndexView | None:
        with self._database.read() as connection:
            _, model, _ = _state(connection, collection.id)
        if model is None:
            return None
        loaded = load_snapshot(
            self._folder_of(collection),
            collection=str(collection.id),
            model=_mark(model),
            dimension=model.model.dimension,
        )
        if loaded is None:
            return None
        index, stand = loaded
        return IndexView(index, model, stand.revision, stand.token, stand.revision)

    def _folder_of(self, collection: CollectionRow) -> Path:
        return self._folder / str(collection.id)


def _state(connection: Connection, collection_id: int) -> tuple[CollectionRow, ModelRow | None, str]:
    """The collection, its model and its revision's token, all of one moment."""
    row = collection_rows.collection_by_id(connection, collection_id)
    token = collection_rows.revision_token(connection, row.id, row.revision)
    return row, model_rows.find_model(connection, row.model_name), token or ""


def _belongs(connection: Connection, view: IndexView, row: CollectionRow, model: ModelRow) -> bool:
    token = collection_rows.revision_token(connection, row.id, view.revision)
    return token == view.token and view.model.id == model.id


def _mark(model: ModelRow) -> str:
    return model.model.fingerprint or model.model.name


def _built(model: ModelRow, blocks: list[tuple[NDArray[np.int64], NDArray[np.float16]]]) -> VectorIndex:
    dimension = model.model.dimension
    ids = np.concatenate([ids for ids, _ in blocks]) if blocks else np.empty(0, dtype=np.int64)
    vectors = np.concatenate([rows for _, rows in blocks]) if blocks else np.empty((0, dimension), np.float16)
    # Exact at first, whatever the size: it takes seconds, and someone waits for an answer.
    return build_index(dimension, ids, vectors, exact_bytes=sys.maxsize)
