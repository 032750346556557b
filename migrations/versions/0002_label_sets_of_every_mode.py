"""Label sets of every mode, with examples, thresholds and a history; tags, and what people decided of them.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEPT = {"sqlite_autoincrement": True}
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Widen label sets, and make the tables of examples, versions, tags and reviews."""
    # SQLite cannot change a constraint: the table is made anew there.
    with op.batch_alter_table("label_set", recreate="auto", table_kwargs=KEPT) as batch:
        batch.drop_constraint(op.f("ck_label_set_mode_known"), type_="check")
        batch.add_column(sa.Column("aggregate", sa.String(length=16), nullable=False, server_default="mean_embedding"))
        batch.add_column(sa.Column("background", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("min_score", sa.Float(precision=53), nullable=True))
        batch.add_column(sa.Column("min_probability", sa.Float(precision=53), nullable=True))
        batch.add_column(sa.Column("min_margin", sa.Float(precision=53), nullable=True))
        batch.create_check_constraint(op.f("ck_label_set_mode_known"), "mode IN ('single', 'multi', 'binary')")
        batch.create_check_constraint(
            op.f("ck_label_set_aggregate_known"), "aggregate IN ('mean_embedding', 'max', 'sum_probability')"
        )
    with op.batch_alter_table("label", table_kwargs=KEPT) as batch:
        batch.add_column(sa.Column("negatives", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("category", sa.Text(), nullable=True))
        batch.add_column(sa.Column("words_weight", sa.Float(precision=53), nullable=True))
        batch.add_column(sa.Column("min_score", sa.Float(precision=53), nullable=True))
        batch.add_column(sa.Column("min_probability", sa.Float(precision=53), nullable=True))
    _examples()
    _tags()
    _reviews()
    _free_names()
    _standing_versions()


def _free_names() -> None:
    """Rename sets whose name now means one that comes with clipsearch."""
    connection = op.get_bind()
    names = {row.id: row.name for row in connection.execute(sa.text("SELECT id, name FROM label_set ORDER BY id"))}
    taken = set(names.values())
    for number, name in names.items():
        if name.startswith("builtin:"):
            free = wanted = "builtin-" + name.removeprefix("builtin:")
            count = 1
            while free in taken:
                count += 1
                free = f"{wanted}-{count}"
            taken.add(free)
            connection.execute(
                sa.text("UPDATE label_set SET name = :free WHERE id = :id"), {"free": free, "id": number}
            )


def _standing_versions() -> None:
    """Begin the history of every set with the version that stands."""
    connection = op.get_bind()
    sets = sa.table("label_set", *map(sa.column, ("id", "version", "updated_at")), sa.column("templates", sa.JSON()))
    labels = sa.table("label", *map(sa.column, ("label_set_id", "position", "name")), sa.column("prompts", sa.JSON()))
    versions = sa.table(
        "label_set_version", *map(sa.column, ("label_set_id", "version", "made_at")), sa.column("definition", sa.JSON())
    )
    # The time as the database writes it: it is passed on, not understood.
    for row in connection.execute(sa.select(sets).order_by(sets.c.id)).all():
        trees = []
        of_set = sa.select(labels).where(labels.c.label_set_id == row.id).order_by(labels.c.position)
        for label in connection.execute(of_set):
            trees.append({"name": label.name, **({"prompts": label.prompts} if label.prompts else {})})
        tree = {"labels": trees, **({"templates": row.templates} if row.templates else {})}
        values = {"label_set_id": row.id, "version": row.version, "definition": tree, "made_at": row.updated_at}
        connection.execute(versions.insert().values(**values))


def _examples() -> None:
    op.create_table(
        "label_example",
        sa.Column("label_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"], name=op.f("fk_label_example_label_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("label_id", "position", name=op.f("pk_label_example")),
    )
    op.create_table(
        "example_embedding",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("model_id", ID, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_example_embedding_model_id")),
        sa.PrimaryKeyConstraint("digest", "model_id", name=op.f("pk_example_embedding")),
    )
    op.create_table(
        "label_set_version",
        sa.Column("label_set_id", ID, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["label_set_id"], ["label_set.id"], name=op.f("fk_label_set_version_label_set_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("label_set_id", "version", name=op.f("pk_label_set_version")),
    )


def _tags() -> None:
    op.create_table(
        "tagging",
        sa.Column("id", ID, nullable=False),
        sa.Column("collection_id", ID, nullable=False),
        sa.Column("label_set_id", ID, nullable=False),
        sa.Column("model_id", ID, nullable=False),
        sa.Column("label_set_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("top", sa.Integer(), nullable=False),
        sa.Column("automatic", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("automatic IN (0, 1)", name=op.f("ck_tagging_automatic_boolean")),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name=op.f("fk_tagging_collection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["label_set_id"], ["label_set.id"], name=op.f("fk_tagging_label_set_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_tagging_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tagging")),
        sa.UniqueConstraint("collection_id", "label_set_id", name=op.f("uq_tagging_collection_id_label_set_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tag",
        sa.Column("tagging_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=False),
        sa.Column("probability", sa.Float(precision=53), nullable=False),
        sa.Column("margin", sa.Float(precision=53), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_tag_image_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tagging_id"], ["tagging.id"], name=op.f("fk_tag_tagging_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tagging_id", "image_id", "rank", name=op.f("pk_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_tag_tagging_id_position_probability"), "tag", ["tagging_id", "position", "probability"], unique=False
    )
    op.create_index(op.f("ix_tag_image_id"), "tag", ["image_id"], unique=False)


def _reviews() -> None:
    op.create_table(
        "review",
        sa.Column("label_set_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("label_set_version", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('accepted', 'corrected', 'skipped')", name=op.f("ck_review_verdict_known")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_review_image_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["label_set_id"], ["label_set.id"], name=op.f("fk_review_label_set_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("label_set_id", "image_id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_image_id"), "review", ["image_id"], unique=False)
    op.create_table(
        "review_label",
        sa.Column("label_set_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["label_set_id", "image_id"],
            ["review.label_set_id", "review.image_id"],
            name=op.f("fk_review_label_label_set_id_image_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("label_set_id", "image_id", "label", name=op.f("pk_review_label")),
    )


def downgrade() -> None:
    """Drop what was made; sets of another mode than single go with it."""
    for table in (
        "review_label",
        "review",
        "tag",
        "tagging",
        "label_set_version",
        "example_embedding",
        "label_example",
    ):
        op.drop_table(table)
    op.execute("DELETE FROM label_set WHERE mode <> 'single'")
    with op.batch_alter_table("label", table_kwargs=KEPT) as batch:
        for column in ("negatives", "category", "words_weight", "min_score", "min_probability"):
            batch.drop_column(column)
    with op.batch_alter_table("label_set", table_kwargs=KEPT) as batch:
        batch.drop_constraint(op.f("ck_label_set_mode_known"), type_="check")
        batch.drop_constraint(op.f("ck_label_set_aggregate_known"), type_="check")
        for column in ("aggregate", "background", "min_score", "min_probability", "min_margin"):
            batch.drop_column(column)
        batch.create_check_constraint(op.f("ck_label_set_mode_known"), "mode IN ('single')")
