"""The database: the only truth about collections, images, embeddings, label sets, runs and failures.

Callers open a transaction with ``Database.read()`` or ``Database.write()`` and hand its connection to the
functions of this room; no other room says SQL.
"""

from __future__ import annotations

from sqlalchemy import Connection

from clipsearch.database.engine import Database

__all__ = ["Connection", "Database"]
