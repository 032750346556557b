"""The time by which rows are stamped; knows that several hosts share one database server's clock."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Connection, func, select


def now(connection: Connection) -> dt.datetime:
    """Aware UTC: the server's clock where the database is a server, so that leases compare between hosts."""
    if connection.dialect.name == "postgresql":
        stamp: dt.datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return stamp.astimezone(dt.UTC)
    return dt.datetime.now(dt.UTC)
