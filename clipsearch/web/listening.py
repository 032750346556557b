"""Binds the port that is listened on, and lets the process open as many files as that takes."""

from __future__ import annotations

import os
import socket

from clipsearch.errors import ConfigError

# Twice the connections and some more: each may hold a spooled upload, and the database has files of its own.
FILES = 4_096
# Connections that the system holds until they are taken.
LINE = 1_024


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on this address. Raises ConfigError."""
    # Here and not in waitress, which would leave forty threads behind where it fails.
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(LINE)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"the server cannot listen on {host} port {port}: {reason}") from error
    return listening


def allow_files() -> None:
    """Raise the limit of open files where it is too low and may be raised."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
