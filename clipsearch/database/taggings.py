"""Taggings as rows: which label set is applied to which collection, and what waits for it.

A tagging stands while its digest is that of the set's scores and its model is the collection's. The digest "" is
that of a tagging whose tags are being removed: it equals none, so that no half of them ever answers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Join, and_, delete, func, insert, or_, select, update

from clipsearch.database.clock import now
from clipsearch.database.label_sets import LabelSetRow, get_label_set
from clipsearch.database.schema import collection as collection_table
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import label_set as label_set_table
from clipsearch.database.schema import model as model_table
from clipsearch.database.schema import tag as tag_table
from clipsearch.database.schema import tagging as table
from clipsearch.errors import Conflict

# Rows in one transaction of a removal.
REMOVED_AT_ONCE = 50_000


@dataclass(frozen=True)
class TaggingRow:
    """One label set that is applied to one collection, as stored."""

    id: int
    collection_id: int
    label_set_id: int
    model_id: int
    label_set_version: int
    digest: str
    top: int
    automatic: bool
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True)
class TaggingState:
    """A tagging, the set that it was made of as it is now, and whether the one still belongs to the other.

    ``why_stale`` is None where it does, else what came between, in words.
    """

    tagging: TaggingRow
    collection: str
    label_set: str
    version: int
    mode: str
    min_score: float | None
    min_probability: float | None
    min_margin: float | None
    why_stale: str | None


_COLUMNS = [table.c[name] for name in TaggingRow.__dataclass_fields__]
_SET_COLUMNS = ("name", "version", "mode", "min_score", "min_probability", "min_margin")


def find_tagging(connection: Connection, collection_id: int, label_set_id: int) -> TaggingRow | None:
    """The tagging of this collection by this set, or None."""
    row = connection.execute(
        select(*_COLUMNS).where(table.c.collection_id == collection_id, table.c.label_set_id == label_set_id)
    ).first()
    return _tagging(row) if row else None


def tagging_states(connection: Connection, collection_id: int, label_set: str | None = None) -> list[TaggingState]:
    """How the taggings of a collection stand, by the name of their set; those of one set where it is named."""
    query = (
        select(*_COLUMNS, *(label_set_table.c[name].label(f"set_{name}") for name in _SET_COLUMNS),
               collection_table.c.name.label("collection"), model_table.c.id.label("current_model"))
        .join(label_set_table, label_set_table.c.id == table.c.label_set_id)
        .join(collection_table, collection_table.c.id == table.c.collection_id)
        .outerjoin(model_table, model_table.c.name == collection_table.c.model_name)
        .where(table.c.collection_id == collection_id)
        .order_by(label_set_table.c.name)
    )  # fmt: skip
    if label_set is not None:
        query = query.where(label_set_table.c.name == label_set)
    return [
        TaggingState(
            tagging=(tagging := _tagging(row[: len(_COLUMNS)])),
            collection=row.collection,
            label_set=row.set_name,
            version=row.set_version,
            mode=row.set_mode,
            min_score=row.set_min_score,
            min_probability=row.set_min_probability,
            min_margin=row.set_min_margin,
            why_stale=_why_stale(connection, tagging, row.set_name, row.set_version, row.current_model),
        )
        for row in connection.execute(query).all()
    ]


def standing_tagging(connection: Connection, collection_id: int, label_set: str) -> TaggingState:
    """The tagging of a collection by the set of this name.

    Raises LabelSetNotFound, and Conflict with the command to run where there is none or where it no longer belongs
    to what the set is now.
    """
    found = tagging_states(connection, collection_id, label_set)
    if not found:
        get_label_set(connection, label_set)
        name = connection.execute(
            select(collection_table.c.name).where(collection_table.c.id == collection_id)
        ).scalar_one_or_none()
        raise Conflict(f"the images of {name!r} bear no tags of the label set {label_set!r} yet; run: "
                       f"{command(label_set, name)}")  # fmt: skip
    state = found[0]
    if state.why_stale is not None:
        raise Conflict(f"the tags of the label set {label_set!r} in {state.collection!r} do not hold any more: "
                       f"{state.why_stale}; run: {command(label_set, state.collection)}")  # fmt: skip
    return state


def command(label_set: str, collection: str | None) -> str:
    """What to type to have a collection tagged."""
    import shlex

    where = f" -c {shlex.quote(collection)}" if collection is not None else ""
    return f"clipsearch tags apply {shlex.quote(label_set)}{where}"


def _why_stale(
    connection: Connection, tagging: TaggingRow, label_set: str, version: int, model_id: int | None
) -> str | None:
    if tagging.digest == "":
        return "their removal was begun"
    if tagging.model_id != model_id:
        return "the collection has another model now"
    if tagging.label_set_version == version:
        return None
    if get_label_set(connection, label_set).digest == tagging.digest:
        return None
    return f"they were made by version {tagging.label_set_version}, and version {version} gives other scores"


def _tagging(values: Iterable[object]) -> TaggingRow:
    row = dict(zip(TaggingRow.__dataclass_fields__, values, strict=True))
    return TaggingRow(**{**row, "automatic": bool(row["automatic"])})  # type: ignore[arg-type]


def save_tagging(
    connection: Connection,
    collection_id: int,
    label_set: LabelSetRow,
    model_id: int,
    *,
    digest: str,
    top: int,
    automatic: bool,
) -> TaggingRow:
    """Write down that the set is applied to the collection, or what is new about it."""
    stamp = now(connection)
    values = {"model_id": model_id, "label_set_version": label_set.version, "digest": digest, "top": top,
              "automatic": int(automatic), "updated_at": stamp}  # fmt: skip
    known = find_tagging(connection, collection_id, label_set.id)
    if known is not None:
        connection.execute(update(table).where(table.c.id == known.id).values(values))
    else:
        own = {"collection_id": collection_id, "label_set_id": label_set.id, "created_at": stamp}
        connection.execute(insert(table).values(values | own))
    saved = find_tagging(connection, collection_id, label_set.id)
    assert saved is not None  # noqa: S101  for the type checker
    return saved


def mark_for_removal(connection: Connection, tagging_id: int) -> None:
    """From now on none of its tags answers."""
    connection.execute(update(table).where(table.c.id == tagging_id).values(digest="", updated_at=now(connection)))


def remove_some_tags(connection: Connection, tagging_id: int, count: int = REMOVED_AT_ONCE) -> int:
    """Delete about ``count`` rows of tags from the smallest image on; how many went. 0 says that none is left."""
    own = tag_table.c.tagging_id == tagging_id
    last = connection.execute(
        select(tag_table.c.image_id).where(own).order_by(tag_table.c.image_id).offset(count).limit(1)
    ).scalar_one_or_none()
    which = own if last is None else and_(own, tag_table.c.image_id <= last)
    return int(connection.execute(delete(tag_table).where(which)).rowcount)


def delete_tagging(connection: Connection, tagging_id: int) -> None:
    """Forget the tagging, with what is left of its tags."""
    connection.execute(delete(table).where(table.c.id == tagging_id))


def waiting_images(connection: Connection, tagging: TaggingRow) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ids, ascending, and the revisions of the images that are there and were not tagged as they are now."""
    query = (
        select(image_table.c.id, image_table.c.revision)
        .select_from(_images_with_tags(tagging.id))
        .where(*_present(tagging.collection_id), _waits())
        .order_by(image_table.c.id)
        .execution_options(yield_per=10_000)
    )
    found = np.fromiter(
        (number for row in connection.execute(query) for number in (row[0], row[1])), dtype=np.int64
    ).reshape(-1, 2)
    return np.ascontiguousarray(found[:, 0]), np.ascontiguousarray(found[:, 1])


