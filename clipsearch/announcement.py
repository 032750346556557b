"""The file in the data folder by which a running server is found; alone knows its form and when it is believed.

It holds no secret. It is believed when it belongs to this user, nobody else may write it, and it names a living
process of this machine, the same version, the same database and an address that only this machine reaches. That
the process at the address is the one that wrote the file is told by each of its answers, in the header ``HEADER``.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "server.json"
HEADER = "X-Clipsearch-Server"
_LARGEST = 10_000

# What psycopg reads where a URL leaves it out, and so part of which database the URL means.
_POSTGRES_NAMES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE")


@dataclass(frozen=True)
class Announcement:
    """A server that can answer: where, which process, which library, and how it was told to run its model."""

    host: str
    port: int
    pid: int
    machine: str
    identity: str
    version: str
    database: str
    device: str
    dtype: str


def new_announcement(host: str, port: int, *, database: str, device: str, dtype: str) -> Announcement:
    """The announcement of this process, with an identity that no other has."""
    import secrets

    from clipsearch import __version__

    return Announcement(
        host=host,
        port=port,
        pid=os.getpid(),
        machine=_machine(),
        identity=secrets.token_hex(16),
        version=__version__,
        database=database,
        device=device,
        dtype=dtype,
    )


def publish(folder: Path, announcement: Announcement) -> None:
    """Put the announcement into the data folder, in the place of any other. Raises OSError."""
    import secrets

    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{FILE}.{secrets.token_hex(4)}.tmp"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(announcement), file)
        os.replace(aside, folder / FILE)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def withdraw(folder: Path, announcement: Announcement) -> None:
    """Take the announcement away, unless another server's stands in its place."""
    if _read(folder / FILE) != announcement:
        return
    import secrets

    aside = folder / f"{FILE}.{secrets.token_hex(4)}.tmp"
    with suppress(OSError):
        os.rename(folder / FILE, aside)
        try:
            if _read(aside) != announcement:  # another server was announced since: back, unless a third one was
                os.link(aside, folder / FILE)
        finally:
            aside.unlink()


def stands(folder: Path) -> bool:
    """Whether any announcement is there, whosever it is. Costs one look at the folder."""
    return os.path.lexists(folder / FILE)


def announced_server(folder: Path, database: str | None) -> Announcement | None:
    """The server that may be asked about this database; None where there is none.

    What a process of this machine left behind that is no more is taken away.
    """
    from clipsearch import __version__

    found = _read(folder / FILE)
    if found is None or found.machine != _machine():
        return None
    if _is_gone(found.pid):
        withdraw(folder, found)
        return None
    fits = (found.version, found.database) == (__version__, database) and is_loopback_address(found.host)
    return found if fits else None


def database_identity(data_dir: Path, database_url: str | None) -> str | None:
    """What tells this database from others on this machine; None where there is none yet.

    A file is known by its place on its disk: a database that was put in its stead is another one. A URL is known
    by all that it says but the password.
    """
    if database_url is None or database_url.startswith("sqlite"):
        place = data_dir / "clipsearch.db" if database_url is None else _file_of(database_url)
        try:
            status = os.stat(place)
        except (OSError, ValueError):
            return None
        return f"file {status.st_dev}:{status.st_ino}"
    from hashlib import sha256
    from urllib.parse import parse_qsl, urlsplit

    try:
        parts = urlsplit(database_url)
        options = sorted(pair for pair in parse_qsl(parts.query) if pair[0] != "password")
    except ValueError:
        return None
    user, _, server = parts.netloc.rpartition("@")
    around = [(name, os.environ.get(name)) for name in _POSTGRES_NAMES]
    meant = [parts.scheme, user.partition(":")[0], server, parts.path, options, around]
    return f"url {sha256(json.dumps(meant).encode()).hexdigest()}"


def is_loopback_address(host: str) -> bool:
    """Whether this is the number of an address that only this machine reaches; names are not looked up."""
    return host == "::1" or (host.startswith("127.") and host.replace(".", "").isdecimal())


def _file_of(url: str) -> str:
    # As SQLAlchemy reads it: three slashes, then the path, which may be relative.
    return url.partition("?")[0].partition(":///")[2]


def _machine() -> str:
    import socket

    return socket.gethostname()


def _is_gone(pid: int) -> bool:
    if os.name != "posix" or pid <= 0:  # elsewhere signal 0 is none, and would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _read(path: Path) -> Announcement | None:
    try:
        # No waiting where someone put a pipe there, and no way through a link.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    try:
        if not _is_ours(os.fstat(descriptor)):
            return None
        values = json.loads(os.read(descriptor, _LARGEST))
        kinds = {name: type(value).__name__ for name, value in values.items()}
        fitting = kinds == {name: field.type for name, field in Announcement.__dataclass_fields__.items()}
        return Announcement(**values) if fitting else None
    except (ValueError, RecursionError, AttributeError, OSError):
        return None
    finally:
        os.close(descriptor)


def _is_ours(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        return False
    if os.name != "posix":  # the folder of a user is their own there
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
