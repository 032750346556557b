"""Indexing runs that the server was asked for: one thread works them off in order; knows which sources are allowed.

What is known of a job stands in the run's row, so that it outlives the process; here is only the queue.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from clipsearch.answers import RunInfo
from clipsearch.browsing import cancel_run, interrupt_run, show_run
from clipsearch.errors import Busy, ClipSearchError, InvalidInput, NotAllowed, RunNotFound
from clipsearch.indexing import IndexingOptions, index_source, queue_run
from clipsearch.library import Library

log = logging.getLogger(__name__)

WAITING_JOBS = 16


@dataclass(frozen=True)
class _Job:
    run_id: int
    source: Path
    options: IndexingOptions


class Jobs:
    """The queue and its thread, which starts with the first job."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._queue: queue.Queue[_Job] = queue.Queue(WAITING_JOBS)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: int | None = None
        self._stopping = threading.Event()

    def submit(self, collection: str, source: str, options: IndexingOptions) -> RunInfo:
        """Queue the indexing of a source under one of the roots; the collection is made if it is not there.

        Raises NotAllowed, Busy.
        """
        path = self._allowed(source)
        with self._lock:
            if self._queue.full() or self._stopping.is_set():
                raise Busy(f"{WAITING_JOBS} jobs are waiting already; try again when one is done", retry_after=30.0)
            row, _ = self._library.ensure_collection(collection)
            run_id = queue_run(self._library, row, path)
            self._queue.put_nowait(_Job(run_id, path, options))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()
        return show_run(self._library, run_id)

    def stop(self, seconds: float) -> None:
        """Ask the job at work to stop after its batch, wait for that, and say of the rest that it was interrupted."""
        self._stopping.set()
        current = self._current
        if current is not None:
            cancel_run(self._library, current)
        if self._thread is not None:
            self._thread.join(seconds)
        while not self._queue.empty():
            interrupt_run(self._library, self._queue.get_nowait().run_id)

    def _allowed(self, source: str) -> Path:
        settings = self._library.settings
        if not settings.roots:
            raise NotAllowed("the server may not index anything: name the folders in CLIPSEARCH_ROOTS")
        if not os.path.isabs(source):
            raise InvalidInput("the source must be an absolute path")
        real = Path(os.path.realpath(source))
        if not any(real.is_relative_to(os.path.realpath(root)) for root in settings.roots):
            raise NotAllowed("the server may index the folders in CLIPSEARCH_ROOTS only")
        return Path(os.path.abspath(source))

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            self._current = job.run_id
            try:
                self._run(job)
            except RunNotFound:
                log.info("run %d went away with its collection", job.run_id)
            except ClipSearchError as error:
                log.warning("job %d: %s", job.run_id, error.message)
            except Exception:
                log.exception("job %d failed", job.run_id)
            finally:
                self._current = None

    def _run(self, job: _Job) -> None:
        run = show_run(self._library, job.run_id)
        if run.state == "cancelled":
            return
        index_source(self._library, job.source, collection=run.collection, options=job.options, run_id=job.run_id)
        if self._stopping.is_set() and show_run(self._library, job.run_id).state == "cancelled":
            interrupt_run(self._library, job.run_id)
