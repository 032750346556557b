"""The tables of who may ask, and of what was answered to writes that may be repeated."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from clipsearch.database.columns import Id, UtcDateTime, metadata

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    # What is shown of a key, and by which it is found; the digest is the SHA-256 of the whole key.
    Column("prefix", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    UniqueConstraint("prefix"),
    sqlite_autoincrement=True,
)

# The holder is a key's prefix, or says that there was none. Without a status the first request is still at work.
idempotency = Table(
    "idempotency",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)
