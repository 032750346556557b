"""Answers to writes that may be repeated, as rows: one for each key of each holder, for a day.

A row without a status belongs to a request that is at work; it says which process works on it, so that one that died
keeps nobody waiting.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from clipsearch.database.access_schema import idempotency as table
from clipsearch.database.clock import now
from clipsearch.database.leases import is_dead
from clipsearch.database.upsert import upsert_into

KEPT = dt.timedelta(hours=24)
# No request is at work for as long: who claimed it is gone, on a host whose processes we cannot see.
ABANDONED = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class KeptAnswer:
    """What the first request was, and how it was answered: ``status`` is None while it is at work, ``body`` where
    the answer was too large to keep."""

    request_digest: str
    status: int | None
    headers: dict[str, str]
    body: bytes | None


def claim(connection: Connection, holder: str, key: str, request_digest: str) -> KeptAnswer | None:
    """Begin a request: None for who is the first, else what is known of it. Removes rows that are a day old."""
    stamp = now(connection)
    connection.execute(delete(table).where(table.c.created_at <= stamp - KEPT))
    if _insert(connection, holder, key, request_digest, stamp):
        return None
    # Locked: of two that find it abandoned, one takes it over.
    row = connection.execute(select(table).where(*_own(holder, key)).with_for_update()).first()
    if row is not None and row.status is None and _is_abandoned(row, stamp):
        connection.execute(delete(table).where(*_own(holder, key)))
        row = None
    if row is not None:
        return KeptAnswer(row.request_digest, row.status, row.headers if row.status else {}, row.body)
    if _insert(connection, holder, key, request_digest, stamp):
        return None
    return KeptAnswer(request_digest, None, {}, None)  # another was quicker


def keep_answer(
    connection: Connection, holder: str, key: str, status: int, headers: dict[str, str], body: bytes | None
) -> None:
    """Write down how a request was answered."""
    connection.execute(update(table).where(*_own(holder, key)).values(status=status, headers=headers, body=body))


def release(connection: Connection, holder: str, key: str) -> None:
    """Forget a request: it may be sent again as if it had never come."""
    connection.execute(delete(table).where(*_own(holder, key)))


def _own(holder: str, key: str) -> tuple[Any, Any]:
    return table.c.holder == holder, table.c.key == key


def _insert(connection: Connection, holder: str, key: str, request_digest: str, stamp: dt.datetime) -> bool:
    row = {"holder": holder, "key": key, "request_digest": request_digest, "created_at": stamp,
           "headers": _this_process()}  # fmt: skip
    made = upsert_into(connection, table).values(**row).on_conflict_do_nothing().returning(table.c.key)
    return connection.execute(made).first() is not None


@cache
def _this_process() -> dict[str, Any]:
    import psutil

    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "process_started": psutil.Process(pid).create_time()}


def _is_abandoned(row: Row[Any], stamp: dt.datetime) -> bool:
    worker = row.headers or {}
    gone = "pid" in worker and is_dead(worker["host"], worker["pid"], worker["process_started"])
    return gone or bool(row.created_at <= stamp - ABANDONED)
