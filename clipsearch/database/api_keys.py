"""API keys as rows: what is kept of a key is the SHA-256 of it, never the key."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from clipsearch.database.access_schema import api_key as table
from clipsearch.database.clock import now


@dataclass(frozen=True)
class KeyRow:
    """One key; ``read_at`` is the database's time when it was read, by which it has expired or not."""

    prefix: str
    digest: str = field(repr=False)
    name: str
    scopes: tuple[str, ...]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    read_at: dt.datetime

    @property
    def expired(self) -> bool:
        """Whether its time was over when it was read."""
        return self.expires_at is not None and self.expires_at <= self.read_at


def add_key(
    connection: Connection,
    *,
    prefix: str,
    digest: str,
    name: str,
    scopes: tuple[str, ...],
    lifetime: dt.timedelta | None,
) -> KeyRow:
    """Keep a new key; without a lifetime it does not expire."""
    stamp = now(connection)
    expires_at = stamp + lifetime if lifetime is not None else None
    connection.execute(
        insert(table).values(
            prefix=prefix, digest=digest, name=name, scopes=list(scopes), created_at=stamp, expires_at=expires_at
        )
    )
    return KeyRow(prefix, digest, name, scopes, stamp, expires_at, None, None, stamp)


def find_key(connection: Connection, prefix: str) -> KeyRow | None:
    """The key of this prefix, whether it holds or not; None where there is none."""
    row = connection.execute(select(table).where(table.c.prefix == prefix)).first()
    stamp = now(connection)  # also for nobody's prefix: both take the same way
    return None if row is None else _key_row(row, stamp)


def list_keys(connection: Connection) -> list[KeyRow]:
    """Every key, the oldest first."""
    stamp = now(connection)
    return [_key_row(row, stamp) for row in connection.execute(select(table).order_by(table.c.id))]


def revoke_key(connection: Connection, prefix: str) -> bool:
    """Take a key out of use; a time at which that was done before stays. Whether there is such a key."""
    revoked = update(table).where(table.c.prefix == prefix, table.c.revoked_at.is_(None))
    connection.execute(revoked.values(revoked_at=now(connection)))
    return connection.execute(select(table.c.id).where(table.c.prefix == prefix)).first() is not None


def note_use(connection: Connection, prefix: str, at_most_every: dt.timedelta) -> None:
    """Write down that a key was used just now, unless that was written a moment ago."""
    stamp = now(connection)
    stale = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= stamp - at_most_every)
    connection.execute(update(table).where(table.c.prefix == prefix, stale).values(last_used_at=stamp))


def _key_row(row: Row[Any], stamp: dt.datetime) -> KeyRow:
    return KeyRow(
        prefix=row.prefix,
        digest=row.digest,
        name=row.name,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        read_at=stamp,
    )
