"""Looks for damage in the database; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, select, text

from clipsearch.database.engine import Database
from clipsearch.database.images import chunks
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import image as image_table
from clipsearch.database.vectors import AT_REST, UNIT_TOLERANCE


def check_file(database: Database) -> list[str]:
    """What SQLite's own check says against the file; nothing for a server, which checks its own."""
    if not database.is_sqlite:
        return []
    with database.read() as connection:
        verdicts = list(connection.execute(text("PRAGMA integrity_check(20)")).scalars())
        orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    faults = [str(verdict) for verdict in verdicts if verdict != "ok"]
    return faults + ([f"{len(orphans)} rows refer to rows that are not there"] if orphans else [])


def images_without_embedding(connection: Connection, collection_id: int, model_id: int | None) -> list[tuple[int, str]]:
    """The images (id, uri) that are there but cannot be found, by id."""
    has = (
        select(embedding_table.c.image_id)
        .where(embedding_table.c.image_id == image_table.c.id, embedding_table.c.model_id == model_id)
        .exists()
    )
    query = (
        select(image_table.c.id, image_table.c.uri)
        .where(image_table.c.collection_id == collection_id, image_table.c.gone == 0, ~has)
        .order_by(image_table.c.id)
    )
    return [(row.id, row.uri) for row in connection.execute(query)]


def embedded_by_others(connection: Connection, ids: Sequence[int], model_id: int | None) -> set[int]:
    """Those of these images that another model has an embedding of."""
    found: set[int] = set()
    for chunk in chunks(list(ids)):
        query = select(embedding_table.c.image_id).where(embedding_table.c.image_id.in_(chunk))
        other = query if model_id is None else query.where(embedding_table.c.model_id != model_id)
        found.update(connection.execute(other).scalars())
    return found


def damaged_embeddings(
    connection: Connection, collection_id: int, model_id: int, dimension: int
) -> list[tuple[int, str]]:
    """The images (id, uri) whose embedding has not its dimension or not its length of one."""
    query = (
        select(image_table.c.id, image_table.c.uri, embedding_table.c.vector)
        .join(embedding_table, embedding_table.c.image_id == image_table.c.id)
        .where(
            image_table.c.collection_id == collection_id,
            image_table.c.gone == 0,
            embedding_table.c.model_id == model_id,
        )
    )
    found = []
    for row in connection.execution_options(yield_per=5_000).execute(query):
        sound = len(row.vector) == dimension * AT_REST.itemsize
        if sound:
            length = np.linalg.norm(np.frombuffer(row.vector, dtype=AT_REST).astype(np.float32))
            sound = bool(abs(length - 1.0) <= 10 * UNIT_TOLERANCE)
        if not sound:
            found.append((row.id, row.uri))
    return found
