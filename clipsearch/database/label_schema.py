"""The tables of label sets, and of what they say of images: tags, and people's decisions."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from clipsearch.database.columns import Id, UtcDateTime, metadata

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
