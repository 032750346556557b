"""Filters to SQL; knows which columns may be filtered on, and that everything a person writes is a bound value."""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from clipsearch.cursors import Cursor, Order
from clipsearch.database.attribute_conditions import attribute_conditions
from clipsearch.database.images import IMAGE_COLUMNS, ImageRow
from clipsearch.database.schema import image as table
from clipsearch.database.tags import Floors, tag_condition
from clipsearch.errors import InvalidFilter
from clipsearch.queries import Filters

_when = func.coalesce(table.c.taken_at, table.c.modified_at, type_=table.c.taken_at.type)


def filtered_ids(connection: Connection, collection_id: int, filters: Filters) -> NDArray[np.int64]:
    """The ids of the images that are there and pass, ascending."""
    passing = _conditions(connection, collection_id, filters)
    if filters.path_glob is None:
        rows = connection.execute(select(table.c.id).where(*passing).order_by(table.c.id))
        return np.fromiter(rows.scalars(), dtype=np.int64)
    matches = _glob(filters.path_glob).match
    rows = connection.execute(select(table.c.id, table.c.uri).where(*passing).order_by(table.c.id))
    return np.fromiter((number for number, uri in rows if matches(uri)), dtype=np.int64)


def list_images(
    connection: Connection,
    collection_id: int,
    filters: Filters,
    *,
    after: int | Cursor = 0,
    limit: int = 100,
    order: Order = "id",
) -> list[ImageRow]:
    """Up to ``limit`` images that pass, in this order, those after the cursor, or after an id in the order of ids."""
    passing = _conditions(connection, collection_id, filters)
    cursor = after if isinstance(after, Cursor) else Cursor("id", after)
    if cursor.image_id:
        passing.append(_after(cursor))
    query = select(*IMAGE_COLUMNS).where(*passing).order_by(*_ordered(order))
    if filters.path_glob is None:
        return [ImageRow(*row) for row in connection.execute(query.limit(limit))]
    matches = _glob(filters.path_glob)
    found: list[ImageRow] = []
    for row in connection.execute(query):
        if matches.match(row.uri):
            found.append(ImageRow(*row))
            if len(found) == limit:
                break
    return found


def _ordered(order: Order) -> list[ColumnElement[Any]]:
    if order == "newest":
        return [_when.desc().nulls_last(), table.c.id.desc()]
    return [table.c.id] if order == "id" else [_when.asc().nulls_last(), table.c.id]


def _after(cursor: Cursor) -> ColumnElement[bool]:
    """What comes after the cursor in its order; images without a date stand at the end of either."""
    if cursor.order == "id":
        return table.c.id > cursor.image_id
    further = table.c.id < cursor.image_id if cursor.order == "newest" else table.c.id > cursor.image_id
    if cursor.when is None:
        return and_(_when.is_(None), further)
    beyond = _when < cursor.when if cursor.order == "newest" else _when > cursor.when
    return or_(beyond, and_(_when == cursor.when, further), _when.is_(None))


def _conditions(connection: Connection, collection_id: int, filters: Filters) -> list[ColumnElement[bool]]:
    # Those with a tag are found by their ids: the sum keeps the database from going through the whole collection.
    collection = table.c.collection_id + 0 if filters.tags else table.c.collection_id
    conditions = [collection == collection_id, table.c.gone == 0]
    prefix = filters.path_prefix or (_literal_start(filters.path_glob) if filters.path_glob else "")
    if prefix:
        # Not LIKE, which folds case on SQLite and reads % and _ in file names.
        conditions.append(func.substr(table.c.uri, 1, len(prefix)) == prefix)
    if filters.taken_from is not None:
        conditions.append(_when >= _utc(filters.taken_from))
    if filters.taken_to is not None:
        conditions.append(_when <= _utc(filters.taken_to))
    for name in ("width", "height"):
        low, high = getattr(filters, f"min_{name}"), getattr(filters, f"max_{name}")
        if low is not None:
            conditions.append(table.c[name] >= low)
        if high is not None:
            conditions.append(table.c[name] <= high)
    if filters.formats is not None:
        conditions.append(table.c.format.in_([_format(name) for name in filters.formats]))
    conditions += attribute_conditions(connection, filters.attributes or {})
    floors = Floors(filters.min_tag_score, filters.min_tag_probability)
    conditions += [tag_condition(connection, collection_id, wanted, floors) for wanted in filters.tags or ()]
    return conditions


def _utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise InvalidFilter(f"the date {moment} lies outside the calendar") from error


def _format(name: str) -> str:
    upper = name.strip().lstrip(".").upper()
    return {"JPG": "JPEG", "TIF": "TIFF", "JP2": "JPEG2000"}.get(upper, upper)


def _glob(pattern: str) -> re.Pattern[str]:
    # A pattern that does not begin at the root may begin at any folder, as people write *.png or 2024/*.jpg.
    anchored = pattern if pattern.startswith(("/", "*", "file:", "s3:")) else f"*/{pattern}"
    return re.compile(fnmatch.translate(anchored))


def _literal_start(pattern: str) -> str:
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0] if pattern.startswith("/") else ""
