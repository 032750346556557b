"""Runs as rows; knows the states of a run."""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from clipsearch.database.clock import now
from clipsearch.database.engine import Database
from clipsearch.database.failures import storable
from clipsearch.database.leases import find_lease, is_dead
from clipsearch.database.schema import collection as collection_table
from clipsearch.database.schema import run as table
from clipsearch.database.schema import source as source_table
from clipsearch.database.upsert import upsert_into
from clipsearch.errors import ClipSearchError, RunNotFound

log = logging.getLogger(__name__)

UNFINISHED = ("queued", "running")
GONE = "the process that worked on it is gone"

_WAITS = re.compile(r"process (?P<pid>\d+) on (?P<host>.+), started (?P<started>[\d.]+)")


@dataclass(frozen=True)
class RunRow:
    """One run: over a source, or of the kind "embed" by a further model, and then ``source`` is empty."""

    id: int
    collection: str
    kind: str
    model_name: str | None
    source: str
    state: str
    holder: str | None
    done: int
    total: int | None
    counts: dict[str, int]
    cancel_wanted: bool
    error: str | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


def create_run(
    connection: Connection, collection_id: int, source: str, *, kind: str = "index", model_name: str | None = None
) -> int:
    """The id of a new run that waits for its turn in this process, which is its holder until it starts."""
    values = {"collection_id": collection_id, "kind": kind, "model_name": model_name, "source": source,
              "state": "queued", "holder": this_process(), "done": 0, "counts": {}, "cancel_wanted": 0,
              "created_at": now(connection)}  # fmt: skip
    return int(connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one())


def this_process() -> str:
    """What a run's holder is called that is this process."""
    host, pid = socket.gethostname(), os.getpid()
    return f"process {pid} on {host}, started {psutil.Process(pid).create_time():.2f}"


def start_run(connection: Connection, run_id: int, holder: str) -> None:
    """The run is at work now. Whatever indexing of its collection seemed to run is over: this one holds the lease."""
    collection_id = select(table.c.collection_id).where(table.c.id == run_id).scalar_subquery()
    connection.execute(
        update(table)
        .where(table.c.collection_id == collection_id, table.c.state == "running", table.c.id != run_id)
        .where(table.c.kind == "index")
        .values(state="interrupted", finished_at=now(connection))
    )
    connection.execute(
        update(table)
        .where(table.c.id == run_id)
        .values(state="running", holder=holder, started_at=now(connection), finished_at=None, error=None)
    )


def note_progress(connection: Connection, run_id: int, done: int, total: int | None, counts: dict[str, int]) -> bool:
    """Keep how far the run has come; true when someone asked for it to stop."""
    wanted = connection.execute(
        update(table)
        .where(table.c.id == run_id)
        .values(done=done, total=total, counts=counts)
        .returning(table.c.cancel_wanted)
    ).scalar_one_or_none()
    return bool(wanted)


def finish_run(connection: Connection, run_id: int, state: str, error: str | None = None) -> None:
    """The run ended as ``state`` says."""
    connection.execute(
        update(table)
        .where(table.c.id == run_id)
        .values(state=state, error=None if error is None else storable(error), finished_at=now(connection))
    )


def end_run(database: Database, run_id: int, state: str, error: str | None = None) -> None:
    """Note the end of a run in a transaction of its own; where that fails it is logged, and nothing raised."""
    try:
        with database.write() as connection:
            finish_run(connection, run_id, state, error)
    except ClipSearchError as second:  # a full disk, say: the run's own error is the one to be heard
        log.warning("the end of run %d could not be noted: %s", run_id, second)


def state_after(error: BaseException) -> str:
    """The state in which an error leaves a run: what is no Exception is a wish to stop."""
    return "failed" if isinstance(error, Exception) else "interrupted"


def ask_to_cancel(connection: Connection, run_id: int) -> RunRow:
    """Ask a run to stop after its batch; one that waits is over at once. Raises RunNotFound."""
    row = get_run(connection, run_id)
    if row.state == "queued":
        finish_run(connection, run_id, "cancelled")
    connection.execute(update(table).where(table.c.id == run_id).values(cancel_wanted=1))
    return get_run(connection, row.id)


