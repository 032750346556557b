"""The hall: opens the database, the encoders and the indexes, holds them, and keeps indexes and rows in step.

An index is derived from rows. It knows the revision it stands at and that revision's random token; before every
answer it is compared with the collection, and catches up by reading what changed since. An index whose token is
not in the collection's history belongs to another past (a restored backup, say) and is built anew.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import Settings
from clipsearch.database import Database
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.heartbeat import held_lease
from clipsearch.database.images import changes_after
from clipsearch.database.leases import Lease
from clipsearch.database.migrating import check_schema, current_revision, newest_revision, upgrade
from clipsearch.database.models import ModelRow
from clipsearch.errors import AlreadyExists, InvalidInput, StorageFull
from clipsearch.vector_index import Stand, VectorIndex, build_index, load_snapshot, save_snapshot

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

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
    """The index of one collection in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.view: IndexView | None = None
        self.unsaved_rows = 0


class Library:
    """Everything that belongs to one data folder and one database. Safe to share between threads."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self._encoders: dict[str, Encoder] = {}
        self._encoder_lock = threading.Lock()
        self._indexes: dict[int, _Held] = {}
        self._indexes_lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings, *, may_upgrade: bool = True) -> Library:
        """Open the library that the settings name, and make an embedded one where there is none.

        An embedded library of an older schema is upgraded (a copy is kept beside it) unless ``may_upgrade`` is
        false, as for a server. Raises SchemaMismatch, ConfigError.
        """
        database = Database(settings.url)
        try:
            current = current_revision(database)
            if settings.embedded and current != newest_revision() and (may_upgrade or current is None):
                upgrade(database)
            check_schema(database)
        except BaseException:
            database.close()
            raise
        return cls(settings, database)

    def close(self) -> None:
        """Close the database; the library cannot be used after that."""
        self.database.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Models -----------------------------------------------------------------------------------------------

    def encoder(self, name: str) -> Encoder:
        """The encoder of this model, loaded when it is first asked for. Raises ModelUnavailable, ModelNotFound."""
        with self._encoder_lock:
            if name not in self._encoders:
                from clipsearch.encoder import open_encoder

                settings = self.settings
                self._encoders[name] = open_encoder(
                    name, device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size
                )
            return self._encoders[name]

    def loaded_encoder(self, name: str) -> Encoder | None:
        """The encoder of this model if it is in memory already."""
        return self._encoders.get(name)

    def encoder_for(self, collection: CollectionRow) -> tuple[Encoder, ModelRow]:
        """The encoder of the collection's model, and the model's row.

        Raises ModelMismatch when the weights are not those that made the embeddings which are kept.
        """
        encoder = self.encoder(collection.model_name)
        with self.database.read() as connection:
            row = model_rows.find_model(connection, encoder.model.name)
        if row is not None and row.model.fingerprint == encoder.model.fingerprint:
            return encoder, row
        with self.database.write() as connection:
            return encoder, model_rows.keep_model(connection, encoder.model)

    def model_of(self, collection: CollectionRow) -> ModelRow | None:
        """The row of the collection's model, without loading it; None before the first embedding."""
        with self.database.read() as connection:
            return model_rows.find_model(connection, collection.model_name)

    # Collections ------------------------------------------------------------------------------------------

    def collection(self, name: str | None = None) -> CollectionRow:
        """The collection of this name, or the one that the settings name. Raises CollectionNotFound."""
        with self.database.read() as connection:
            return collection_rows.get_collection(connection, name or self.settings.collection)

    def ensure_collection(self, name: str | None = None, model: str | None = None) -> tuple[CollectionRow, bool]:
        """The collection of this name, made with ``model`` (else the settings') if need be; and whether it was."""
        name = name or self.settings.collection
        with self.database.read() as connection:
            found = collection_rows.find_collection(connection, name)
        if found:
            return found, False
        try:
            return self.create_collection(name, model), True
        except AlreadyExists:  # another process was quicker
            return self.collection(name), False

    def create_collection(self, name: str, model: str | None = None) -> CollectionRow:
        """Raises AlreadyExists; ModelNotFound for a model that no one has heard of."""
        from clipsearch.encoder.names import parse_model_name

        if not name.strip() or len(name) > 200 or any(character in name for character in "/\\\x00\n\r\t"):
            raise InvalidInput("a collection's name is 1 to 200 characters, without slashes and line breaks")
        model_name = parse_model_name(model or self.settings.model).name
        with self.database.write() as connection:
            return collection_rows.create_collection(connection, name, model_name)

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all that belongs to it; the image files stay. Raises CollectionNotFound."""
        row = self.collection(name)
        with self.lease(row, "deleting"), self.database.write() as connection:
            collection_rows.delete_collection(connection, name)
        with self._indexes_lock:
            self._indexes.pop(row.id, None)
        shutil.rmtree(self._index_folder(row), ignore_errors=True)

    def lease(self, collection: CollectionRow, purpose: str) -> AbstractContextManager[Lease]:
        """The right to change this collection while a block runs. Raises AlreadyRunning."""
        return held_lease(self.database, collection.id, purpose, self.settings.lease_seconds)

    # Indexes ----------------------------------------------------------------------------------------------

    def index(self, collection: CollectionRow, *, wait: bool = True) -> IndexView | None:
        """The collection's index, caught up; None before the first embedding.

        With ``wait`` false a generation that another thread is bringing up to date is given as it stands.
        """
        held = self._held(collection)
        with self._state(collection) as (row, model, token):
            if model is None:
                return None
            view = held.view
            if view and (view.revision, view.token) == (row.revision, token):
                return _seen_from(view, row.revision)
        if not held.lock.acquire(blocking=wait or view is None):
            return _seen_from(view, row.revision) if view else None
        try:
            view = held.view = self._caught_up(collection, held)
        finally:
            held.lock.release()
        if view and held.unsaved_rows >= max(SNAPSHOT_ROWS, int(SNAPSHOT_SHARE * len(view.index))):
            self._save(collection, held, view)
        return view

    def keep_snapshot(self, collection: CollectionRow) -> bool:
        """Write the index to disk, if it is not there as it stands; true when it was written."""
        view, held = self.index(collection), self._held(collection)
        return bool(view and held.unsaved_rows and self._save(collection, held, view))

    def _save(self, collection: CollectionRow, held: _Held, view: IndexView) -> bool:
        stand = Stand(
            collection=str(collection.id),
            model=_mark(view.model),
            dimension=view.model.model.dimension,
            revision=view.revision,
            token=view.token,
        )
        try:
            if save_snapshot(self._index_folder(collection), view.index, stand) is None:
                return False
        except (StorageFull, OSError) as error:  # a cache: what it holds is in the database
            log.warning("the index of %s could not be written to disk: %s", collection.name, error)
            return False
        held.unsaved_rows = 0
        return True

    def rebuild_index(self, collection: CollectionRow) -> None:
        """Throw the index away, in memory and on disk, and build it from rows."""
        held = self._held(collection)
        with held.lock:
            shutil.rmtree(self._index_folder(collection), ignore_errors=True)
            held.view = None
        self.keep_snapshot(collection)

    def _held(self, collection: CollectionRow) -> _Held:
        with self._indexes_lock:
            return self._indexes.setdefault(collection.id, _Held())

    @contextmanager
    def _state(self, collection: CollectionRow) -> Iterator[tuple[CollectionRow, ModelRow | None, str]]:
        """The collection, its model and its revision's token, all of one moment."""
        with self.database.read() as connection:
            row = collection_rows.collection_by_id(connection, collection.id)
            token = collection_rows.revision_token(connection, row.id, row.revision)
            yield row, model_rows.find_model(connection, row.model_name), token or ""

    def _caught_up(self, collection: CollectionRow, held: _Held) -> IndexView | None:
        view = held.view or self._load(collection)
        with self.database.read() as connection:
            row = collection_rows.collection_by_id(connection, collection.id)
            model = model_rows.find_model(connection, row.model_name)
            if model is None:
                return None
            known = view and collection_rows.revision_token(connection, row.id, view.revision) == view.token
            if view is None or not known or view.model.id != model.id:
                view = None
            token = collection_rows.revision_token(connection, row.id, row.revision) or ""
            blocks = changes_after(connection, row.id, model.id, model.model.dimension, view.revision if view else -1)
            if view is None:
                # Kept as they rest: a million rows in float32 would take twice the memory of the index itself.
                index = _built(model, [(block.added, block.vectors.astype(np.float16)) for block in blocks])
                held.unsaved_rows = len(index)
            else:
                index = view.index
                for block in blocks:
                    index = index.with_changes((block.added, block.vectors), block.removed)
                    held.unsaved_rows += len(block.added) + len(block.removed)
        return IndexView(index, model, row.revision, token, row.revision)

    def _load(self, collection: CollectionRow) -> IndexView | None:
        model = self.model_of(collection)
        if model is None:
            return None
        loaded = load_snapshot(
            self._index_folder(collection),
            collection=str(collection.id),
            model=_mark(model),
            dimension=model.model.dimension,
        )
        if loaded is None:
            return None
        index, stand = loaded
        return IndexView(index, model, stand.revision, stand.token, stand.revision)

    def _index_folder(self, collection: CollectionRow) -> Path:
        return self.settings.data_dir / "indexes" / str(collection.id)


def _mark(model: ModelRow) -> str:
    return model.model.fingerprint or model.model.name


def _seen_from(view: IndexView, collection_revision: int) -> IndexView:
    return IndexView(view.index, view.model, view.revision, view.token, collection_revision)


def _built(model: ModelRow, blocks: list[tuple[NDArray[np.int64], NDArray[np.float16]]]) -> VectorIndex:
    dimension = model.model.dimension
    ids = np.concatenate([ids for ids, _ in blocks]) if blocks else np.empty(0, dtype=np.int64)
    vectors = np.concatenate([rows for _, rows in blocks]) if blocks else np.empty((0, dimension), np.float16)
    return build_index(dimension, ids, vectors)
