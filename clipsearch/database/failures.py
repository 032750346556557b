"""Files that could not be indexed, as rows; knows which words of a reason a database can keep."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, select

from clipsearch.database.clock import now
from clipsearch.database.schema import failure as table
from clipsearch.database.upsert import upsert_into

LONGEST_REASON = 1_000

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class FailureRow:
    """A file that could not be indexed."""

    uri: str
    size: int | None
    mtime_ns: int | None
    code: str
    reason: str
    attempts: int
    run_id: int | None
    first_failed_at: dt.datetime
    last_failed_at: dt.datetime


@dataclass(frozen=True)
class NewFailure:
    """A failure to note."""

    uri: str
    code: str
    reason: str
    size: int | None = None
    mtime_ns: int | None = None


def note_failures(
    connection: Connection, collection_id: int, run_id: int | None, failures: Sequence[NewFailure]
) -> None:
    """Keep them by uri; one that failed before counts another attempt."""
    if not failures:
        return
    stamp = now(connection)
    rows = [
        {"collection_id": collection_id, "uri": one.uri, "size": one.size, "mtime_ns": one.mtime_ns, "code": one.code,
         "reason": storable(one.reason), "attempts": 1, "run_id": run_id, "first_failed_at": stamp,
         "last_failed_at": stamp}
        for one in failures
    ]  # fmt: skip
    upsert = upsert_into(connection, table)
    new = ("size", "mtime_ns", "code", "reason", "run_id", "last_failed_at")
    statement = upsert.on_conflict_do_update(
        index_elements=["collection_id", "uri"],
        set_={name: upsert.excluded[name] for name in new} | {"attempts": table.c.attempts + 1},
    )
    connection.execute(statement, rows)


def clear_failures(connection: Connection, collection_id: int, uris: Iterable[str]) -> None:
    """Forget the failures of these files."""
    wanted = list(uris)
    for start in range(0, len(wanted), 1_000):
        connection.execute(
            delete(table).where(
                table.c.collection_id == collection_id,
                table.c.uri.in_(wanted[start : start + 1_000]),
            )
        )


def list_failures(
    connection: Connection, collection_id: int, *, offset: int = 0, limit: int | None = None
) -> list[FailureRow]:
    """By uri, those from the place ``offset`` on."""
    return _select_failures(connection, table.c.collection_id == collection_id, offset, limit)


def failures_of_run(
    connection: Connection, run_id: int, *, offset: int = 0, limit: int | None = None
) -> list[FailureRow]:
    """Those that this run was the last to try; as ``list_failures``."""
    return _select_failures(connection, table.c.run_id == run_id, offset, limit)


def count_failures(connection: Connection, collection_id: int) -> int:
    """How many files of the collection could not be indexed."""
    query = select(func.count()).where(table.c.collection_id == collection_id)
    return int(connection.execute(query).scalar_one())


def count_failures_of_run(connection: Connection, run_id: int) -> int:
    """How many files this run was the last to try in vain."""
    return int(connection.execute(select(func.count()).where(table.c.run_id == run_id)).scalar_one())


def count_each_failures(connection: Connection) -> dict[int, int]:
    """How many of each collection's files could not be indexed; collections without any are left out."""
    query = select(table.c.collection_id, func.count()).group_by(table.c.collection_id)
    return {number: int(count) for number, count in connection.execute(query)}


def _select_failures(
    connection: Connection, wanted: ColumnElement[bool], offset: int, limit: int | None
) -> list[FailureRow]:
    columns = [table.c[name] for name in FailureRow.__dataclass_fields__]
    query = select(*columns).where(wanted).order_by(table.c.uri).offset(offset or None).limit(limit)
    return [FailureRow(*row) for row in connection.execute(query)]


def storable(words: str) -> str:
    """Without what a database refuses (NUL and lone surrogates, which decoders may say), and not endless."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", words[:LONGEST_REASON])
