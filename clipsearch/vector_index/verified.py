"""Remembers across processes which file was read whole and found to have its checksum; knows when to look again.

A file is told by its inode, size and times. The time of its last change of any sort (ctime) is among them, which no
program can set: a file that was changed in place and given its old modification time back is read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path

NAME = "verified.json"

# A file changed within the clock tick of its checking would keep its times: younger ones are not remembered.
RACY_SECONDS = 2.0
_LARGEST = 4_096  # bytes; a note has two hundred

Identity = tuple[int, int, int, int, int]

_seen: dict[Identity, str] = {}  # for folders that cannot be written to
_lock = threading.Lock()


def identity_of(status: os.stat_result) -> Identity:
    """What tells one state of one file from every other."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def known(folder: Path, identity: Identity, sha256: str) -> bool:
    """Whether this state of a file in ``folder`` was found to have this checksum."""
    with _lock:
        if _seen.get(identity) == sha256:
            return True
    try:
        with open(folder / NAME, "rb") as file:
            noted = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(noted == _note(identity, sha256))


def remember(folder: Path, identity: Identity, sha256: str) -> None:
    """Note that this state of a file was found to have this checksum, unless the file is too young to be told."""
    if time.time() - max(identity[3], identity[4]) / 1e9 <= RACY_SECONDS:
        return
    with _lock:
        _seen[identity] = sha256
    aside = folder / f"{NAME}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        aside.write_text(json.dumps(_note(identity, sha256)), encoding="ascii")
        os.replace(aside, folder / NAME)
    except OSError:  # the next process reads the file whole once more
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _note(identity: Identity, sha256: str) -> dict[str, object]:
    return {"file": list(identity), "sha256": sha256}