def count_images(connection: Connection, tagging: TaggingRow) -> tuple[int, int]:
    """The images of the collection that are there, and how many of them wait to be tagged."""
    there = select(func.count()).select_from(image_table).where(*_present(tagging.collection_id))
    waiting = count_waiting(connection, tagging.collection_id, tagging.id)
    return int(connection.execute(there).scalar_one()), waiting


def count_waiting(connection: Connection, collection_id: int, tagging_id: int) -> int:
    """How many images were not tagged as they are now; by a tagging that is not there, all of them."""
    query = select(func.count()).select_from(_images_with_tags(tagging_id)).where(*_present(collection_id), _waits())
    return int(connection.execute(query).scalar_one())


def count_idle_tags(connection: Connection, collection_id: int) -> int:
    """The images that left the collection and whose tags lie there until they return."""
    query = (
        select(func.count())
        .select_from(tag_table.join(image_table, image_table.c.id == tag_table.c.image_id))
        .where(image_table.c.collection_id == collection_id, image_table.c.gone == 1, tag_table.c.rank == 1)
    )
    return int(connection.execute(query).scalar_one())


def _present(collection_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return image_table.c.collection_id == collection_id, image_table.c.gone == 0


def _images_with_tags(tagging_id: int) -> Join:
    first = and_(tag_table.c.tagging_id == tagging_id, tag_table.c.image_id == image_table.c.id, tag_table.c.rank == 1)
    return image_table.outerjoin(tag_table, first)


def _waits() -> ColumnElement[bool]:
    return or_(tag_table.c.revision.is_(None), tag_table.c.revision < image_table.c.revision)