def interrupt_orphans(connection: Connection) -> int:
    """End the unfinished runs whose process is gone; says how many there were.

    A run is at work as long as its holder has the collection's lease; an embedding, as long as it says so. One that
    waits is alive as long as the process that it waits in; of a process on another machine nothing can be known, and
    its run is left as it is while anybody holds the lease, and ended else. If it lives after all, it is picked up
    when its turn comes.
    """
    names = ("id", "collection_id", "kind", "model_name", "state", "holder", "expires_at")
    unfinished = connection.execute(
        select(*(table.c[name] for name in names), collection_table.c.name)
        .join(collection_table, collection_table.c.id == table.c.collection_id)
        .where(table.c.state.in_(UNFINISHED))
    )
    orphans = {}
    for row in unfinished.all():
        lease = find_lease(connection, row.collection_id)
        if row.state == "queued":
            alive = lives_here(row.holder)
            gone = lease is None if alive is None else not alive
        elif row.kind == "embed":
            silent = row.expires_at is None or row.expires_at <= now(connection)
            gone = silent or lives_here(row.holder) is False
        else:
            gone = lease is None or row.holder != lease.holder
        if gone:
            orphans[row.id] = _gone(row.model_name, row.name) if row.kind == "embed" else GONE
    for run_id, words in orphans.items():
        finish_run(connection, run_id, "interrupted", words)
    return len(orphans)


def _gone(model_name: str, collection: str) -> str:
    """What an embedding is told to have ended by: no folder is indexed again that would bring the rest."""
    again = f"clipsearch models add {shlex.quote(model_name)} -c {shlex.quote(collection)}"
    return f"{GONE}; what it embedded is kept, and the rest comes by: {again}"


def lives_here(holder: str | None) -> bool | None:
    """Whether the process that a run waits in, or embeds in, is alive; None where that cannot be known."""
    found = _WAITS.fullmatch(holder or "")
    if found is None or found["host"] != socket.gethostname():
        return None
    return not is_dead(found["host"], int(found["pid"]), float(found["started"]))


def get_run(connection: Connection, run_id: int) -> RunRow:
    """Raises RunNotFound."""
    for row in _select_runs(connection, table.c.id == run_id, limit=1):
        return row
    raise RunNotFound(f"there is no run {run_id}")


def list_runs(
    connection: Connection,
    collection_id: int | None = None,
    limit: int = 100,
    *,
    states: Sequence[str] | None = None,
    kind: str | None = None,
) -> list[RunRow]:
    """The newest first; of one collection, in one of these states and of one kind where they are given."""
    wanted = [table.c.id > 0]
    wanted += [table.c.collection_id == collection_id] if collection_id is not None else []
    wanted += [table.c.state.in_(states)] if states else []
    wanted += [table.c.kind == kind] if kind is not None else []
    return _select_runs(connection, and_(*wanted), limit=limit)


def count_runs(connection: Connection) -> dict[str, int]:
    """How many runs there are in each state; states without a run are left out."""
    query = select(table.c.state, func.count()).group_by(table.c.state)
    return {state: int(count) for state, count in connection.execute(query)}


def _select_runs(connection: Connection, wanted: ColumnElement[bool], limit: int) -> list[RunRow]:
    names = [name for name in RunRow.__dataclass_fields__ if name != "collection"]
    query = (
        select(collection_table.c.name.label("collection"), *(table.c[name] for name in names))
        .join(collection_table, collection_table.c.id == table.c.collection_id)
        .where(wanted)
        .order_by(table.c.id.desc())
        .limit(limit)
    )
    return [RunRow(**{**row._mapping, "cancel_wanted": bool(row.cancel_wanted)}) for row in connection.execute(query)]


def note_source(connection: Connection, collection_id: int, uri: str, images: int) -> None:
    """Keep how many images a source held when it was last indexed."""
    upsert = upsert_into(connection, source_table).values(
        collection_id=collection_id, uri=uri, images=images, indexed_at=now(connection)
    )
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["collection_id", "uri"],
            set_={"images": upsert.excluded.images, "indexed_at": upsert.excluded.indexed_at},
        )
    )


def list_sources(connection: Connection, collection_id: int) -> list[str]:
    """The folders and files that were indexed into the collection."""
    query = select(source_table.c.uri).where(source_table.c.collection_id == collection_id)
    return list(connection.execute(query.order_by(source_table.c.uri)).scalars())
