"""Collections as rows, and the revision that every change of one carries."""

from __future__ import annotations

import datetime as dt
import difflib
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from clipsearch.database.clock import now
from clipsearch.database.schema import collection as table
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import model as model_table
from clipsearch.database.schema import revision as revision_table
from clipsearch.errors import AlreadyExists, CollectionNotFound


@dataclass(frozen=True)
class CollectionRow:
    """One collection; ``revision`` is that of its last committed change."""

    id: int
    name: str
    model_name: str
    revision: int
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True)
class CollectionState:
    """A collection at one moment: its revision's token ("" where it has none), and the number of its model's row."""

    row: CollectionRow
    token: str
    model_id: int | None


# Made once: every search begins with it, and building a statement takes longer than asking it.
_STATES = select(table, revision_table.c.token, model_table.c.id.label("model_id")).select_from(
    table.outerjoin(
        revision_table, (revision_table.c.collection_id == table.c.id) & (revision_table.c.number == table.c.revision)
    ).outerjoin(model_table, model_table.c.name == table.c.model_name)
)
_STATE_OF_NAME = _STATES.where(table.c.name == bindparam("name"))
_STATE_OF_ID = _STATES.where(table.c.id == bindparam("number"))


def create_collection(connection: Connection, name: str, model_name: str) -> CollectionRow:
    """Raises AlreadyExists when the name is taken."""
    stamp = now(connection)
    values = {"name": name, "model_name": model_name, "revision": 0, "created_at": stamp, "updated_at": stamp}
    try:
        with connection.begin_nested():
            number = connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one()
    except IntegrityError as error:
        raise AlreadyExists(f"a collection named {name!r} exists already") from error
    _stamp_revision(connection, number, 0, None)
    return CollectionRow(number, name, model_name, 0, stamp, stamp)


def find_collection(connection: Connection, name: str) -> CollectionRow | None:
    """The collection of this name, or None."""
    row = connection.execute(select(table).where(table.c.name == name)).first()
    return CollectionRow(**row._mapping) if row else None


def get_collection(connection: Connection, name: str) -> CollectionRow:
    """The collection of this name. Raises CollectionNotFound with those that there are."""
    row = find_collection(connection, name)
    if row is None:
        raise _no_such(connection, name)
    return row


def _no_such(connection: Connection, name: str) -> CollectionNotFound:
    names = list(connection.execute(select(table.c.name).order_by(table.c.name)).scalars())
    if not names:
        return CollectionNotFound(f"there is no collection {name!r} yet; index a folder first: clipsearch index FOLDER")
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names[:10])}"
    return CollectionNotFound(f"there is no collection {name!r}; {hint}")


def collection_by_id(connection: Connection, number: int) -> CollectionRow:
    """The collection of this number, whatever it is called by now. Raises CollectionNotFound."""
    row = connection.execute(select(table).where(table.c.id == number)).first()
    if row is None:
        raise CollectionNotFound("the collection was deleted")
    return CollectionRow(**row._mapping)


def state_of_name(connection: Connection, name: str) -> CollectionState:
    """How the collection of this name stands. Raises CollectionNotFound with those that there are."""
    found = connection.execute(_STATE_OF_NAME, {"name": name}).first()
    if found is None:
        raise _no_such(connection, name)
    return CollectionState(CollectionRow(*found[:-2]), found.token or "", found.model_id)


def state_of_id(connection: Connection, number: int) -> CollectionState:
    """How the collection of this number stands, whatever it is called by now. Raises CollectionNotFound."""
    found = connection.execute(_STATE_OF_ID, {"number": number}).first()
    if found is None:
        raise CollectionNotFound("the collection was deleted")
    return CollectionState(CollectionRow(*found[:-2]), found.token or "", found.model_id)


def list_collections(connection: Connection) -> list[CollectionRow]:
    """All of them, by name."""
    return [CollectionRow(**row._mapping) for row in connection.execute(select(table).order_by(table.c.name))]


def rename_collection(connection: Connection, name: str, new_name: str) -> CollectionRow:
    """Raises CollectionNotFound, AlreadyExists."""
    row = get_collection(connection, name)
    if new_name != name and find_collection(connection, new_name):
        raise AlreadyExists(f"a collection named {new_name!r} exists already")
    connection.execute(update(table).where(table.c.id == row.id).values(name=new_name, updated_at=now(connection)))
    return get_collection(connection, new_name)


def delete_collection(connection: Connection, name: str) -> CollectionRow:
    """Delete it with its images, embeddings, runs and failures. Raises CollectionNotFound."""
    row = get_collection(connection, name)
    connection.execute(delete(table).where(table.c.id == row.id))
    return row


def count_images(connection: Connection, collection_id: int) -> int:
    """The images that are there, the gone ones left out."""
    query = select(func.count()).where(image_table.c.collection_id == collection_id, image_table.c.gone == 0)
    return int(connection.execute(query).scalar_one())


def count_each_images(connection: Connection) -> dict[int, int]:
    """The images that are there, by the number of their collection; collections without any are left out."""
    query = select(image_table.c.collection_id, func.count()).where(image_table.c.gone == 0)
    return {number: int(count) for number, count in connection.execute(query.group_by(image_table.c.collection_id))}


def advance(connection: Connection, collection_id: int, run_id: int | None = None) -> int:
    """The number of the change that this transaction makes; on a server it also keeps other writers waiting."""
    number = connection.execute(
        update(table)
        .where(table.c.id == collection_id)
        .values(revision=table.c.revision + 1, updated_at=now(connection))
        .returning(table.c.revision)
    ).scalar_one_or_none()
    if number is None:
        raise CollectionNotFound("the collection was deleted while it was being changed")
    _stamp_revision(connection, collection_id, number, run_id)
    return int(number)


def revision_token(connection: Connection, collection_id: int, number: int) -> str | None:
    """The random token of this revision; None when this history has no such revision."""
    query = select(revision_table.c.token).where(
        revision_table.c.collection_id == collection_id, revision_table.c.number == number
    )
    return connection.execute(query).scalar_one_or_none()


def _stamp_revision(connection: Connection, collection_id: int, number: int, run_id: int | None) -> None:
    connection.execute(
        insert(revision_table).values(
            collection_id=collection_id,
            number=number,
            token=secrets.token_hex(8),
            run_id=run_id,
            committed_at=now(connection),
        )
    )
