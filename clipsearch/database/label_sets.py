"""Label sets, labels and their embeddings as rows; knows when a set's version goes up and what a cached prompt is."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select, update

from clipsearch.database.clock import now
from clipsearch.database.schema import label as label_table
from clipsearch.database.schema import label_embedding as label_embedding_table
from clipsearch.database.schema import label_set as table
from clipsearch.database.schema import prompt_embedding as prompt_table
from clipsearch.database.upsert import upsert_into
from clipsearch.database.vectors import sound_rows, to_blobs
from clipsearch.errors import AlreadyExists, Conflict, LabelSetNotFound

CHUNK = 1_000


@dataclass(frozen=True)
class LabelRow:
    """One label; ``id`` is 0 for one that is not stored."""

    id: int
    position: int
    name: str
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class LabelSetRow:
    """One label set with its labels in order; ``id`` is 0 for one that is not stored."""

    id: int
    name: str
    version: int
    mode: str
    templates: tuple[str, ...]
    labels: tuple[LabelRow, ...]
    created_at: dt.datetime
    updated_at: dt.datetime


def save_label_set(
    connection: Connection,
    name: str,
    labels: Sequence[tuple[str, Sequence[str]]],
    templates: Sequence[str],
    *,
    mode: str = "single",
    replace: bool = False,
) -> LabelSetRow:
    """Store a set of (name, prompts), or put it in place of the one of its name, whose version then goes up by one.

    Raises AlreadyExists when the name is taken and ``replace`` is not asked for.
    """
    stamp = now(connection)
    known = find_label_set(connection, name)
    if known is not None and not replace:
        raise AlreadyExists(f"a label set named {name!r} exists already; replace it with --replace, or choose a name")
    values = {"mode": mode, "templates": list(templates), "updated_at": stamp}
    if known is None:
        values |= {"name": name, "version": 1, "created_at": stamp}
        number = connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one()
    else:
        number = known.id
        # Counted by the database: of two who replace it at once, each makes a version of its own.
        counted = values | {"version": table.c.version + 1}
        connection.execute(update(table).where(table.c.id == number).values(counted))
        connection.execute(delete(label_table).where(label_table.c.label_set_id == number))
    rows = [
        {"label_set_id": number, "position": position, "name": label, "prompts": list(prompts)}
        for position, (label, prompts) in enumerate(labels)
    ]
    connection.execute(insert(label_table), rows)
    return get_label_set(connection, name)


def find_label_set(connection: Connection, name: str) -> LabelSetRow | None:
    """The set of this name, or None."""
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        return None
    labels = connection.execute(
        select(label_table.c.id, label_table.c.position, label_table.c.name, label_table.c.prompts)
        .where(label_table.c.label_set_id == row.id)
        .order_by(label_table.c.position)
    )
    return LabelSetRow(
        id=row.id,
        name=row.name,
        version=row.version,
        mode=row.mode,
        templates=tuple(row.templates),
        labels=tuple(LabelRow(one.id, one.position, one.name, tuple(one.prompts)) for one in labels),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def label_set_stamp(connection: Connection, name: str) -> tuple[int, str, int, dt.datetime] | None:
    """The number, name, version and time of the last change of the set of this name, which tell it from any other
    that ever stood under it; None where there is none."""
    columns = (table.c.id, table.c.name, table.c.version, table.c.updated_at)
    row = connection.execute(select(*columns).where(table.c.name == name)).first()
    return (row.id, row.name, row.version, row.updated_at) if row else None


def get_label_set(connection: Connection, name: str) -> LabelSetRow:
    """Raises LabelSetNotFound with those that there are."""
    found = find_label_set(connection, name)
    if found is not None:
        return found
    names = list_label_sets(connection)
    if not names:
        raise LabelSetNotFound(f"there is no label set {name!r}; make one: clipsearch labels create {name} cat dog")
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names[:10])}"
    raise LabelSetNotFound(f"there is no label set {name!r}; {hint}")


def list_label_sets(connection: Connection) -> list[str]:
    """Their names, in order."""
    return list(connection.execute(select(table.c.name).order_by(table.c.name)).scalars())


def delete_label_set(connection: Connection, name: str) -> None:
    """Raises LabelSetNotFound."""
    connection.execute(delete(table).where(table.c.id == get_label_set(connection, name).id))


def save_label_embeddings(
    connection: Connection, label_set: LabelSetRow, model_id: int, vectors: NDArray[np.float32]
) -> None:
    """Keep vectors [labels, d] that came with the set. Raises InvalidVector."""
    rows = [
        {"label_id": label.id, "model_id": model_id, "vector": blob}
        for label, blob in zip(label_set.labels, to_blobs(vectors), strict=True)
    ]
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
