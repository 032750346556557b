"""The tables, as SQLAlchemy sees them; knows the name of every column and constraint.

Times are UTC. Vectors are unit length, little-endian float16. ``revision`` counts the committed changes of one
collection; each has a row in ``revision`` with a random token, by which an index can prove that it belongs to
this history and not to one that was replaced from a backup.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from clipsearch.database.access_schema import api_key, idempotency
from clipsearch.database.columns import Id, UtcDateTime, metadata
from clipsearch.database.label_schema import (
    example_embedding,
    label,
    label_embedding,
    label_example,
    label_set,
    label_set_version,
    prompt_embedding,
    review,
    review_label,
    tag,
    tagging,
)

__all__ = [
    "SCHEMA_REVISION",
    "Id",
    "UtcDateTime",
    "api_key",
    "collection",
    "collection_model",
    "embedding",
    "example_embedding",
    "failure",
    "idempotency",
    "image",
    "label",
    "label_embedding",
    "label_example",
    "label_set",
    "label_set_version",
    "lease",
    "metadata",
    "model",
    "prompt_embedding",
    "review",
    "review_label",
    "revision",
    "run",
    "source",
    "tag",
    "tagging",
]

# The migration that makes these tables; a test holds it against Alembic's head.
SCHEMA_REVISION = "0003"

model = Table(
    "model",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("fingerprint", String(64)),
    Column("dimension", Integer, nullable=False),
    Column("logit_scale", Float(53), nullable=False),
    Column("logit_bias", Float(53), nullable=False),
    Column("scoring", String(16), nullable=False),
    Column("context_length", Integer),
    Column("image_size", Integer),
    Column("preprocessing", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("dimension > 0", name="dimension_positive"),
    CheckConstraint("scoring IN ('softmax', 'sigmoid')", name="scoring_known"),
)

collection = Table(
    "collection",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # The model as named; its row is there from the first embedding on.
    Column("model_name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # Ids are never given twice, so that a file of an old index cannot meet a new collection of its number.
    sqlite_autoincrement=True,
)

# Models that images are embedded with beside the one that answers, so that it can be switched.
collection_model = Table(
    "collection_model",
    metadata,
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
    Column("model_name", Text, primary_key=True),
    Column("added_at", UtcDateTime, nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("token", String(32), nullable=False),
    Column("run_id", Id),
    Column("committed_at", UtcDateTime, nullable=False),
)

image = Table(
    "image",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
    Column("uri", Text, nullable=False),
    Column("content_hash", String(64)),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("width", Integer),
    Column("height", Integer),
    Column("format", String(32)),
    # What the camera's clock said (EXIF), kept as if it were UTC: cameras seldom know their zone.
    Column("taken_at", UtcDateTime),
    Column("modified_at", UtcDateTime),
    Column("pixel_hash", BigInteger),
    # What its owner says of it: names with texts, numbers, truth values or lists of them.
    Column("attributes", JSON(none_as_null=True)),
    # A gone image keeps its row: the index learns of it by the revision, and a file that returns is recognised.
    Column("gone", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("indexed_at", UtcDateTime, nullable=False),
    CheckConstraint("gone IN (0, 1)", name="gone_boolean"),
    UniqueConstraint("collection_id", "uri"),
    Index(None, "collection_id", "revision"),
    Index(None, "content_hash"),
    sqlite_autoincrement=True,
)

embedding = Table(
    "embedding",
    metadata,
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", Id, ForeignKey("model.id"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
    Column("norm", Float(53)),
    Column("dtype", String(16)),
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
    # index: a source is brought in; embed: what is stored gets embeddings by another model.
    Column("kind", String(16), nullable=False, server_default="index"),
    Column("model_name", Text),
    Column("source", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("holder", Text),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("counts", JSON, nullable=False),
    Column("cancel_wanted", Integer, nullable=False),
    Column("error", Text),
    # Of an embedding, which takes no lease: until when it counts as alive, and what it could not embed (the first).
    Column("expires_at", UtcDateTime),
    Column("failures", JSON(none_as_null=True)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')", name="state_known"),
    Index(None, "collection_id"),
    sqlite_autoincrement=True,
)

# Folders and files that were indexed, and how many images each held then.
source = Table(
    "source",
    metadata,
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
    Column("uri", Text, primary_key=True),
    Column("images", BigInteger, nullable=False),
    Column("indexed_at", UtcDateTime, nullable=False),
)

failure = Table(
    "failure",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
    Column("uri", Text, nullable=False),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("run_id", Id),
    Column("first_failed_at", UtcDateTime, nullable=False),
    Column("last_failed_at", UtcDateTime, nullable=False),
    UniqueConstraint("collection_id", "uri"),
)

lease = Table(
    "lease",
    metadata,
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("holder", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("acquired_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
