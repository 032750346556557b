"""The half of the hall that holds the indexes and keeps them in step with the rows.

An index is derived from rows. It knows the revision it stands at and that revision's random token; before every
answer it is compared with the collection, and catches up by reading what changed since. An index whose token is
not in the collection's history belongs to another past (a restored backup, say) and is built anew.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import Connection, Database
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow, CollectionState
from clipsearch.database.embeddings import changes_after, text_vectors
from clipsearch.database.images import present_ids
from clipsearch.database.models import ModelRow
from clipsearch.errors import ClipSearchError, CollectionNotFound, StorageFull
from clipsearch.vector_index import (
    RECALL_FLOOR,
    RowsById,
    Stand,
    VectorIndex,
    exactly,
    load_snapshot,
    rebuild_due,
    rebuilt,
    save_snapshot,
)
from clipsearch.vector_index.sample_texts import sample_texts

log = logging.getLogger(__name__)

# A snapshot is written anew when this many rows, or this share of them, would have to be read to catch up.
SNAPSHOT_ROWS = 256
SNAPSHOT_SHARE = 0.02
# Text embeddings to measure recall with: how many suffice, and how many are read.
FEWEST_TEXTS = 250
MOST_TEXTS = 2_000
CLOSING_SECONDS = 10.0

EmbedTexts = Callable[[Sequence[str]], NDArray[np.float32]]


class _Closing(Exception):
    """The library is being closed."""


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
    another thread writes, nor for a training: ``training`` is held by the one who trains, and by no one who answers.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.view: IndexView | None = None
        self.changed_rows = 0
        self.saving = threading.Lock()
        self.saved_rows = 0
        self.training = threading.Lock()
        self.asked = False  # whether training in the background was asked for

    @property
    def unsaved_rows(self) -> int:
        """Rows that would have to be read again, were the process to end now."""
        return self.changed_rows - self.saved_rows


class Indexes:
    """The indexes of one library. Safe to share between threads: a search never waits for another's catching up
    unless it has to, and never sees a half-made state."""

    def __init__(self, database: Database, folder: Path, recall_floor: float = RECALL_FLOOR) -> None:
        self._database = database
        self._floor = recall_floor
        self._due: queue.SimpleQueue[CollectionRow | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._retraining: threading.Thread | None = None
        self._folder = folder
        self._held_by_id: dict[int, _Held] = {}
        self._lock = threading.Lock()

    def view(self, collection: CollectionRow, *, wait: bool = True) -> IndexView | None:
        """The collection's index, caught up; None before the first embedding.

        With ``wait`` false a generation that another thread is bringing up to date is given as it stands.
        """
        with self._database.read() as connection:
            state = collection_rows.state_of_id(connection, collection.id)
        return self.view_at(state, wait=wait)

    def view_at(self, state: CollectionState, *, wait: bool = True) -> IndexView | None:
        """As ``view``, for one who has just read how the collection stands."""
        if state.model_id is None:
            return None
        collection = row = state.row
        held = self._held(collection)
        view = held.view
        if view and (view.revision, view.token) == (row.revision, state.token):
            return view
        if not held.lock.acquire(blocking=wait or view is None):
            return replace(view, collection_revision=row.revision) if view else None
        try:
            view = held.view = self._caught_up(collection, held, held.view)
            changed = held.changed_rows
        finally:
            held.lock.release()
        if view:
            self._note_due(collection, held, view)
        if view and changed - held.saved_rows >= max(SNAPSHOT_ROWS, int(SNAPSHOT_SHARE * len(view.index))):
            self._save(collection, held, view, changed, wait=False)
        return view

    def keep_snapshot(self, collection: CollectionRow, embed: EmbedTexts | None = None) -> bool:
        """Write the index to disk, if it is not there as it stands; true when it was written.

        Here, at the end of a run, or in the background (`start_retraining`), and never on the way to an answer, a
        collection that has outgrown an exact scan is given its approximate index. ``embed`` makes text embeddings by
        the collection's model, for its recall to be measured with.
        """
        held = self._held(collection)
        self.view(collection)
        self._retrain(collection, held, embed)
        with held.lock:
            view, changed = held.view, held.changed_rows  # no view: it was thrown away a moment ago, and stays so
        return bool(view and self._save(collection, held, view, changed, wait=True))

    def start_retraining(self, embed: Callable[[CollectionRow], EmbedTexts | None]) -> None:
        """From now on train approximate indexes in the background, as searches find them due, until `close`.

        ``embed`` gives what makes text embeddings by a collection's model, where that is in memory.
        """
        with self._lock:
            if self._retraining is None and not self._closing.is_set():
                self._retraining = threading.Thread(target=self._keep_training, args=(embed,), name="retraining")
                self._retraining.daemon = True
                self._retraining.start()

    def close(self) -> None:
        """End what runs in the background; a training that is under way is given up at its next block."""
        self._closing.set()
        self._due.put(None)
        if self._retraining is not None:
            self._retraining.join(timeout=CLOSING_SECONDS)

    def _keep_training(self, embed: Callable[[CollectionRow], EmbedTexts | None]) -> None:
        while (collection := self._due.get()) is not None and not self._closing.is_set():
            try:
                self.keep_snapshot(collection, embed(collection))
            except CollectionNotFound:
                self.forget(collection)
            except Exception:
                # the collection is searched as before; the next change asks again
                log.exception("the index of %s could not be trained", collection.name)

    def _note_due(self, collection: CollectionRow, held: _Held, view: IndexView) -> None:
        if self._retraining is not None and not held.asked and self._is_due(view.index):
            held.asked = True
            self._due.put(collection)

    def _is_due(self, index: VectorIndex) -> bool:
        return rebuild_due(index, floor=self._floor)

    def _retrain(self, collection: CollectionRow, held: _Held, embed: EmbedTexts | None) -> None:
        """Train an index beside the served one, where one is due, and put it in its place; one at a time."""
        if not held.training.acquire(blocking=False):
            return
        try:
            held.asked = False
            view = held.view
            if view is None or not self._is_due(view.index):
                return
            log.info("training the index of %s over %d images", collection.name, len(view.index))
            texts = self._text_queries(view.model, embed)
            index = rebuilt(view.index, text_like=texts, floor=self._floor, check=self._go_on)
            with held.lock:
                if held.view is None:  # thrown away meanwhile
                    return
                trained = replace(view, index=index)
                # What changed while it was trained is read again from where it began.
                held.view = trained if held.view is view else self._caught_up(collection, held, trained)
                held.changed_rows += len(index)
        except _Closing:
            log.info("the training of the index of %s was given up", collection.name)
        finally:
            held.training.release()

    def _go_on(self) -> None:
        if self._closing.is_set():
            raise _Closing

    def _text_queries(self, model: ModelRow, embed: EmbedTexts | None) -> dict[str, NDArray[np.float32]]:
        """Embeddings by this model to measure recall with: of prompts that are kept, else of texts of our own."""
        with self._database.read() as connection:
            stored = text_vectors(connection, model.id, model.model.dimension, MOST_TEXTS)
        if len(stored) >= FEWEST_TEXTS or embed is None:
            return {"stored": stored}
        try:
            return {"encoded": embed(sample_texts(FEWEST_TEXTS))}
        except ClipSearchError as error:  # synthetic ones are measured then
            log.warning("texts could not be embedded to measure recall with: %s", error.message)
            return {"stored": stored}

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

    def _caught_up(self, collection: CollectionRow, held: _Held, view: IndexView | None) -> IndexView | None:
        view = view or self._loaded(collection)
        with self._database.read() as connection:
            row, model, token = _state(connection, collection.id)
            if model is None:
                return None
            if view and not _belongs(connection, view, row, model):
                view = None
            if view is None:
                index = _built(connection, row, model)
                held.changed_rows += len(index)
            else:
                index = view.index
                for block in changes_after(connection, row.id, model.id, model.model.dimension, view.revision):
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
        if index.trial is not None and not index.trial.passed(self._floor):
            if index.kind != "flat_fp16":
                log.warning("the approximate index of %s does not reach the recall of %.3f that is wanted; search is "
                            "exact until it is trained anew", collection.name, self._floor)  # fmt: skip
            index = exactly(index)
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


def _built(connection: Connection, row: CollectionRow, model: ModelRow) -> VectorIndex:
    # Exact at first, whatever the size: it takes seconds, and someone waits for an answer.
    dimension = model.model.dimension
    rows = RowsById(dimension, present_ids(connection, row.id))
    for block in changes_after(connection, row.id, model.id, dimension, -1):
        rows.add(block.added, block.vectors)
    return rows.index()
