"""Lets another model answer in one transaction, and takes models away; knows what must hold for either."""

from __future__ import annotations

import logging
from dataclasses import replace

from clipsearch.answers.models import ModelRemoval, ModelSwitch
from clipsearch.database import Connection
from clipsearch.database import collection_models as further_rows
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database import taggings as tagging_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embedding_runs import live_embedding
from clipsearch.database.leases import renew_lease
from clipsearch.database.models import ModelRow
from clipsearch.errors import AlreadyRunning, ClipSearchError, Conflict
from clipsearch.library import PATIENCE, Library
from clipsearch.switching.models import command, known_model

log = logging.getLogger(__name__)

NAMED = 1_000
# In transactions of their own: to delete a million rows in one would keep every writer waiting.
DELETED_AT_ONCE = 20_000


def switch_model(
    library: Library,
    model: str,
    *,
    collection: str | None = None,
    allow_missing: bool = False,
    keep_snapshot: bool = True,
) -> ModelSwitch:
    """Let another of its models answer in a collection, in one transaction: every search is of one model or the other.

    The model is loaded first, so that what cannot answer is not switched to. The one that answered stays a further
    model. With ``allow_missing`` images that lack an embedding by the model leave the searches: they stay as rows and
    are named in the answer, and indexing their folders brings them back where their files are there. The index is
    built before this returns, and with ``keep_snapshot`` written to disk.

    Raises CollectionNotFound, ModelNotFound, ModelUnavailable, ModelMismatch for other weights than were embedded by,
    AlreadyRunning while the collection is changed, and Conflict for a model that answers already, that the collection
    does not have, or that images lack.
    """
    row = library.collection(collection)
    name = library.model_name(model)
    if name == row.model_name:
        raise Conflict(f"{name} answers in the collection {row.name!r} already")
    with library.database.read() as connection:
        known_model(connection, row, name)
    _, loaded = library.encoder_for(replace(row, model_name=name))
    # Under the lease: a run that began with the model of before would go on saving by it.
    with (
        library.lease(row, f"switching to {name}", wait_seconds=PATIENCE) as lease,
        library.database.write() as connection,
    ):
        renew_lease(connection, lease, library.settings.lease_seconds)
        before = further_rows.locked_collection(connection, row.id)
        answer = _switched(connection, before, name, loaded, allow_missing=allow_missing)
    _bring_up(library, row.id, keep_snapshot=keep_snapshot)
    return answer


def _switched(
    connection: Connection, row: CollectionRow, name: str, loaded: ModelRow, *, allow_missing: bool
) -> ModelSwitch:
    if name == row.model_name:
        raise Conflict(f"{name} answers in the collection {row.name!r} already")
    if known_model(connection, row, name).id != loaded.id:
        raise Conflict(f"the model {name} was changed at this moment; run the command again")
    images = collection_rows.count_images(connection, row.id)
    lacking = further_rows.count_lacking(connection, row.id, loaded)
    if lacking and (not allow_missing or lacking == images):
        raise Conflict(
            f"{lacking:,} of the {images:,} images of {row.name!r} have no embedding by {name} yet; run: "
            f"{command('add', name, row)}, which names those that cannot have one"
            + ("" if lacking == images else "; to switch without them, say --allow-missing"),
            lacking=lacking,
            images=images,
        )
    missing = further_rows.lacking_images(connection, row.id, loaded, limit=NAMED) if lacking else []
    revision = further_rows.switch_model(connection, row, name)
    tags = tagging_rows.tagging_states(connection, row.id)
    return ModelSwitch(
        collection=row.name,
        model=name,
        previous=row.model_name,
        revision=revision,
        images=images,
        lacking=lacking,
        missing=[one.uri for one in missing],
        outdated_tags=[state.label_set for state in tags if state.tagging.model_id != loaded.id],
    )


def _bring_up(library: Library, collection_id: int, *, keep_snapshot: bool) -> None:
    """Build the index now: no search of this process need wait for it. All is committed, whatever comes of this."""
    try:
        with library.database.read() as connection:
            row = collection_rows.collection_by_id(connection, collection_id)
        library.discard_index(row)  # what is on disk is of the model of before
        library.index(row)
        if keep_snapshot:
            library.keep_snapshot(row)
    except Exception as error:
        known = isinstance(error, ClipSearchError)
        log.warning("the index could not be built after the switch: %s", error, exc_info=not known)


def remove_model(library: Library, model: str, *, collection: str | None = None) -> ModelRemoval:
    """Take a further model away from a collection, with its embeddings of the collection's images.

    What is known of the model itself stays, so that its name can never come to stand for other weights unnoticed.
    Raises CollectionNotFound, ModelNotFound, Conflict for the model that answers and for one that the collection does
    not have, AlreadyRunning while images are embedded by it.
    """
    row = library.collection(collection)
    name = library.model_name(model)
    deleted = 0
    while True:
        with library.database.write() as connection:
            row = further_rows.locked_collection(connection, row.id)
            _check_removable(connection, row, name)
            found = model_rows.find_model(connection, name)
            more = further_rows.delete_some_embeddings(connection, row.id, found.id, DELETED_AT_ONCE) if found else 0
            deleted += more
            if more < DELETED_AT_ONCE:
                further_rows.drop_model(connection, row.id, name)
                return ModelRemoval(collection=row.name, model=name, embeddings=deleted)


def check_removable(library: Library, model: str, *, collection: str | None = None) -> None:
    """Whether ``remove_model`` would take this model away: raises as that."""
    row, name = library.collection(collection), library.model_name(model)
    with library.database.read() as connection:
        _check_removable(connection, row, name)


def _check_removable(connection: Connection, row: CollectionRow, name: str) -> None:
    if name == row.model_name:
        raise Conflict(
            f"{name} is the model that answers in the collection {row.name!r}, and stays; switch to another one first"
        )
    known_model(connection, row, name)
    run_id = live_embedding(connection, row.id, name)
    if run_id is not None:
        raise AlreadyRunning(f"run {run_id} embeds {row.name!r} by {name} at this moment; cancel it first", run=run_id)
