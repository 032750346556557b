"""Brings a database to the schema of this version; knows Alembic, the lock and where the migrations lie.

Alembic is imported when there is something to migrate: every other start reads one row.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
from sqlalchemy import Connection, inspect, text

from clipsearch.database.backup import back_up
from clipsearch.database.engine import Database
from clipsearch.database.schema import SCHEMA_REVISION
from clipsearch.errors import Busy, SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

UPGRADE_COMMAND = "clipsearch db upgrade"
LOCK_SECONDS = 60.0
# Any number that nothing else on the server locks: the first eight bytes of SHA-256("clipsearch"), halved.
_POSTGRES_LOCK = 0x1F0B6E7C2D9A4453 >> 1


def newest_revision() -> str:
    """The schema that this version of the software works with."""
    return SCHEMA_REVISION


def current_revision(database: Database) -> str | None:
    """The schema that the database stands at; None when it has none of our tables."""
    with database.read() as connection:
        return _current(connection)


def check_schema(database: Database) -> None:
    """Raises SchemaMismatch, naming the command, unless the database stands at this version's schema."""
    current, newest = current_revision(database), newest_revision()
    if current == newest:
        return
    if current is None:
        raise SchemaMismatch(f"the database {database.safe_url} has no schema yet; run: {UPGRADE_COMMAND}")
    if _knows(current):
        raise SchemaMismatch(
            f"the database's schema {current} is older than {newest}, which this version needs; run: {UPGRADE_COMMAND}"
        )
    raise SchemaMismatch(
        f"the database's schema {current} is newer than {newest}, the newest that this version knows; "
        "install a newer clipsearch (pip install --upgrade clipsearch)"
    )


def upgrade(database: Database, target: str = "head") -> tuple[str | None, str]:
    """Apply what is missing in one transaction; gives the schema before and after.

    Raises SchemaMismatch when the database is newer than this version, Busy when another upgrade takes too long.
    """
    with _upgrade_lock(database):
        _keep_copy(database)
        return _upgrade(database, target)


def _upgrade(database: Database, target: str) -> tuple[str | None, str]:
    with database.rebuild() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
        before = _current(connection)
        if before is not None and not _knows(before):
            raise SchemaMismatch(
                f"the database's schema {before} is newer than this version knows; install a newer clipsearch"
            )
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, target)
        return before, str(_current(connection))


def downgrade(database: Database, target: str) -> None:
    """Take steps back, for tests and for those who go back to an older version. Data of the newer schema is lost."""
    from alembic import command

    with _upgrade_lock(database), database.rebuild() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, target)


def _keep_copy(database: Database) -> None:
    """Copy an embedded library of an older schema aside: a step that goes wrong later can still be taken back."""
    if database.path is None or not database.path.exists():
        return
    current = current_revision(database)
    if current is not None and _knows(current) and current != newest_revision():
        back_up(database, database.path.with_name(f"{database.path.name}.schema-{current}.backup"), replace=True)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _folder() -> Path:
    return Path(str(importlib.resources.files("clipsearch.migrations")))


def _knows(schema: str) -> bool:
    from alembic.script import ScriptDirectory

    return schema in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


@contextmanager
def _upgrade_lock(database: Database) -> Iterator[None]:
    if database.path is None:
        yield
        return
    # The first connection turns on the write-ahead log, which two processes cannot do at once either.
    lock = filelock.FileLock(f"{database.path}.upgrade-lock", timeout=LOCK_SECONDS)
    try:
        with lock:
            yield
    except filelock.Timeout as error:
        raise Busy("another process is upgrading the database; try again", retry_after=5.0) from error
