"""Filters on attributes to SQL; knows how either database looks into JSON, with names and values bound, never written.

SQLite reads numbers from JSON by its own hand. So a number that is asked for takes the same way: as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, bindparam, case, cast, exists, func, literal, select

from clipsearch.database.schema import image as table


def attribute_conditions(connection: Connection, wanted: Mapping[str, Any]) -> Iterator[ColumnElement[bool]]:
    """One condition for each value that an image's attributes must have, or hold in a list."""
    if wanted:
        yield table.c.attributes.is_not(None)
    equals = _equals_on_sqlite if connection.dialect.name == "sqlite" else _equals_on_postgresql
    for name, value in wanted.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            yield equals(name, one)


def _equals_on_sqlite(name: str, value: bool | int | float | str) -> ColumnElement[bool]:
    # By key and not by path: a path would have to quote the name, and SQLite's quotes cannot hold every name.
    each = func.json_each(table.c.attributes).table_valued("key", "value", "type", name="attribute")
    if isinstance(value, bool):
        same: ColumnElement[bool] = each.c.type == ("true" if value else "false")
    elif isinstance(value, str):
        texts = case((each.c.type == "array", each.c.value), else_="[]")
        one = func.json_each(texts).table_valued("value", name="listed")
        listed = exists(select(literal(1)).select_from(one).where(one.c.value == value))
        same = and_(each.c.type == "text", each.c.value == value) | listed
    else:
        number = func.json_extract(bindparam(None, json.dumps(value), String), "$")
        same = and_(each.c.type.in_(("integer", "real")), each.c.value == number)
    return exists(select(literal(1)).select_from(each).where(each.c.key == name, same))


def _equals_on_postgresql(name: str, value: bool | int | float | str) -> ColumnElement[bool]:
    from sqlalchemy.dialects.postgresql import JSONB

    # The containment of JSONB: an equal value, or a list in which the text stands.
    kept = cast(table.c.attributes, JSONB)[name]
    return kept.op("@>", is_comparison=True)(cast(bindparam(None, json.dumps(value), String), JSONB))
