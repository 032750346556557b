"""A copy of a library's database while it is in use, and the way back; knows SQLite's own backup.

Index files are left out: they come back from rows. A server's database is backed up with the server's tools.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from clipsearch.database.engine import Database, translate_sqlite
from clipsearch.errors import AlreadyExists, InvalidInput, NotFound, StorageFull


def back_up(database: Database, target: Path, *, replace: bool = False) -> int:
    """Write one consistent copy to ``target``, checked and complete or not at all; gives its size in bytes.

    Raises AlreadyExists, InvalidInput (for a database on a server, too), StorageFull.
    """
    if database.path is None:
        raise InvalidInput("this library's database is a server; back it up with pg_dump")
    if target.exists() and not replace:
        raise AlreadyExists(f"{target} exists already; choose another name, or replace it with --replace")
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent} for the backup")
    with _aside(target) as aside:
        with closing(sqlite3.connect(database.path)) as source, closing(sqlite3.connect(aside)) as copy:
            source.execute("PRAGMA query_only=ON")
            source.execute("PRAGMA wal_autocheckpoint=0")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        _check(aside)
        _sync(aside)
        os.replace(aside, target)
        _sync(target.parent)
    return target.stat().st_size


def restore(backup: Path, database_path: Path, *, replace: bool = False) -> None:
    """Put a backup in the place of the library's database, whole or not at all.

    Raises NotFound, InvalidInput for a file that is no library, AlreadyExists where there is a library already.
    """
    if not backup.is_file():
        raise NotFound(f"there is no backup {backup}")
    if database_path.exists() and not replace:
        raise AlreadyExists(f"{database_path} holds a library already; replace it with --replace")
    _check(backup)
    with _aside(database_path) as aside:
        database_path.parent.mkdir(parents=True, exist_ok=True)
        original = sqlite3.connect(f"file:{_quoted(backup)}?mode=ro", uri=True)
        with closing(original) as source, closing(sqlite3.connect(aside)) as copy:
            source.backup(copy)
        _check(aside)
        _clear_damaged(database_path)
        # Through SQLite and not by renaming: a process that has the library open sees the change, not a dead file.
        with (
            closing(sqlite3.connect(aside)) as source,
            closing(sqlite3.connect(database_path, timeout=10.0)) as place,
        ):
            source.backup(place)
            place.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A name beside ``target`` to write to first; what goes wrong comes out as one of our errors."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield aside
    except sqlite3.Error as error:
        raise (translate_sqlite(error) or InvalidInput(f"{target} cannot be written: {error}")) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"the disk that is to hold {target} is full; nothing was changed") from error
        raise InvalidInput(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _clear_damaged(path: Path) -> None:
    """Move a file that SQLite cannot even open out of the way; it is kept, for whoever can still read it."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(path.with_name(f"{path.name}.damaged{suffix}"))


def _check(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True)) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{path} is no SQLite database: {error}") from error
    if verdict != "ok":
        raise InvalidInput(f"{path} is damaged: {verdict}")
    if not {"alembic_version", "collection", "image"} <= tables:
        raise InvalidInput(f"{path} is no library of clipsearch")


def _quoted(path: Path) -> str:
    return path.absolute().as_uri().removeprefix("file://")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
