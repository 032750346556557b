"""Embeddings of the images that stand for labels; knows that an image of any collection may serve as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, select

from clipsearch.database.embeddings import contents_by_hash
from clipsearch.database.images import chunks
from clipsearch.database.schema import example_embedding as table
from clipsearch.database.upsert import upsert_into
from clipsearch.database.vectors import sound_rows, to_blobs


def save_example_embeddings(
    connection: Connection, model_id: int, digests: Sequence[str], vectors: NDArray[np.float32]
) -> None:
    """Keep what the model made of these images, unit rows [n, d]; one that is kept and sound stays as it is.

    Raises InvalidVector.
    """
    if not digests:
        return
    kept = _own_embeddings(connection, model_id, vectors.shape[1], digests)
    lacking = sorted(set(digests) - set(kept))
    for chunk in chunks(lacking):
        connection.execute(delete(table).where(table.c.model_id == model_id, table.c.digest.in_(chunk)))
    rows = [
        {"digest": digest, "model_id": model_id, "vector": blob}
        for digest, blob in zip(digests, to_blobs(vectors), strict=True)
    ]
    connection.execute(upsert_into(connection, table).on_conflict_do_nothing(), rows)


def example_embeddings(
    connection: Connection, model_id: int, dimension: int, digests: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    """The unit vectors [d] of these images by this model, by digest: kept as examples, else found in any collection.

    What neither has, or has damaged, is not in the answer.
    """
    wanted = set(digests)
    found = _own_embeddings(connection, model_id, dimension, wanted)
    elsewhere = contents_by_hash(connection, model_id, dimension, wanted - set(found))
    return found | {digest: image.vector for digest, image in elsewhere.items()}


def _own_embeddings(
    connection: Connection, model_id: int, dimension: int, digests: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    for chunk in chunks(sorted(set(digests))):
        rows = connection.execute(
            select(table.c.digest, table.c.vector).where(table.c.model_id == model_id, table.c.digest.in_(chunk))
        ).all()
        vectors, sound = sound_rows([row.vector for row in rows], dimension)
        usable = [row.digest for row, fine in zip(rows, sound, strict=True) if fine]
        found.update(zip(usable, vectors, strict=True))
    return found
