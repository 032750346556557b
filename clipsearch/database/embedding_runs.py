"""Runs that embed what is stored by a further model, as rows; knows when one is alive.

Such a run takes no lease, so that indexing and removing never wait for it. It says from time to time that it lives,
and is taken for dead when its word is older than it promised, or at once when it was a process of this host that is
no more.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, select, update

from clipsearch.database.clock import now
from clipsearch.database.collection_models import locked_collection
from clipsearch.database.engine import Database
from clipsearch.database.runs import GONE, finish_run, lives_here, note_progress, this_process
from clipsearch.database.schema import run as table
from clipsearch.errors import AlreadyRunning, Busy, ClipSearchError, RunNotFound

log = logging.getLogger(__name__)

# Of the images that a run could not embed, so many are kept with it.
NAMED_FAILURES = 1_000


def start_embedding(connection: Connection, run_id: int, seconds: float) -> None:
    """The run is at work now, and counts as alive for ``seconds`` without a word.

    Raises AlreadyRunning where another is at work on the same collection and model; RunNotFound.
    """
    row = connection.execute(select(table.c.collection_id, table.c.model_name).where(table.c.id == run_id)).first()
    if row is None:
        raise RunNotFound(f"there is no run {run_id}")
    locked_collection(connection, row.collection_id)  # two that start at once are two in a row
    _end_dead(connection, row.collection_id, row.model_name)
    check_alone(connection, row.collection_id, row.model_name)
    stamp = now(connection)
    values = {"state": "running", "holder": this_process(), "started_at": stamp, "finished_at": None, "error": None}
    values |= {"expires_at": stamp + dt.timedelta(seconds=seconds)}
    connection.execute(update(table).where(table.c.id == run_id).values(values))


def check_alone(connection: Connection, collection_id: int, model_name: str) -> None:
    """Raises AlreadyRunning where a run is at work on this collection and model."""
    other = live_embedding(connection, collection_id, model_name)
    if other is not None:
        raise AlreadyRunning(
            f"run {other} embeds this collection by {model_name} already; wait until it is done, or cancel it",
            run=other,
        )


def live_embedding(connection: Connection, collection_id: int, model_name: str) -> int | None:
    """The run that is at work on this collection and model, or None."""
    return next((number for number, alive in _running(connection, collection_id, model_name) if alive), None)


def _end_dead(connection: Connection, collection_id: int, model_name: str) -> None:
    for number, alive in _running(connection, collection_id, model_name):
        if not alive:
            finish_run(connection, number, "interrupted", GONE)


def _running(connection: Connection, collection_id: int, model_name: str) -> list[tuple[int, bool]]:
    """The runs that say that they are at work, and whether they are."""
    query = select(table.c.id, table.c.holder, table.c.expires_at).where(
        table.c.collection_id == collection_id,
        table.c.kind == "embed",
        table.c.model_name == model_name,
        table.c.state == "running",
    )
    stamp = now(connection)
    return [
        (row.id, row.expires_at is not None and row.expires_at > stamp and lives_here(row.holder) is not False)
        for row in connection.execute(query).all()
    ]


def crashed_at_once(connection: Connection, collection_id: int, model_name: str, run_id: int) -> bool:
    """Whether the last run before this one died before it had embedded anything, as of a file that ends a decoder."""
    query = (
        select(table.c.state, table.c.counts)
        .where(table.c.collection_id == collection_id, table.c.kind == "embed", table.c.model_name == model_name)
        .where(table.c.id < run_id)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return row is not None and row.state == "interrupted" and not row.counts.get("embedded")


def note_embedding(
    connection: Connection, run_id: int, done: int, total: int, counts: dict[str, int], seconds: float
) -> bool:
    """Keep how far the run has come, and that it lives; true when someone asked for it to stop."""
    keep_alive(connection, run_id, seconds)
    return note_progress(connection, run_id, done, total, counts)


def note_run_failures(connection: Connection, run_id: int, failures: Sequence[dict[str, str]]) -> None:
    """Keep which images could not be embedded, and why (uri, code, reason); the first NAMED_FAILURES of them."""
    connection.execute(update(table).where(table.c.id == run_id).values(failures=list(failures[:NAMED_FAILURES])))


def run_failures(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """What ``note_run_failures`` kept of this run."""
    return connection.execute(select(table.c.failures).where(table.c.id == run_id)).scalar_one_or_none() or []


def keep_alive(connection: Connection, run_id: int, seconds: float) -> None:
    """Say that the run lives, for another ``seconds``."""
    values = {"expires_at": now(connection) + dt.timedelta(seconds=seconds)}
    connection.execute(update(table).where(table.c.id == run_id, table.c.state == "running").values(values))


@contextmanager
def kept_alive(database: Database, run_id: int, seconds: float) -> Iterator[None]:
    """Start the run, and say from a thread that it lives while the block runs. Raises as ``start_embedding``."""
    with database.write() as connection:
        start_embedding(connection, run_id, seconds)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(database, run_id, seconds, done), name="embedding", daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()


def _beat(database: Database, run_id: int, seconds: float, done: threading.Event) -> None:
    while not done.wait(seconds / 3):
        try:
            with database.write() as connection:
                keep_alive(connection, run_id, seconds)
        except Busy:
            continue
        except ClipSearchError as error:
            log.warning("it could not be noted that run %d lives: %s", run_id, error.message)
        except Exception:
            log.exception("it could not be noted that run %d lives", run_id)
