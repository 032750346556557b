"""Says which models a collection has, how far each has come, and which images lack it; finds a model by its name."""

from __future__ import annotations

import shlex

from clipsearch.answers.models import CollectionModel, CollectionModels, MissingImage, MissingImages
from clipsearch.database import Connection
from clipsearch.database import collection_models as further_rows
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embedding_runs import live_embedding
from clipsearch.database.models import ModelRow
from clipsearch.errors import Conflict, ModelNotFound
from clipsearch.library import Library


def list_models(library: Library, collection: str | None = None) -> CollectionModels:
    """The models of a collection, the one that answers first. Raises CollectionNotFound."""
    row = library.collection(collection)
    with library.database.read() as connection:
        row = collection_rows.collection_by_id(connection, row.id)
        images = collection_rows.count_images(connection, row.id)
        further = further_rows.further_models(connection, row.id)
        live = {name: live_embedding(connection, row.id, name) for name in further}
        found = []
        for name in (row.model_name, *further):
            model = model_rows.find_model(connection, name)
            embedded = further_rows.count_embedded(connection, row.id, model) if model else 0
            run_id = live.get(name)
            state = "embedding" if run_id else "ready" if embedded >= images else "incomplete"
            found.append(
                CollectionModel.model_validate(
                    {
                        "name": name,
                        "active": name == row.model_name,
                        "state": "active" if name == row.model_name else state,
                        "dimension": model.model.dimension if model else None,
                        "embedded": embedded,
                        "images": images,
                        "added_at": further.get(name),
                        "run_id": run_id,
                    }
                )
            )
    return CollectionModels(collection=row.name, images=images, models=found)


def missing_images(
    library: Library, model: str, *, collection: str | None = None, after: int = 0, limit: int = 1_000
) -> MissingImages:
    """The images that lack an embedding by one of the collection's models, those after the id ``after``, by id.

    Raises CollectionNotFound, and ModelNotFound also for a model that the collection does not have.
    """
    row = library.collection(collection)
    name = library.model_name(model)
    with library.database.read() as connection:
        try:
            found = known_model(connection, row, name)
        except Conflict as error:
            raise ModelNotFound(error.message, model=name) from error
        total = further_rows.count_lacking(connection, row.id, found)
        images = further_rows.lacking_images(connection, row.id, found, after=after, limit=limit)
    return MissingImages(
        collection=row.name,
        model=name,
        total=total,
        images=[MissingImage(id=one.id, uri=one.uri) for one in images],
    )


def known_model(connection: Connection, row: CollectionRow, name: str) -> ModelRow:
    """The row of one of the collection's models. Raises Conflict, with the command that adds it."""
    model = model_rows.find_model(connection, name)
    if model is None or not (name == row.model_name or further_rows.has_model(connection, row.id, name)):
        raise Conflict(
            f"{name} is no model of the collection {row.name!r}; to embed its images by it, run: "
            f"{command('add', name, row)}"
        )
    return model


def command(verb: str, name: str, row: CollectionRow) -> str:
    """What to type to add, switch to or remove a model."""
    return f"clipsearch models {verb} {shlex.quote(name)} -c {shlex.quote(row.name)}"
