"""The indexing lease: one row a collection that says who may change it now; knows when a holder is dead.

A lease ends when it is released, when it has not been renewed for its time, and at once when its holder was a
process of this host that is no more.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update
from sqlalchemy.exc import IntegrityError

from clipsearch.database.clock import now
from clipsearch.database.schema import lease as table
from clipsearch.database.upsert import upsert_into
from clipsearch.errors import AlreadyRunning, CollectionNotFound, LeaseLost


@dataclass(frozen=True)
class Lease:
    """The right to change one collection, until it expires."""

    collection_id: int
    token: str
    holder: str
    purpose: str
    acquired_at: dt.datetime
    expires_at: dt.datetime


_COLUMNS = [table.c[name] for name in Lease.__dataclass_fields__]


def acquire_lease(connection: Connection, collection_id: int, purpose: str, seconds: float) -> Lease:
    """Take the lease for ``seconds``. Raises AlreadyRunning, which says who holds it and until when;
    CollectionNotFound for a collection that was deleted meanwhile."""
    stamp = now(connection)
    row = connection.execute(select(table).where(table.c.collection_id == collection_id).with_for_update()).first()
    if row is not None:
        if row.expires_at > stamp and not is_dead(row.host, row.pid, row.process_started):
            raise _refusal(row)
        connection.execute(delete(table).where(table.c.collection_id == collection_id))
    import psutil

    host, pid = socket.gethostname(), os.getpid()
    lease = Lease(
        collection_id=collection_id,
        token=secrets.token_hex(16),
        holder=f"process {pid} on {host}",
        purpose=purpose,
        acquired_at=stamp,
        expires_at=stamp + dt.timedelta(seconds=seconds),
    )
    statement = (
        upsert_into(connection, table)
        .values(
            **lease.__dict__,
            host=host,
            pid=pid,
            process_started=psutil.Process(pid).create_time(),
            heartbeat_at=stamp,
        )
        .on_conflict_do_nothing()
        .returning(table.c.token)
    )
    try:
        taken = connection.execute(statement).first()
    except IntegrityError as error:
        raise CollectionNotFound("the collection was deleted a moment ago") from error
    if taken is None:  # another was first, by a moment
        raise _refusal(connection.execute(select(table).where(table.c.collection_id == collection_id)).one())
    return lease


def renew_lease(connection: Connection, lease: Lease, seconds: float) -> None:
    """Say that the holder lives. Raises LeaseLost when another has it: what this transaction did is not committed."""
    stamp = now(connection)
    changed = connection.execute(
        update(table)
        .where(table.c.collection_id == lease.collection_id, table.c.token == lease.token)
        .values(heartbeat_at=stamp, expires_at=stamp + dt.timedelta(seconds=seconds))
    ).rowcount
    if changed != 1:
        raise LeaseLost("the lease on this collection was lost to another process; run the command again")


def release_lease(connection: Connection, lease: Lease) -> None:
    """Give it back; no error when it was lost."""
    connection.execute(delete(table).where(table.c.collection_id == lease.collection_id, table.c.token == lease.token))


def find_lease(connection: Connection, collection_id: int) -> Lease | None:
    """The lease that is in force, or None."""
    return _in_force(connection, select(table).where(table.c.collection_id == collection_id)).get(collection_id)


def list_leases(connection: Connection) -> dict[int, Lease]:
    """The leases that are in force, by the number of their collection."""
    return _in_force(connection, select(table))


def _in_force(connection: Connection, query: Select[Any]) -> dict[int, Lease]:
    rows = connection.execute(query).all()
    stamp = now(connection) if rows else None
    return {
        row.collection_id: Lease(**{name: row._mapping[name] for name in Lease.__dataclass_fields__})
        for row in rows
        if stamp is not None and row.expires_at > stamp and not is_dead(row.host, row.pid, row.process_started)
    }


def _refusal(row: Row[Any]) -> AlreadyRunning:
    return AlreadyRunning(
        f"{row.holder} is at work on this collection ({row.purpose}, since {row.acquired_at:%H:%M:%S} UTC); "
        f"wait until it is done; were it dead, its lease would end at {row.expires_at:%H:%M:%S} UTC",
        holder=row.holder,
        expires_at=row.expires_at.isoformat(),
    )


def is_dead(host: str, pid: int, started: float) -> bool:
    """Whether this was a process of this host that is no more."""
    if host != socket.gethostname():
        return False
    import psutil

    try:
        # The start time tells a process from a later one that was given the same number.
        return bool(abs(psutil.Process(pid).create_time() - started) > 1.0)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
