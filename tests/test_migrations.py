"""The schema: what the migrations make is what the tables say, whole or not at all, and no other is served."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from worker_processes import Workers

from clipsearch.config import Settings
from clipsearch.database import Database, migrating
from clipsearch.database.collections import create_collection, get_collection
from clipsearch.database.label_sets import get_label_set, label_set_versions
from clipsearch.database.migrating import (
    UPGRADE_COMMAND,
    check_schema,
    current_revision,
    downgrade,
    newest_revision,
    upgrade,
)
from clipsearch.database.schema import metadata
from clipsearch.errors import ConfigError, SchemaMismatch
from clipsearch.library import Library

NEXT_STEP = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "0003"


def upgrade():
    op.create_table("album", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("collection", sa.Column("note", sa.Text()))
    op.execute("UPDATE collection SET name = name || '!'")
    {last}


def downgrade():
    op.drop_table("album")
    op.drop_column("collection", "note")
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'clipsearch.db'}"
    make: Callable[[], str] = request.getfixturevalue("new_postgres_database")
    return make()


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.close()


@pytest.fixture
def database(empty: Database) -> Database:
    """One at this version's schema, for this test alone."""
    upgrade(empty)
    return empty


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this the software of a later version, whose migration ends with the given line."""
    folder = tmp_path / "later" / "migrations"
    shutil.copytree(migrating._folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))

    def release(last: str) -> None:
        (folder / "versions" / "9999_next.py").write_text(NEXT_STEP.format(last=last))
        monkeypatch.setattr(migrating, "_folder", lambda: folder)
        monkeypatch.setattr(migrating, "SCHEMA_REVISION", "9999")

    return release


def shape(engine: Engine) -> dict[str, Any]:
    """Everything that can be seen of the tables, in an order of its own."""
    inspector = inspect(engine)
    found: dict[str, Any] = {}
    for table in sorted(set(inspector.get_table_names()) - {"alembic_version"}):
        found[table] = {
            "columns": [
                (one["name"], str(one["type"]), one["nullable"], one["default"])
                for one in sorted(inspector.get_columns(table), key=lambda one: one["name"])
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(repr, inspector.get_foreign_keys(table))),
            "unique": sorted(map(repr, inspector.get_unique_constraints(table))),
            "checks": sorted((one["name"], one["sqltext"]) for one in inspector.get_check_constraints(table)),
            "indexes": sorted(map(repr, inspector.get_indexes(table))),
        }
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                query = text("SELECT sql FROM sqlite_master WHERE name = :name")
                found[table]["counts up"] = "AUTOINCREMENT" in connection.execute(query, {"name": table}).scalar_one()
    return found


def test_the_migrations_make_exactly_the_tables_that_the_schema_declares(empty: Database, tmp_path: Path) -> None:
    upgrade(empty)
    migrated = shape(empty.writer_engine)
    if empty.is_sqlite:
        declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    else:
        downgrade(empty, "base")
        declared = empty.writer_engine
    metadata.create_all(declared)
    assert set(migrated) == set(metadata.tables)
    assert migrated == shape(declared)
    declared.dispose()


def test_upgrading_going_back_and_upgrading_again_ends_at_the_same_schema(empty: Database) -> None:
    assert upgrade(empty) == (None, newest_revision())
    first = shape(empty.writer_engine)
    downgrade(empty, "base")
    assert shape(empty.writer_engine) == {}
    assert current_revision(empty) is None
    upgrade(empty)
    assert shape(empty.writer_engine) == first
    assert current_revision(empty) == newest_revision()


def test_the_last_migration_is_the_schema_that_the_software_asks_for() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(migrating._config()).get_current_head() == newest_revision()


def test_upgrading_what_is_up_to_date_changes_nothing(database: Database) -> None:
    before = shape(database.writer_engine)
    assert upgrade(database) == (newest_revision(), newest_revision())
    assert shape(database.writer_engine) == before


def test_a_database_without_tables_is_refused_with_the_command(empty: Database) -> None:
    with pytest.raises(SchemaMismatch, match=f"no schema yet; run: {UPGRADE_COMMAND}"):
        check_schema(empty)


def test_an_older_schema_is_refused_with_the_command(database: Database, next_version: Callable[[str], None]) -> None:
    next_version("pass")
    with pytest.raises(SchemaMismatch, match=f"0003 is older than 9999.*run: {UPGRADE_COMMAND}"):
        check_schema(database)


def test_a_newer_schema_is_refused_by_check_and_by_upgrade(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match=r"9999 is newer than .*pip install --upgrade"):
        check_schema(database)
    with pytest.raises(SchemaMismatch, match="9999 is newer"):
        upgrade(database)
    assert current_revision(database) == "9999"


def test_a_server_opens_no_embedded_library_of_an_older_schema(
    tmp_path: Path, migrated_file: Path, next_version: Callable[[str], None]
) -> None:
    shutil.copyfile(migrated_file, tmp_path / "clipsearch.db")
    next_version("pass")
    with pytest.raises(SchemaMismatch, match=UPGRADE_COMMAND):
        Library.open(Settings(data_dir=tmp_path), may_upgrade=False)


def test_an_embedded_library_is_made_and_upgraded_on_first_use(
    tmp_path: Path, next_version: Callable[[str], None]
) -> None:
    with Library.open(Settings(data_dir=tmp_path)) as library, library.database.write() as connection:
        create_collection(connection, "holiday", "demo")
    next_version("pass")
    with Library.open(Settings(data_dir=tmp_path)) as library:
        assert current_revision(library.database) == "9999"
        assert library.collection("holiday!").name == "holiday!"
    # The old one is kept beside it, complete.
    with sqlite3.connect(tmp_path / "clipsearch.db.schema-0003.backup") as copy:
        assert copy.execute("SELECT name FROM collection").fetchall() == [("holiday",)]
    copy.close()


@pytest.mark.servers
def test_a_server_database_is_never_upgraded_by_opening_a_library(
    tmp_path: Path, new_postgres_database: Callable[[], str]
) -> None:
    url = new_postgres_database()
    with pytest.raises(SchemaMismatch, match=UPGRADE_COMMAND):
        Library.open(Settings(data_dir=tmp_path, database_url=url))
    database = Database(url)
    assert current_revision(database) is None
    database.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(
    database: Database, next_version: Callable[[str], None]
) -> None:
    with database.write() as connection:
        create_collection(connection, "holiday", "demo")
    before = shape(database.writer_engine)
    next_version("raise RuntimeError('no space for albums')")
    with pytest.raises(RuntimeError, match="no space for albums"):
        upgrade(database)
    assert shape(database.writer_engine) == before
    assert current_revision(database) == "0003"
    with database.read() as connection:
        assert get_collection(connection, "holiday").name == "holiday"
    next_version("pass")
    assert upgrade(database) == ("0003", "9999")
    assert "album" in shape(database.writer_engine)


def open_and_write(data_dir: str, number: int) -> None:
    """In a process of its own: what ``clipsearch index`` does first."""
    with Library.open(Settings(data_dir=Path(data_dir))) as library:
        library.create_collection(f"collection {number}", "demo")


def upgrade_and_write(url: str, number: int) -> None:
    """In a process of its own: ``clipsearch db upgrade``, and the first thing after it."""
    database = Database(url)
    upgrade(database)
    with database.write() as connection:
        create_collection(connection, f"collection {number}", "demo")
    database.close()


def test_eight_processes_may_make_one_library_at_once(tmp_path: Path, workers: Workers) -> None:
    started = [
        workers.run("test_migrations:open_and_write", tmp_path / f"{number}.txt", str(tmp_path / "data"), number)
        for number in range(8)
    ]
    workers.all_succeed(started)
    with Library.open(Settings(data_dir=tmp_path / "data")) as library:
        assert {library.collection(f"collection {number}").revision for number in range(8)} == {0}


@pytest.mark.servers
def test_eight_processes_may_upgrade_one_server_at_once(
    tmp_path: Path, workers: Workers, new_postgres_database: Callable[[], str]
) -> None:
    url = new_postgres_database()
    started = [
        workers.run("test_migrations:upgrade_and_write", tmp_path / f"{number}.txt", url, number) for number in range(8)
    ]
    workers.all_succeed(started)
    database = Database(url)
    with database.read() as connection:
        assert [get_collection(connection, f"collection {number}").name for number in range(8)]
    database.close()


def test_labels_and_what_hangs_on_them_survive_the_making_anew_of_their_sets(empty: Database) -> None:
    upgrade(empty, "0001")
    stamp = "2026-01-01 00:00:00"
    with empty.write() as connection:
        connection.execute(
            text("INSERT INTO label_set (name, version, mode, templates, created_at, updated_at)"
                 " VALUES ('pets', 3, 'single', '[\"a {}\"]', :now, :now)"),
            {"now": stamp},
        )  # fmt: skip
        for position, name in enumerate(("cat", "dog")):
            connection.execute(
                text("INSERT INTO label (label_set_id, position, name, prompts) SELECT id, :position, :name, '[\"x\"]'"
                     " FROM label_set"),
                {"position": position, "name": name},
            )  # fmt: skip
    upgrade(empty)
    with empty.read() as connection:
        found = get_label_set(connection, "pets")
    assert (found.version, found.mode, found.aggregate, found.background) == (3, "single", "mean_embedding", ())
    assert [(label.name, label.prompts, label.examples) for label in found.labels] == [
        ("cat", ("x",), ()),
        ("dog", ("x",), ()),
    ]
    downgrade(empty, "0001")
    with empty.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM label")).scalar_one() == 2


def test_older_sets_begin_their_history_and_leave_the_names_of_built_in_ones(empty: Database) -> None:
    upgrade(empty, "0001")
    with empty.write() as connection:
        for name in ("builtin-mine", "builtin:mine", "builtin:other"):
            connection.execute(
                text("INSERT INTO label_set (name, version, mode, templates, created_at, updated_at)"
                     " VALUES (:name, 3, 'single', '[\"a {}\"]', '2026-01-01 00:00:00', '2026-02-03 04:05:06')"),
                {"name": name},
            )  # fmt: skip
        connection.execute(text("INSERT INTO label (label_set_id, position, name, prompts)"
                                " SELECT id, 0, 'cat', '[\"x\"]' FROM label_set"))  # fmt: skip
    upgrade(empty)
    with empty.read() as connection:
        names = connection.execute(text("SELECT name FROM label_set ORDER BY id")).scalars().all()
        assert names == ["builtin-mine", "builtin-mine-2", "builtin-other"]
        for name in names:
            found = get_label_set(connection, name)
            (version,) = label_set_versions(connection, found)
            assert (version.version, version.made_at) == (3, found.updated_at)
            assert version.definition.as_tree() == {
                "labels": [{"name": "cat", "prompts": ["x"]}],
                "templates": ["a {}"],
            }


def test_a_step_that_would_leave_rows_without_what_they_refer_to_is_not_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'clipsearch.db'}")
    upgrade(database)
    with pytest.raises(ConfigError, match="1 rows that refer to nothing"), database.rebuild() as connection:
        connection.execute(text("INSERT INTO revision (collection_id, number, token, committed_at)"
                                " VALUES (77, 1, 'x', '2026-01-01')"))  # fmt: skip
    with database.write() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM revision")).scalar_one() == 0
    database.close()
