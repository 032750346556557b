"""The tables, as SQLAlchemy sees them; knows the name of every column and constraint.

Times are UTC. Vectors are unit length, little-endian float16. ``revision`` counts the committed changes of one
collection; each has a row in ``revision`` with a random token, by which an index can prove that it belongs to
this history and not to one that was replaced from a backup.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

# The migration that makes these tables; a test holds it against Alembic's head.
SCHEMA_REVISION = "0002"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only counts ids up by itself for a column that is declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[dt.datetime]):
    """Aware UTC datetimes on every database, though SQLite keeps none of the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """UTC, without the zone where the database has none."""
        if value is None:
            return None
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """The same instant, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


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

label_set = Table(
    "label_set",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("templates", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("aggregate", String(16), nullable=False, server_default="mean_embedding"),
    Column("background", JSON, nullable=False, server_default="[]"),
    Column("min_score", Float(53)),
    Column("min_probability", Float(53)),
    Column("min_margin", Float(53)),
    CheckConstraint("mode IN ('single', 'multi', 'binary')", name="mode_known"),
    CheckConstraint("aggregate IN ('mean_embedding', 'max', 'sum_probability')", name="aggregate_known"),
    sqlite_autoincrement=True,
)

label = Table(
    "label",
    metadata,
    Column("id", Id, primary_key=True),
    Column("label_set_id", Id, ForeignKey("label_set.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("prompts", JSON, nullable=False),
    Column("negatives", JSON, nullable=False, server_default="[]"),
    Column("category", Text),
    Column("words_weight", Float(53)),
    Column("min_score", Float(53)),
    Column("min_probability", Float(53)),
    UniqueConstraint("label_set_id", "position"),
    sqlite_autoincrement=True,
)

# Images that stand for a label beside its words, by the SHA-256 of their file, or of the embedding that was imported.
label_example = Table(
    "label_example",
    metadata,
    Column("label_id", Id, ForeignKey("label.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("uri", Text, nullable=False),
)

# What models made of such images, shared by every label that uses them; it outlives the image in its collection.
example_embedding = Table(
    "example_embedding",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("model_id", Id, ForeignKey("model.id"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)

# Every version of a set as it was written down, to look at and to go back to.
label_set_version = Table(
    "label_set_version",
    metadata,
    Column("label_set_id", Id, ForeignKey("label_set.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
)

# A label set that is applied to a collection. ``digest`` is that of what the scores were made of, thresholds left
# out: its tags hold as long as the set has the same one, whatever its version.
tagging = Table(
    "tagging",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
    Column("label_set_id", Id, ForeignKey("label_set.id", ondelete="CASCADE"), nullable=False),
    Column("model_id", Id, ForeignKey("model.id"), nullable=False),
    Column("label_set_version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("top", Integer, nullable=False),
    Column("automatic", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("automatic IN (0, 1)", name="automatic_boolean"),
    UniqueConstraint("collection_id", "label_set_id"),
    sqlite_autoincrement=True,
)

# The best labels of an image by a tagging, 1 the best; ``position`` is the label's in its set, -1 the background.
# ``revision`` is the image's when it was tagged: a younger image has to be tagged anew.
tag = Table(
    "tag",
    metadata,
    Column("tagging_id", Id, ForeignKey("tagging.id", ondelete="CASCADE"), primary_key=True),
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False),
    Column("score", Float(53), nullable=False),
    Column("probability", Float(53), nullable=False),
    Column("margin", Float(53), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index(None, "tagging_id", "position", "probability"),
    Index(None, "image_id"),
    sqlite_with_rowid=False,
)

# What a person decided of an image under a label set, and with which labels; it stays when the set changes.
review = Table(
    "review",
    metadata,
    Column("label_set_id", Id, ForeignKey("label_set.id", ondelete="CASCADE"), primary_key=True),
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("verdict", String(16), nullable=False),
    Column("label_set_version", Integer, nullable=False),
    Column("content_hash", String(64)),
    Column("decided_at", UtcDateTime, nullable=False),
    CheckConstraint("verdict IN ('accepted', 'corrected', 'skipped')", name="verdict_known"),
    Index(None, "image_id"),
)

review_label = Table(
    "review_label",
    metadata,
    Column("label_set_id", Id, primary_key=True),
    Column("image_id", Id, primary_key=True),
    Column("label", Text, primary_key=True),
    ForeignKeyConstraint(["label_set_id", "image_id"], ["review.label_set_id", "review.image_id"], ondelete="CASCADE"),
)

# Embeddings that came with a label set, one a label; they stand before what the model would make of its words.
label_embedding = Table(
    "label_embedding",
    metadata,
    Column("label_id", Id, ForeignKey("label.id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", Id, ForeignKey("model.id"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)

# What the model made of words, shared by every label set that uses them.
prompt_embedding = Table(
    "prompt_embedding",
    metadata,
    Column("id", Id, primary_key=True),
    Column("model_id", Id, ForeignKey("model.id"), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("template", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    UniqueConstraint("model_id", "digest"),
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", Id, ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
    Column("source", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("holder", Text),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("counts", JSON, nullable=False),
    Column("cancel_wanted", Integer, nullable=False),
    Column("error", Text),
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
