"""Indexing runs that the server was asked for: one thread works them off in order; knows which sources are allowed.

What is known of a job stands in the run's row, so that it outlives the process; here is only the queue. A job that
waits in the queue of a server that died is closed by the next server on that machine, when it starts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path

from clipsearch.answers import RunInfo
from clipsearch.browsing import cancel_run, fail_run, interrupt_run, show_run
from clipsearch.database.collections import CollectionRow
from clipsearch.errors import Busy, ClipSearchError, InvalidInput, NotAllowed, RunNotFound
from clipsearch.images import absolute, find_images
from clipsearch.indexing import IndexingOptions, index_source, queue_run
from clipsearch.library import Library
from clipsearch.tagging import refresh_tags

log = logging.getLogger(__name__)

WAITING_JOBS = 16
REMEMBERED = 100


@dataclass(frozen=True)
class _Job:
    run_id: int
    collection: CollectionRow
    source: Path
    options: IndexingOptions


class Jobs:
    """The queue and its thread, which starts with the first job."""

    def __init__(self, library: Library) -> None:
        self._library = library
        # One lock for all of these, so that a job is always either waiting, at work or done.
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._current: _Job | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._made: set[int] = set()
        self._taken_back: OrderedDict[int, RunInfo] = OrderedDict()

    def submit(self, collection: str, source: str, options: IndexingOptions) -> RunInfo:
        """Queue the indexing of a source under one of the roots; the collection is made if it is not there.

        Raises NotAllowed, SourceNotFound, Busy.
        """
        path = self._allowed(source)
        if not options.allow_empty:
            find_images(path)  # looks whether it is there, before a collection is made for it
        with self._changed:
            if len(self._waiting) >= WAITING_JOBS or self._stopping:
                raise Busy(f"{WAITING_JOBS} jobs are waiting already; try again when one is done", retry_after=30.0)
            row, is_new = self._library.ensure_collection(collection)
            if is_new:
                self._made.add(row.id)
            run_id = queue_run(self._library, row, path)
            run = show_run(self._library, run_id)
            self._waiting.append(_Job(run_id, row, path, options))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()
        return run

    def show(self, run_id: int) -> RunInfo:
        """The run, also of a job that failed and whose new, empty collection went with it. Raises RunNotFound."""
        try:
            return show_run(self._library, run_id)
        except RunNotFound:
            with self._changed:
                if run_id in self._taken_back:
                    return self._taken_back[run_id]
            raise

    def stop(self, seconds: float) -> None:
        """Ask the job at work to stop after its batch, wait for that, and say of the rest that it was interrupted."""
        with self._changed:
            self._stopping = True
            current, waiting = self._current, list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        try:
            if current is not None:
                cancel_run(self._library, current.run_id)
        except RunNotFound:
            log.info("run %d went away with its collection", current.run_id if current else 0)
        if self._thread is not None:
            self._thread.join(seconds)
        for job in waiting:
            if self._state(job) == "queued":
                interrupt_run(self._library, job.run_id)

    def _allowed(self, source: str) -> Path:
        """The source, as it will be read, if it lies under a root with every link followed."""
        settings = self._library.settings
        if not settings.roots:
            raise NotAllowed("the server may not index anything: name the folders in CLIPSEARCH_ROOTS")
        if "\0" in source or any("\ud800" <= character <= "\udfff" for character in source):
            raise InvalidInput("the source holds characters that no path can have")
        if not os.path.isabs(source):
            raise InvalidInput("the source must be an absolute path")
        # What is checked is what is read: no ".." is left that would mean one thing here and another to the system.
        path = absolute(source)
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(os.path.realpath(root)) for root in settings.roots):
            raise NotAllowed("the server may index the folders in CLIPSEARCH_ROOTS only")
        return Path(path)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._run(job)
            except RunNotFound:
                log.info("run %d went away with its collection", job.run_id)
            except ClipSearchError as error:
                log.warning("job %d: %s", job.run_id, error.message)
                self._take_back(job)
            except Exception:
                log.exception("job %d failed", job.run_id)
                self._take_back(job)
            finally:
                with self._changed:
                    self._current = None

    def _next(self) -> _Job | None:
        """The next job, which is at work from the moment it leaves the queue; None when the server stops."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            self._current = self._waiting.popleft()
            return self._current

    def _run(self, job: _Job) -> None:
        run = show_run(self._library, job.run_id)
        if run.state != "cancelled":
            try:
                self._allowed(os.fspath(job.source))  # it may have waited long, and links change
            except ClipSearchError as error:
                fail_run(self._library, job.run_id, error.message)
                raise
            index_source(self._library, job.source, collection=run.collection, options=job.options, run_id=job.run_id)
            if not self._stopping:  # what is not tagged now is tagged after the next run
                refresh_tags(self._library, run.collection, on_progress=self._go_on)
        if self._stopping and self._state(job) == "cancelled":
            interrupt_run(self._library, job.run_id)

    def _go_on(self, *_counts: int) -> None:
        if self._stopping:
            raise Busy("the server is stopping; the rest is tagged after the next run")

    def _state(self, job: _Job) -> str | None:
        try:
            return show_run(self._library, job.run_id).state
        except RunNotFound:
            return None

    def _take_back(self, job: _Job) -> None:
        """Take an empty collection away again that was made for this job or one before, unless others wait for it."""
        with self._changed:
            if job.collection.id not in self._made or any(one.collection.id == job.collection.id
                                                          for one in self._waiting):  # fmt: skip
                return
            try:
                run = show_run(self._library, job.run_id)
                with self._library.lease(job.collection, "taking back an empty collection"):
                    self._library.discard_if_empty(job.collection)
            except ClipSearchError as error:
                log.info("collection %s was not taken back: %s", job.collection.name, error.message)
                return
            self._made.discard(job.collection.id)
            self._taken_back[job.run_id] = run
            while len(self._taken_back) > REMEMBERED:
                self._taken_back.popitem(last=False)
