"""Holds a lease while a block runs: renews it from a thread of its own, and gives it back at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clipsearch.database.engine import Database
from clipsearch.database.leases import Lease, acquire_lease, release_lease, renew_lease
from clipsearch.errors import AlreadyRunning, Busy, ClipSearchError, LeaseLost

log = logging.getLogger(__name__)

_AGAIN = 0.1


@contextmanager
def held_lease(
    database: Database, collection_id: int, purpose: str, seconds: float, *, wait_seconds: float = 0.0
) -> Iterator[Lease]:
    """The lease of this collection for as long as the block runs. Raises AlreadyRunning where another holds it, and
    for longer than ``wait_seconds``.

    Losing it stops nothing here: the next transaction that renews it raises LeaseLost and is not committed.
    """
    lease = _acquired(database, collection_id, purpose, seconds, time.monotonic() + wait_seconds)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(database, lease, seconds, done), name="lease", daemon=True)
    beat.start()
    try:
        yield lease
    finally:
        done.set()
        beat.join()
        try:
            with database.write() as connection:
                release_lease(connection, lease)
        except ClipSearchError as error:  # it will expire by itself; the block's own error must not be hidden
            log.warning("the lease could not be given back: %s", error)


def _acquired(database: Database, collection_id: int, purpose: str, seconds: float, end: float) -> Lease:
    while True:
        try:
            with database.write() as connection:
                return acquire_lease(connection, collection_id, purpose, seconds)
        except AlreadyRunning:
            if time.monotonic() >= end:
                raise
        time.sleep(_AGAIN)


def _beat(database: Database, lease: Lease, seconds: float, done: threading.Event) -> None:
    while not done.wait(seconds / 3):
        try:
            with database.write() as connection:
                renew_lease(connection, lease, seconds)
        except LeaseLost:
            return
        except Busy:
            continue
        except Exception:
            log.exception("the lease could not be renewed")
