"""The hall: opens the database, the encoders and the indexes, holds them, and hands them to the verbs."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import Settings
from clipsearch.database import Database
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow, CollectionState
from clipsearch.database.heartbeat import held_lease
from clipsearch.database.leases import Lease
from clipsearch.database.migrating import check_schema, current_revision, newest_revision, upgrade
from clipsearch.database.models import ModelRow
from clipsearch.encoder.light_encoders import LightEncoders
from clipsearch.errors import AlreadyExists, ClipSearchError, CollectionNotFound, InvalidInput, ModelSwitched
from clipsearch.images import remove_uploads
from clipsearch.indexes import Indexes, IndexView
from clipsearch.recent import Recent
from clipsearch.trainer import EmbedTexts

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder, TextEncoder


# As often a search looks anew where the model is switched between its two looks; a second time would be odd.
SWITCHES_AT_ONCE = 5
# Seconds that a short change, such as removing images, waits for another one; who holds it for longer indexes.
PATIENCE = 5.0


class Library:
    """Everything that belongs to one data folder and one database. Safe to share between threads."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self._encoders: dict[str, Encoder] = {}
        self._encoder_lock = threading.Lock()
        self.recent = Recent()
        self._runtimes = settings.data_dir / "runtimes"
        self._light_encoders = LightEncoders(
            self._runtimes, wanted=settings.light_text, device=settings.device, dtype=settings.dtype
        )
        self._indexes = Indexes(database, settings.data_dir / "indexes", settings.recall_floor)

    @classmethod
    def open(cls, settings: Settings, *, may_upgrade: bool = True) -> Library:
        """Open the library that the settings name, and make an embedded one where there is none.

        An embedded library of an older schema is upgraded (a copy is kept beside it) unless ``may_upgrade`` is
        false, as for a server. Raises SchemaMismatch, ConfigError.
        """
        database = Database(settings.database)
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
        """End what runs in the background and close the database; the library cannot be used after that."""
        self._indexes.close()
        self.database.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Models -----------------------------------------------------------------------------------------------

    def encoder(self, name: str) -> Encoder:
        """The encoder of this model, loaded when it is first asked for. Raises ModelUnavailable, ModelNotFound."""
        loaded = self._encoders.get(name)
        if loaded is not None:
            return loaded  # and no wait for another model that is being loaded
        with self._encoder_lock:
            if name not in self._encoders:
                from clipsearch.encoder import open_encoder

                settings = self.settings
                self._encoders[name] = open_encoder(
                    name,
                    device=settings.device,
                    dtype=settings.dtype,
                    batch_size=settings.batch_size,
                    runtime=settings.runtime,
                    cache=self._runtimes,
                )
                self._light_encoders.supersede(name)
            return self._encoders[name]

    @property
    def runtimes_folder(self) -> Path:
        """Where conversions of models for other runtimes are kept."""
        return self._runtimes

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

    def text_encoder_for(self, collection: CollectionRow) -> tuple[TextEncoder, ModelRow]:
        """What embeds texts by the collection's model, and the model's row; raises as ``encoder_for``.

        The full encoder where it is in memory; else the exported text tower, which is there in a moment, where one
        stands for the very weights that made the collection's embeddings and the settings name no other device and
        format than it has; else the full encoder.
        """
        if self._light_encoders.may_stand_in and self.loaded_encoder(collection.model_name) is None:
            row = self.model_of(collection)
            light = self._light_encoders.find(row.model) if row is not None else None
            if row is not None and light is not None:
                return light, row
        return self.encoder_for(collection)

    def prepare_text_encoder(self, collection: str | None = None) -> None:
        """Have the exported text tower at hand, where there is one, while other threads do other things.

        What goes wrong is left to ``text_encoder_for``, which is asked again.
        """
        if not self._light_encoders.may_stand_in:
            return
        with suppress(ClipSearchError):
            row = self.model_of(self.collection(collection))
            if row is not None:
                self._light_encoders.find(row.model)

    def keep_text_runtime(self, name: str) -> bool:
        """Export the text tower of a model in memory, if need be, so that the next process need not load torch.

        True when it stands. Takes some seconds, once for each model: call it when the answer has been given. What
        goes wrong is said in the log. False, too, for a model that is not in memory, and where the settings say so.
        """
        encoder = self.loaded_encoder(name)
        return encoder is not None and self._light_encoders.keep(encoder.model)

    def model_of(self, collection: CollectionRow) -> ModelRow | None:
        """The row of the collection's model, without loading it; None before the first embedding."""
        with self.database.read() as connection:
            return model_rows.find_model(connection, collection.model_name)

    def model_name(self, name: str | None = None) -> str:
        """The one spelling of a model's name, else of the settings'. Raises ModelNotFound for one that is no name."""
        from clipsearch.encoder.names import parse_model_name

        return parse_model_name(name or self.settings.model).name

    # Collections ------------------------------------------------------------------------------------------

    def collection(self, name: str | None = None) -> CollectionRow:
        """The collection of this name, or the one that the settings name. Raises CollectionNotFound."""
        with self.database.read() as connection:
            return collection_rows.get_collection(connection, self._collection_name(name))

    def collection_state(self, name: str | None = None) -> CollectionState:
        """How the collection of this name stands at this moment; raises as ``collection``."""
        with self.database.read() as connection:
            return collection_rows.state_of_name(connection, self._collection_name(name))

    def _collection_name(self, name: str | None) -> str:
        name = name or self.settings.collection
        if not _storable(name):
            raise CollectionNotFound("there is no collection of such a name: it holds characters that are no text")
        return name

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
        _check_name(name)
        model_name = self.model_name(model)
        with self.database.write() as connection:
            return collection_rows.create_collection(connection, name, model_name)

    def rename_collection(self, name: str, new_name: str) -> CollectionRow:
        """Give a collection another name. Raises CollectionNotFound, AlreadyExists."""
        _check_name(new_name)
        with self.database.write() as connection:
            return collection_rows.rename_collection(connection, name, new_name)

    def discard_if_empty(self, collection: CollectionRow) -> None:
        """Take back a collection that nothing was ever put into; for one who holds its lease."""
        with self.database.write() as connection:
            if collection_rows.collection_by_id(connection, collection.id).revision == 0:
                collection_rows.delete_collection(connection, collection.name)

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all that belongs to it, uploads too; indexed files stay. Raises
        CollectionNotFound, AlreadyRunning."""
        row = self.collection(name)
        with self.lease(row, "deleting", wait_seconds=PATIENCE), self.database.write() as connection:
            collection_rows.delete_collection(connection, name)
        self._indexes.forget(row)
        remove_uploads(self.settings.data_dir, row.id)

    def lease(
        self, collection: CollectionRow, purpose: str, *, wait_seconds: float = 0.0
    ) -> AbstractContextManager[Lease]:
        """The right to change this collection while a block runs. Raises AlreadyRunning where another has it, and for
        longer than ``wait_seconds``: short changes wait for each other ``PATIENCE`` seconds."""
        seconds = self.settings.lease_seconds
        return held_lease(self.database, collection.id, purpose, seconds, wait_seconds=wait_seconds)

    # Indexes ----------------------------------------------------------------------------------------------

    def index(self, collection: CollectionRow, *, wait: bool = True) -> IndexView | None:
        """The collection's index, caught up; None before the first embedding.

        With ``wait`` false a generation that another thread is bringing up to date is given as it stands.
        """
        return self._indexes.view(collection, wait=wait)

    def state_and_index(
        self, name: str | None = None, *, wait: bool = True
    ) -> tuple[CollectionState, IndexView | None]:
        """How the collection of this name stands, and its index as by ``index``: both of one model, whenever it is
        switched. Raises CollectionNotFound; ModelSwitched where that goes on all the time."""
        for _ in range(SWITCHES_AT_ONCE):
            state = self.collection_state(name)
            with suppress(ModelSwitched):
                return state, self._indexes.view_at(state, wait=wait)
        raise ModelSwitched("the collection is being switched to and fro; ask again")

    def held_index(self, collection: CollectionRow) -> IndexView | None:
        """The collection's index as it stands in memory, not caught up; None where this process holds none."""
        return self._indexes.held_view(collection)

    def keep_snapshot(self, collection: CollectionRow) -> bool:
        """Write the index to disk, if it is not there as it stands; true when it was written.

        A collection that has outgrown an exact scan is given its approximate index first, which takes a while.
        """
        return self._indexes.keep_snapshot(collection, self._embed_texts(collection))

    def start_retraining(self) -> None:
        """From now on train approximate indexes in the background when searches find them due, until ``close``."""
        self._indexes.start_retraining(self._embed_texts)

    def _embed_texts(self, collection: CollectionRow) -> EmbedTexts | None:
        """What makes text embeddings by the collection's model, where that is in memory."""
        encoder = self.loaded_encoder(collection.model_name)
        return None if encoder is None else lambda texts: encoder.encode_texts(list(texts)).vectors

    def discard_index(self, collection: CollectionRow) -> None:
        """Throw the index away, in memory and on disk; the next search builds it from rows."""
        self._indexes.discard(collection)

    def rebuild_index(self, collection: CollectionRow) -> None:
        """Throw the index away, in memory and on disk, and build it from rows."""
        self._indexes.rebuild(collection)


def _check_name(name: str) -> None:
    if (
        not name.strip()
        or len(name) > 200
        or any(character in name for character in "/\\\n\r\t")
        or not _storable(name)
        or name.strip() in {".", ".."}
    ):
        raise InvalidInput("a collection's name is 1 to 200 characters of text, without slashes and line breaks")


def _storable(name: str) -> bool:
    return "\x00" not in name and not any("\ud800" <= character <= "\udfff" for character in name)
