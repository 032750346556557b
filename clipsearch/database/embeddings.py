"""Image embeddings as rows: found by content hash, by image, and by what changed after a revision."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from clipsearch.database.images import IMAGE_COLUMNS, NewImage, chunks
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import image as table
from clipsearch.database.schema import model as model_table
from clipsearch.database.schema import prompt_embedding as prompt_table
from clipsearch.database.vectors import sound_halves, sound_rows

log = logging.getLogger(__name__)

READ_ROWS = 5_000


@dataclass(frozen=True)
class Changes:
    """Rows that changed: ``vectors`` is float16 [n, d], as they rest, for ``added`` ids int64 [n]; ``removed`` int64
    [m]."""

    added: NDArray[np.int64]
    vectors: NDArray[np.float16]
    removed: NDArray[np.int64]


def content_known(connection: Connection, model_id: int, content_hash: str) -> bool:
    """Whether these bytes were embedded by this model before, under whatever name, as ``contents_by_hash`` has it."""
    query = (
        select(embedding_table.c.vector, model_table.c.dimension)
        .join(table, embedding_table.c.image_id == table.c.id)
        .join(model_table, embedding_table.c.model_id == model_table.c.id)
        .where(table.c.content_hash == content_hash, embedding_table.c.model_id == model_id)
    )
    with connection.execute(query) as rows:
        return any(sound_rows([row.vector], row.dimension)[1].all() for row in rows)


def contents_by_hash(
    connection: Connection, model_id: int, dimension: int, hashes: Iterable[str]
) -> dict[str, NewImage]:
    """What is known of these contents in any collection, embedding by this model included, by content hash.

    A damaged embedding is as good as none.
    """
    found: dict[str, NewImage] = {}
    for chunk in chunks(sorted(set(hashes))):
        query = (
            select(*IMAGE_COLUMNS, embedding_table.c.vector, embedding_table.c.norm, embedding_table.c.dtype)
            .join(embedding_table, embedding_table.c.image_id == table.c.id)
            .where(table.c.content_hash.in_(chunk), embedding_table.c.model_id == model_id)
        )
        for row in connection.execute(query):
            if row.content_hash in found:
                continue
            vectors, _ = sound_rows([row.vector], dimension)
            if len(vectors):
                found[row.content_hash] = NewImage(
                    uri=row.uri, vector=vectors[0], content_hash=row.content_hash,
                    width=row.width, height=row.height, format=row.format, taken_at=row.taken_at,
                    pixel_hash=row.pixel_hash, norm=row.norm, dtype=row.dtype,
                )  # fmt: skip
    return found


def changes_after(
    connection: Connection, collection_id: int, model_id: int, dimension: int, revision: int
) -> Iterator[Changes]:
    """What changed after ``revision``, in blocks; with revision -1 everything that is there.

    An image whose embedding is damaged stands in ``removed``: it cannot be found, and the others can.
    """
    query = (
        select(table.c.id, table.c.gone, embedding_table.c.vector)
        .outerjoin(
            embedding_table,
            (embedding_table.c.image_id == table.c.id) & (embedding_table.c.model_id == model_id),
        )
        .where(table.c.collection_id == collection_id)
    )
    query = query.where(table.c.gone == 0) if revision < 0 else query.where(table.c.revision > revision)
    damaged = 0
    # Asked of the statement: said of the connection, it would hold for all that follows on it.
    for rows in connection.execute(query.execution_options(yield_per=READ_ROWS)).partitions():
        # By place and not by name: a million rows are read in half the time.
        there = [(number, vector) for number, gone, vector in rows if not gone and vector is not None]
        away = [number for number, gone, vector in rows if gone or vector is None]
        vectors, sound = sound_halves([vector for _, vector in there], dimension)
        ids = np.array([number for number, _ in there], dtype=np.int64)
        damaged += int(np.count_nonzero(~sound))
        yield Changes(
            added=ids[sound], vectors=vectors, removed=np.concatenate([np.array(away, dtype=np.int64), ids[~sound]])
        )
    if damaged:
        log.warning("%d images are not found, because their embeddings are damaged; run: clipsearch doctor", damaged)


def count_changes(connection: Connection, collection_id: int, revision: int) -> int:
    """How many rows of images changed after ``revision``."""
    query = select(func.count()).where(table.c.collection_id == collection_id, table.c.revision > revision)
    return int(connection.execute(query).scalar_one())


def vectors_of(
    connection: Connection, model_id: int, dimension: int, ids: Sequence[int]
) -> dict[int, NDArray[np.float32]]:
    """The embeddings by this model of these images, by id; a damaged one is left out."""
    found: dict[int, NDArray[np.float32]] = {}
    for chunk in chunks(list(ids)):
        rows = connection.execute(
            select(embedding_table.c.image_id, embedding_table.c.vector).where(
                embedding_table.c.image_id.in_(chunk), embedding_table.c.model_id == model_id
            )
        ).all()
        vectors, sound = sound_rows([row.vector for row in rows], dimension)
        ids = [row.image_id for row, usable in zip(rows, sound, strict=True) if usable]
        found.update(zip(ids, vectors, strict=True))
    return found


def norms_of(connection: Connection, model_id: int, ids: Sequence[int]) -> dict[int, float]:
    """The lengths that these images' embeddings by this model had before they were brought to one, by id; those that
    nobody kept are left out."""
    found: dict[int, float] = {}
    for chunk in chunks(list(ids)):
        rows = connection.execute(
            select(embedding_table.c.image_id, embedding_table.c.norm).where(
                embedding_table.c.image_id.in_(chunk), embedding_table.c.model_id == model_id
            )
        )
        found.update({row.image_id: row.norm for row in rows if row.norm is not None})
    return found


def text_vectors(connection: Connection, model_id: int, dimension: int, limit: int) -> NDArray[np.float32]:
    """Up to ``limit`` of the text embeddings that are kept by this model, float32 [n, dimension], damaged ones left
    out."""
    query = select(prompt_table.c.vector).where(prompt_table.c.model_id == model_id).order_by(prompt_table.c.id)
    return sound_rows(list(connection.execute(query.limit(limit)).scalars()), dimension)[0]
