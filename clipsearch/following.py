"""Follow runs and what failed: list, show, ask to stop, and close those whose process is gone."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.answers import FailedFile, FailureInfo, RunInfo
from clipsearch.database import failures as failure_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.embedding_runs import run_failures as embedding_run_failures
from clipsearch.database.runs import RunRow
from clipsearch.library import Library


def list_failures(library: Library, *, collection: str | None = None) -> list[FailureInfo]:
    """The files of the collection that could not be indexed, by uri."""
    return failures_page(library, collection=collection)[0]


def failures_page(
    library: Library, *, collection: str | None = None, offset: int = 0, limit: int | None = None
) -> tuple[list[FailureInfo], int]:
    """Up to ``limit`` of the collection's failures, by uri, and how many there are."""
    row = library.collection(collection)
    with library.database.read() as connection:
        rows = failure_rows.list_failures(connection, row.id, offset=offset, limit=limit)
        total = len(rows) if limit is None and not offset else failure_rows.count_failures(connection, row.id)
    names = set(FailureInfo.model_fields)
    return [FailureInfo(**{name: value for name, value in vars(one).items() if name in names}) for one in rows], total


def show_run(library: Library, run_id: int) -> RunInfo:
    """How far a run has come, or how it ended. Raises RunNotFound."""
    with library.database.read() as connection:
        return run_info(run_rows.get_run(connection, run_id))


def list_runs(
    library: Library,
    *,
    limit: int = 100,
    collection: str | None = None,
    states: Sequence[str] | None = None,
    kind: str | None = None,
) -> list[RunInfo]:
    """The newest first; of one collection, in these states, of one kind ("index", "embed") where they are given.

    Raises CollectionNotFound.
    """
    number = None if collection is None else library.collection(collection).id
    with library.database.read() as connection:
        return [run_info(row) for row in run_rows.list_runs(connection, number, limit, states=states, kind=kind)]


def run_failures(library: Library, run_id: int) -> list[FailedFile]:
    """The files that could not be indexed, or not be embedded, when this run was the last to try: of an embedding the
    first thousand. Raises RunNotFound."""
    return run_failures_page(library, run_id)[0]


def run_failures_page(
    library: Library, run_id: int, *, offset: int = 0, limit: int | None = None
) -> tuple[list[FailedFile], int]:
    """Up to ``limit`` of what ``run_failures`` gives, and how many there are. Raises RunNotFound."""
    with library.database.read() as connection:
        if run_rows.get_run(connection, run_id).kind == "embed":
            kept = embedding_run_failures(connection, run_id)
            part = kept[offset : None if limit is None else offset + limit]
            return [FailedFile(**one) for one in part], len(kept)
        rows = failure_rows.failures_of_run(connection, run_id, offset=offset, limit=limit)
        total = failure_rows.count_failures_of_run(connection, run_id)
    return [FailedFile(uri=one.uri, code=one.code, reason=one.reason) for one in rows], total


def cancel_run(library: Library, run_id: int) -> RunInfo:
    """Ask a run to stop after its batch. Raises RunNotFound."""
    with library.database.write() as connection:
        return run_info(run_rows.ask_to_cancel(connection, run_id))


def close_orphaned_runs(library: Library) -> int:
    """Mark runs as interrupted that no process works on any more; says how many. For the start of a server."""
    with library.database.write() as connection:
        return run_rows.interrupt_orphans(connection)


def interrupt_run(library: Library, run_id: int) -> None:
    """Say of a run that was asked to stop because its process ends that it was interrupted."""
    with library.database.write() as connection:
        run_rows.finish_run(connection, run_id, "interrupted", "the server was stopped; start the run again")


def fail_run(library: Library, run_id: int, reason: str) -> None:
    """Say of a run that it ended before it began."""
    with library.database.write() as connection:
        run_rows.finish_run(connection, run_id, "failed", reason)


def run_info(row: RunRow) -> RunInfo:
    """What is said of a run on every door."""
    names = set(RunInfo.model_fields)
    return RunInfo(model=row.model_name, **{name: value for name, value in vars(row).items() if name in names})
