"""The models that a collection's images are embedded with beside the one that answers, as rows.

Alone knows what is lacking of a model, and that a switch begins a new history: the tokens of older revisions go, so
that no index of before can prove that it belongs to the collection.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Exists, and_, delete, func, select, update

from clipsearch.database.clock import now
from clipsearch.database.collections import CollectionRow, advance
from clipsearch.database.images import chunks
from clipsearch.database.models import ModelRow
from clipsearch.database.schema import collection as collection_table
from clipsearch.database.schema import collection_model as table
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import revision as revision_table
from clipsearch.database.upsert import upsert_into
from clipsearch.database.vectors import AT_REST, to_blobs
from clipsearch.errors import CollectionNotFound


@dataclass(frozen=True)
class StoredFile:
    """An image that lacks an embedding by a model."""

    id: int
    uri: str
    content_hash: str | None


@dataclass(frozen=True)
class NewEmbedding:
    """What a model made of an image's content. ``vector`` is float [d] of unit length, ``norm`` its length before."""

    image_id: int
    content_hash: str
    vector: NDArray[np.float32]
    norm: float | None
    dtype: str | None


def locked_collection(connection: Connection, collection_id: int) -> CollectionRow:
    """The collection, which no one else changes until this transaction ends. Raises CollectionNotFound."""
    row = connection.execute(
        select(collection_table).where(collection_table.c.id == collection_id).with_for_update()
    ).first()
    if row is None:
        raise CollectionNotFound("the collection was deleted")
    return CollectionRow(**row._mapping)


def further_models(connection: Connection, collection_id: int) -> dict[str, dt.datetime]:
    """The names of a collection's further models, with the times at which they were added; the oldest first."""
    query = select(table.c.model_name, table.c.added_at).where(table.c.collection_id == collection_id)
    rows = connection.execute(query.order_by(table.c.added_at, table.c.model_name))
    return {row.model_name: row.added_at for row in rows}


def has_model(connection: Connection, collection_id: int, name: str) -> bool:
    """Whether this is one of the collection's further models."""
    query = select(table.c.model_name).where(table.c.collection_id == collection_id, table.c.model_name == name)
    return connection.execute(query).first() is not None


def add_model(connection: Connection, collection_id: int, name: str) -> None:
    """Write a further model down, where it is not."""
    upsert = upsert_into(connection, table)
    values = {"collection_id": collection_id, "model_name": name, "added_at": now(connection)}
    connection.execute(upsert.values(values).on_conflict_do_nothing())


def drop_model(connection: Connection, collection_id: int, name: str) -> None:
    """Forget a further model; its embeddings go by ``delete_some_embeddings``."""
    connection.execute(delete(table).where(table.c.collection_id == collection_id, table.c.model_name == name))


def switch_model(connection: Connection, row: CollectionRow, name: str) -> int:
    """Let another model answer, and keep the one that did as a further one; the revision that this takes."""
    drop_model(connection, row.id, name)
    add_model(connection, row.id, row.model_name)
    connection.execute(update(collection_table).where(collection_table.c.id == row.id).values(model_name=name))
    number = advance(connection, row.id)
    older = revision_table.c.collection_id == row.id, revision_table.c.number < number
    connection.execute(delete(revision_table).where(*older))
    return number


def count_embedded(connection: Connection, collection_id: int, model: ModelRow) -> int:
    """How many of the images that are there have an embedding by this model."""
    query = select(func.count()).select_from(image_table).where(*_present(collection_id), _embedded(model))
    return int(connection.execute(query).scalar_one())


def count_lacking(connection: Connection, collection_id: int, model: ModelRow) -> int:
    """How many of the images that are there have none."""
    query = select(func.count()).select_from(image_table).where(*_present(collection_id), ~_embedded(model))
    return int(connection.execute(query).scalar_one())


