"""The half of the hall that holds the indexes and keeps them in step with the rows.

An index is derived from rows. It knows the revision it stands at and that revision's random token; before every
answer it is compared with the collection, and catches up by reading what changed since. An index whose token is
not in the collection's history belongs to another past (a restored backup, say) and is built anew.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from clipsearch.database import Database
from clipsearch.database import collections as collection_rows
from clipsearch.database.collections import CollectionRow, CollectionState
from clipsearch.database.embeddings import changes_after
from clipsearch.errors import ClipSearchError, CollectionNotFound, ModelSwitched, StorageFull
from clipsearch.generations import IndexView, belongs, built, state_of
from clipsearch.trainer import Closing, EmbedTexts, Trainer
from clipsearch.vector_index import RECALL_FLOOR, Stand, exactly, load_snapshot, save_snapshot

__all__ = ["IndexView", "Indexes"]

log = logging.getLogger(__name__)

# A snapshot is written anew when this many rows, or this share of them, would have to be read to catch up.
SNAPSHOT_ROWS = 256
SNAPSHOT_SHARE = 0.02


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
        self.thrown_away = 0  # times; what was trained from an index of before must not come back

    @property
    def unsaved_rows(self) -> int:
        """Rows that would have to be read again, were the process to end now."""
        return self.changed_rows - self.saved_rows


class Indexes:
    """The indexes of one library. Safe to share between threads: a search never waits for another's catching up
    unless it has to, and never sees a half-made state."""

    def __init__(self, database: Database, folder: Path, recall_floor: float = RECALL_FLOOR) -> None:
        self._database = database
        self._trainer = Trainer(database, recall_floor)
        self._folder = folder
        self._held_by_id: dict[int, _Held] = {}
        self._lock = threading.Lock()

    def view(self, collection: CollectionRow, *, wait: bool = True) -> IndexView | None:
        """The collection's index, caught up; None before the first embedding.

        With ``wait`` false a generation that another thread is bringing up to date is given as it stands. Raises
        ModelSwitched when the collection is of another model than ``collection`` says.
        """
        with self._database.read() as connection:
            state = collection_rows.state_of_id(connection, collection.id)
        if state.row.model_name != collection.model_name:
            raise _switched(collection)
        return self.view_at(state, wait=wait)

    def held_view(self, collection: CollectionRow) -> IndexView | None:
        """The generation in memory as it stands, however old; None where there is none."""
        with self._lock:
            held = self._held_by_id.get(collection.id)
        return None if held is None else held.view

    def view_at(self, state: CollectionState, *, wait: bool = True) -> IndexView | None:
        """As ``view``, for one who has just read how the collection stands: the index is of the same model."""
        if state.model_id is None:
            return None
        collection = row = state.row
        held = self._held(collection)
        view = held.view
        if view and (view.revision, view.token) == (row.revision, state.token):
            return view
        # A generation of another model answers nothing, however much it hurries.
        usable = view is not None and view.model.id == state.model_id
        if not held.lock.acquire(blocking=wait or not usable):
            return replace(view, collection_revision=row.revision) if view else None
        try:
            view = held.view = self._caught_up(collection, held, held.view)
            changed = held.changed_rows
        finally:
            held.lock.release()
        if view and view.model.id != state.model_id:
            raise _switched(collection)
        if view and self._trainer.is_due(view.index):
            self._trainer.ask(collection)
        if view and changed - held.saved_rows >= max(SNAPSHOT_ROWS, int(SNAPSHOT_SHARE * len(view.index))):
            with suppress(ClipSearchError):  # the answer is there, and the next change tries again
                self._save(collection, held, view, changed, wait=False)
        return view

    def keep_snapshot(self, collection: CollectionRow, embed: EmbedTexts | None = None) -> bool:
        """Write the index to disk, if it is not there as it stands; true when it was written.

        Here, at the end of a run, or in the background (`start_retraining`), and never on the way to an answer, a
        collection that has outgrown an exact scan is given its approximate index. ``embed`` makes text embeddings by
        the collection's model, for its recall to be measured with.
        """
        held = self._held(collection)
        view = self.view(collection)
        with held.saving:
            self._take_over(collection, held, view)
        self._retrain(collection, held, embed)
        with held.lock:
            view, changed = held.view, held.changed_rows  # no view: it was thrown away a moment ago, and stays so
        return bool(view and self._save(collection, held, view, changed, wait=True))

    def start_retraining(self, embed: Callable[[CollectionRow], EmbedTexts | None]) -> None:
        """From now on train approximate indexes in the background, as searches find them due, until `close`.

        ``embed`` gives what makes text embeddings by a collection's model, where that is in memory.
        """

        def train(collection: CollectionRow) -> None:
            try:
                self.keep_snapshot(collection, embed(collection))
            except CollectionNotFound:
                self.forget(collection)
            except ModelSwitched:
                log.info("%s was switched to another model; its index is trained when a search asks", collection.name)

        self._trainer.start(train)

    def close(self) -> None:
        """End what runs in the background; a training that is under way is given up at its next block."""
        self._trainer.close()

    def _retrain(self, collection: CollectionRow, held: _Held, embed: EmbedTexts | None) -> None:
        """Train an index beside the served one, where one is due, and put it in its place; one at a time."""
        if not held.training.acquire(blocking=False):
            return
        try:
            with held.lock:
                view, thrown_away = held.view, held.thrown_away
            if view is None or view.model.model.name != collection.model_name or not self._trainer.is_due(view.index):
                return
            index = self._trainer.trained(collection.name, view.index, view.model, embed)
            with held.lock:
                if held.thrown_away != thrown_away:
                    self._trainer.ask(collection)  # what came in its place may be due as well
                    return
                # What changed while it was trained is read again from where it began.
                held.view = self._caught_up(collection, held, replace(view, index=index))
                held.changed_rows += len(index)
        except Closing:
            log.info("the training of the index of %s was given up", collection.name)
        finally:
            held.training.release()

    def _take_over(self, collection: CollectionRow, held: _Held, view: IndexView | None) -> bool:
        """Serve the index that another process trained and saved, where one is due here; for who holds ``saving``."""
        if view is None or not self._trainer.is_due(view.index):
            return False
        saved = self._loaded(collection)
        if saved is None or saved.index.trial in (None, view.index.trial) or self._trainer.is_due(saved.index):
            return False
        with held.lock:
            with self._database.read() as connection:
                row, model, _ = state_of(connection, collection.id)
                if held.view is None or model is None or not belongs(connection, saved, row, model):
                    return False
            held.saved_rows = held.changed_rows
            held.view = self._caught_up(collection, held, saved)
        return True

    def forget(self, collection: CollectionRow) -> None:
        """Drop the index of a collection that is no more."""
        with self._lock:
            held = self._held_by_id.pop(collection.id, None) or _Held()
        self._throw_away(collection, held)

    def _save(self, collection: CollectionRow, held: _Held, view: IndexView, changed: int, *, wait: bool) -> bool:
        """Write a view that stood at ``changed``, unless it is on disk, or a later one is; true when written."""
        if not held.saving.acquire(blocking=wait):
            return False  # another thread is at it
        try:
            if changed <= held.saved_rows or self._take_over(collection, held, view):
                return False
            if not self._written(collection, view):
                return False
            held.saved_rows = changed
            return True
        finally:
            held.saving.release()

    def _written(self, collection: CollectionRow, view: IndexView) -> bool:
        stand = Stand(
            collection=str(collection.id),
            model=view.model.model.name,
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
        self.discard(collection)
        self.keep_snapshot(collection)

    def discard(self, collection: CollectionRow) -> None:
        """Throw the index away, in memory and on disk; the next search builds it from rows."""
        self._throw_away(collection, self._held(collection))

    def _throw_away(self, collection: CollectionRow, held: _Held) -> None:
        with held.saving, held.lock:
            shutil.rmtree(self._folder_of(collection), ignore_errors=True)
            held.view = None
            held.thrown_away += 1
            held.saved_rows = held.changed_rows  # who still holds a view of before will not write it

    def _held(self, collection: CollectionRow) -> _Held:
        with self._lock:
            return self._held_by_id.setdefault(collection.id, _Held())

    def _caught_up(self, collection: CollectionRow, held: _Held, view: IndexView | None) -> IndexView | None:
        view = view or self._loaded(collection)
        with self._database.read() as connection:
            row, model, token = state_of(connection, collection.id)
            if model is None:
                return None
            if view and not belongs(connection, view, row, model):
                view = None
            if view is None:
                index = built(connection, row, model)
                held.changed_rows += len(index)
            else:
                index = view.index
                for block in changes_after(connection, row.id, model.id, model.model.dimension, view.revision):
                    index = index.with_changes((block.added, block.vectors), block.removed)
                    held.changed_rows += len(block.added) + len(block.removed)
        return IndexView(index, model, row.revision, token, row.revision)

    def _loaded(self, collection: CollectionRow) -> IndexView | None:
        with self._database.read() as connection:
            _, model, _ = state_of(connection, collection.id)
        if model is None:
            return None
        loaded = load_snapshot(
            self._folder_of(collection),
            collection=str(collection.id),
            model=model.model.name,
            dimension=model.model.dimension,
        )
        if loaded is None:
            return None
        index, stand = loaded
        if index.trial is not None and not index.trial.passed(self._trainer.floor):
            if index.kind != "flat_fp16":
                log.warning("the approximate index of %s does not reach the recall of %.3f that is wanted; search is "
                            "exact until it is trained anew", collection.name, self._trainer.floor)  # fmt: skip
            index = exactly(index)
        return IndexView(index, model, stand.revision, stand.token, stand.revision)

    def _folder_of(self, collection: CollectionRow) -> Path:
        return self._folder / str(collection.id)


def _switched(collection: CollectionRow) -> ModelSwitched:
    return ModelSwitched(f"the collection {collection.name!r} was switched to another model at this moment; ask again")
