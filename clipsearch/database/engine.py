"""Opens the database and hands out transactions; knows what SQLite and PostgreSQL each need to be safe.

Readers and writers have connections of their own. A SQLite writer takes its lock when it begins, so that two
writers queue instead of failing half-way, and it alone moves the write-ahead log into the database file
(SQLite before 3.51.3 can damage a file when two connections do so at once).
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from clipsearch.errors import Busy, ClipSearchError, ConfigError, InvalidInput, StorageFull

PAGE_SIZE = 16_384
BUSY_SECONDS = 30.0
_BUSY = "the database is busy with another writer; try again"
_STORAGE_FULL = "53100"
_TOO_LONG = "54000"
# A unique row that another transaction brought first; a serialization failure, a deadlock; a lock that is held.
_COLLISIONS = ("23505", "40", "55P03")
# The connection is lost, the server is stopping or starting, takes no more connections, or has no memory for it now.
_UNAVAILABLE = ("08", "57P0", "53300", "53200")


class Database:
    """Connections to one database: ``read()`` for a consistent view, ``write()`` for a transaction.

    ``where`` is a SQLite file or an SQLAlchemy URL. Raises ConfigError for a URL that cannot be used.
    """

    def __init__(self, where: str | Path) -> None:
        # A path is no text to put into a URL: a ? in a folder's name would begin the options there.
        self.url: URL = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else _parse(where)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _make_folder(self.url)
        self._writer = _make_engine(self.url, writes=True)
        self._reader = _make_engine(self.url, writes=False) if self.is_sqlite else self._writer

    @property
    def safe_url(self) -> str:
        """The URL with its password masked, for logs and people."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The database's file; None where it is a server or memory."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of what is committed. Raises Busy, StorageFull, ConfigError for the database's own."""
        with _translated(), self._reader.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises. Raises as ``read``."""
        with _translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """As ``write``, for changes of the schema: a table that is made anew takes no rows of other tables with it.

        On SQLite references are looked at when the block ends, and one that leads nowhere rolls all back.
        """
        if not self.is_sqlite:
            with self.write() as connection:
                yield connection
            return
        with _translated(), self._writer.connect() as connection:
            raw = connection.connection
            # Outside of a transaction: within one SQLite passes over it. To drop a table deletes its rows first, and
            # with them, by their references, what hangs on them.
            raw.cursor().execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                    if broken:
                        raise ConfigError(f"the change of the schema would leave {len(broken)} rows that refer to "
                                          "nothing, and was not made; run: clipsearch doctor")  # fmt: skip
            finally:
                raw.cursor().execute("PRAGMA foreign_keys=ON")

    @property
    def writer_engine(self) -> Engine:
        """The engine behind ``write``, for migrations and backups."""
        return self._writer

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()
        self._reader.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise ConfigError(f"the database URL cannot be used: {type(error).__name__}; "
                          "use sqlite:///path or postgresql://user:password@host/name") from error  # fmt: skip
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(f"{parsed.get_backend_name()} is not supported; use SQLite or PostgreSQL")
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ConfigError("SQLite in memory cannot be shared by threads and processes; name a file")
    return parsed


def _make_folder(url: URL) -> None:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} for the database cannot be made: {error.strerror}") from error


def _make_engine(url: URL, *, writes: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            pool_size=8,
            max_overflow=64,  # a server's threads and a run's decoders each read for a moment
        )
        _prepare_sqlite(engine, writes=writes)
        return engine
    try:
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    except ModuleNotFoundError as error:
        raise ConfigError("PostgreSQL needs a driver: pip install -e '.[postgres]' in the clone") from error


def _prepare_sqlite(engine: Engine, *, writes: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, and DDL takes part in the transaction
        cursor = connection.cursor()
        if writes:
            cursor.execute(f"PRAGMA page_size={PAGE_SIZE}")
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA busy_timeout=0")  # _begin_writing waits, and more fairly
        else:
            cursor.execute("PRAGMA query_only=ON")
            cursor.execute("PRAGMA wal_autocheckpoint=0")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if writes:
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Take the writer's lock. Raises Busy after BUSY_SECONDS.

    SQLite's own waiting sleeps longer and longer, up to 0.1 s, while those who just wrote are back at once: of
    eight busy processes some starve. Short naps of random length give everyone the same chance.
    """
    cursor = connection.connection.cursor()
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise (translate_sqlite(error) or error) from error
            if time.monotonic() > deadline:
                raise Busy(_BUSY, retry_after=1.0) from error
            time.sleep(random.uniform(0.001, 0.01))  # noqa: S311  no secret hangs on it
        else:
            cursor.close()
            return


@contextmanager
def _translated() -> Iterator[None]:
    """The database's own errors as ours; SQL never reaches a person."""
    try:
        yield
    except DatabaseError as error:
        raise _translate(error) from error
    except UnicodeEncodeError as error:
        raise InvalidInput("a name or text holds half of a surrogate pair, which no database can keep") from error
    except PoolTimeout as error:
        raise Busy("too many queries at once; try again", retry_after=1.0) from error


def _translate(error: DatabaseError) -> ClipSearchError | DatabaseError:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return translate_sqlite(cause) or error
    sqlstate = getattr(cause, "sqlstate", None) or ""
    if sqlstate == _STORAGE_FULL:
        return StorageFull("the database server has no space left; nothing of this batch was written")
    if sqlstate.startswith(_COLLISIONS):
        return Busy("another process made a change of the same thing at this moment; try again", retry_after=0.5)
    if sqlstate.startswith(_UNAVAILABLE) or (not sqlstate and isinstance(error, OperationalError)):
        return Busy("the database server cannot be reached or broke off; try again", retry_after=2.0)
    if sqlstate == _TOO_LONG:
        return InvalidInput(f"a name or text is too long for the database: {_first_line(cause)}")
    if isinstance(error, DataError):
        return InvalidInput(f"the database cannot keep one of the values: {_first_line(cause)}")
    return error


def _first_line(cause: BaseException | None) -> str:
    # What follows may quote the statement.
    return str(cause).partition("\n")[0]


def translate_sqlite(cause: sqlite3.Error) -> ClipSearchError | None:
    """SQLite's error as one of ours; None for one that only a bug can raise."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Busy(_BUSY, retry_after=1.0)
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("the disk that holds the database is full; nothing of this batch was written")
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return ConfigError("the database file is damaged or is no SQLite database; restore it from a backup "
                           "(clipsearch restore), or name another data folder")  # fmt: skip
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return ConfigError(f"the database file cannot be written: {cause}")
    if code == sqlite3.SQLITE_IOERR:
        return StorageFull(f"the disk that holds the database failed: {cause}; nothing of this batch was written")
    return None