def lacking_images(
    connection: Connection, collection_id: int, model: ModelRow, *, after: int = 0, limit: int = 1_000
) -> list[StoredFile]:
    """Images that are there and have no embedding by this model, those after the id ``after``, by id.

    One whose bytes have not the model's dimension is none.
    """
    query = (
        select(image_table.c.id, image_table.c.uri, image_table.c.content_hash)
        .where(*_present(collection_id), ~_embedded(model), image_table.c.id > after)
        .order_by(image_table.c.id)
        .limit(limit)
    )
    return [StoredFile(*row) for row in connection.execute(query)]


def save_embeddings(
    connection: Connection, model_id: int, rows: Sequence[NewEmbedding], *, answers_in: int | None = None
) -> int:
    """Keep the embeddings of images that are there and whose content is still what was embedded; how many were kept.

    Who calls holds the collection (``locked_collection``). ``answers_in`` is the collection in which the model
    answers, if it does: searches learn of the images then. Raises InvalidVector, and then nothing is kept.
    """
    contents: dict[int, str | None] = {}
    for chunk in chunks([row.image_id for row in rows]):
        query = select(image_table.c.id, image_table.c.content_hash)
        for found in connection.execute(query.where(image_table.c.id.in_(chunk), image_table.c.gone == 0)):
            contents[found.id] = found.content_hash
    standing = [row for row in rows if contents.get(row.image_id) == row.content_hash]
    if not standing:
        return 0
    blobs = to_blobs(np.stack([row.vector for row in standing]))
    place = upsert_into(connection, embedding_table)
    connection.execute(
        place.on_conflict_do_update(
            index_elements=["image_id", "model_id"],
            set_={name: place.excluded[name] for name in ("vector", "norm", "dtype")},
        ),
        [
            {"image_id": row.image_id, "model_id": model_id, "vector": blob, "norm": row.norm, "dtype": row.dtype}
            for row, blob in zip(standing, blobs, strict=True)
        ],
    )
    if answers_in is not None:
        _tell_searches(connection, answers_in, [row.image_id for row in standing])
    return len(standing)


def drop_embeddings(connection: Connection, collection_id: int, model_id: int, ids: Sequence[int]) -> None:
    """Delete these images' embeddings by the model that answers; the images stay, and lack it from now on."""
    for chunk in chunks(list(ids)):
        by_model = embedding_table.c.model_id == model_id
        connection.execute(delete(embedding_table).where(by_model, embedding_table.c.image_id.in_(chunk)))
    _tell_searches(connection, collection_id, ids)


def _tell_searches(connection: Connection, collection_id: int, ids: Sequence[int]) -> None:
    number = advance(connection, collection_id)
    for chunk in chunks(list(ids)):
        connection.execute(update(image_table).where(image_table.c.id.in_(chunk)).values(revision=number))


def delete_some_embeddings(connection: Connection, collection_id: int, model_id: int, limit: int) -> int:
    """Delete up to ``limit`` embeddings by this model of the collection's images, gone ones too; how many went."""
    which = (
        select(embedding_table.c.image_id)
        .join(image_table, image_table.c.id == embedding_table.c.image_id)
        .where(image_table.c.collection_id == collection_id, embedding_table.c.model_id == model_id)
        .limit(limit)
    )
    found = list(connection.execute(which).scalars())
    for chunk in chunks(found):
        connection.execute(
            delete(embedding_table).where(embedding_table.c.model_id == model_id, embedding_table.c.image_id.in_(chunk))
        )
    return len(found)


def _present(collection_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return image_table.c.collection_id == collection_id, image_table.c.gone == 0


def _embedded(model: ModelRow) -> Exists:
    whole = func.length(embedding_table.c.vector) == model.model.dimension * AT_REST.itemsize
    by_model = embedding_table.c.model_id == model.id
    return (
        select(embedding_table.c.image_id)
        .where(and_(embedding_table.c.image_id == image_table.c.id, by_model, whole))
        .exists()
    )
