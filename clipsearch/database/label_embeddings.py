"""Embeddings of labels and of prompts as rows; knows by what a prompt is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.schema import label as label_table
from clipsearch.database.schema import label_embedding as label_embedding_table
from clipsearch.database.schema import prompt_embedding as prompt_table
from clipsearch.database.schema import tagging as tagging_table
from clipsearch.database.upsert import upsert_into
from clipsearch.database.vectors import sound_rows, to_blobs
from clipsearch.errors import Conflict

CHUNK = 1_000


def save_label_embeddings(
    connection: Connection, label_set: LabelSetRow, model_id: int, vectors: NDArray[np.float32]
) -> None:
    """Keep vectors [labels, d] that came with the set, in the place of those that were there; tags that were made by
    others go. Raises InvalidVector."""
    rows = [
        {"label_id": label.id, "model_id": model_id, "vector": blob}
        for label, blob in zip(label_set.labels, to_blobs(vectors), strict=True)
    ]
    of_set = select(label_table.c.id).where(label_table.c.label_set_id == label_set.id)
    before = label_embedding_table.c.label_id.in_(of_set), label_embedding_table.c.model_id == model_id
    connection.execute(delete(label_embedding_table).where(*before))
    connection.execute(delete(tagging_table).where(tagging_table.c.label_set_id == label_set.id))
    connection.execute(insert(label_embedding_table), rows)


def label_embeddings(
    connection: Connection, label_set: LabelSetRow, model_id: int, dimension: int
) -> dict[int, NDArray[np.float32]]:
    """The vectors that came with the set for this model, by label id.

    Raises Conflict when one is damaged: what the model makes of the names is not what was imported.
    """
    rows = connection.execute(
        select(label_embedding_table.c.label_id, label_embedding_table.c.vector)
        .join(label_table, label_table.c.id == label_embedding_table.c.label_id)
        .where(label_table.c.label_set_id == label_set.id, label_embedding_table.c.model_id == model_id)
    ).all()
    vectors, sound = sound_rows([row.vector for row in rows], dimension)
    if not sound.all():
        raise Conflict(f"{len(rows) - len(vectors)} embeddings of the label set {label_set.name!r} are damaged; "
                       "import it again: clipsearch labels import --replace")  # fmt: skip
    return {row.label_id: vector for row, vector in zip(rows, vectors, strict=True)}


def save_prompt_embeddings(
    connection: Connection, model_id: int, prompts: Sequence[tuple[str, str]], vectors: NDArray[np.float32]
) -> None:
    """Keep what the model made of (template, text) pairs; one that is kept already stays, unless it is damaged.

    Raises InvalidVector.
    """
    if not prompts:
        return
    kept = prompt_embeddings(connection, model_id, vectors.shape[1], prompts)
    lacking = [_digest(*prompt) for prompt in prompts if prompt not in kept]
    for start in range(0, len(lacking), CHUNK):
        part = prompt_table.c.digest.in_(lacking[start : start + CHUNK])
        connection.execute(delete(prompt_table).where(prompt_table.c.model_id == model_id, part))
    rows = [
        {
            "model_id": model_id,
            "digest": _digest(template, text),
            "template": template,
            "text": text,
            "vector": blob,
        }
        for (template, text), blob in zip(prompts, to_blobs(vectors), strict=True)
    ]
    connection.execute(upsert_into(connection, prompt_table).on_conflict_do_nothing(), rows)


def prompt_embeddings(
    connection: Connection, model_id: int, dimension: int, prompts: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], NDArray[np.float32]]:
    """The kept vectors of these (template, text) pairs; what is not kept, or damaged, is not in the answer."""
    wanted = {_digest(template, text): (template, text) for template, text in prompts}
    digests = sorted(wanted)
    found: dict[tuple[str, str], NDArray[np.float32]] = {}
    for start in range(0, len(digests), CHUNK):
        rows = connection.execute(
            select(prompt_table.c.digest, prompt_table.c.vector).where(
                prompt_table.c.model_id == model_id, prompt_table.c.digest.in_(digests[start : start + CHUNK])
            )
        ).all()
        vectors, sound = sound_rows([row.vector for row in rows], dimension)
        usable = [row.digest for row, fine in zip(rows, sound, strict=True) if fine]
        found.update((wanted[digest], vector) for digest, vector in zip(usable, vectors, strict=True))
    return found


def _digest(template: str, text: str) -> str:
    # A template cannot hold a NUL, so that no two pairs run together to the same bytes.
    return hashlib.sha256(f"{template}\x00{text}".encode()).hexdigest()
