"""Runs the migrations on the connection that ``clipsearch.database.migrating`` opened, in its transaction."""

from __future__ import annotations

from alembic import context

from clipsearch.database.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: clipsearch db upgrade")

context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
# The caller's transaction is the one that counts: all the steps, or none.
context.run_migrations()
