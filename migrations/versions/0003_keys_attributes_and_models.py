"""API keys, answers to repeated writes, attributes of images, and further models of a collection.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables of access and of further models, and widen images and runs."""
    op.add_column("image", sa.Column("attributes", sa.JSON(), nullable=True))
    op.add_column("run", sa.Column("kind", sa.String(length=16), nullable=False, server_default="index"))
    op.add_column("run", sa.Column("model_name", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("expires_at", TIME, nullable=True))
    op.add_column("run", sa.Column("failures", sa.JSON(), nullable=True))
    op.create_table(
        "collection_model",
        sa.Column("collection_id", ID, nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name=op.f("fk_collection_model_collection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("collection_id", "model_name", name=op.f("pk_collection_model")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", ID, nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency",
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("holder", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)


def downgrade() -> None:
    """Drop what was made; runs of another kind than indexing go with it."""
    for table in ("idempotency", "api_key", "collection_model"):
        op.drop_table(table)
    op.execute("DELETE FROM run WHERE kind <> 'index'")
    op.drop_column("run", "failures")
    op.drop_column("run", "expires_at")
    op.drop_column("run", "model_name")
    op.drop_column("run", "kind")
    op.drop_column("image", "attributes")
