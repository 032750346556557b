"""Runs that the server was asked for: one thread works off each kind in order; knows which sources are allowed.

Embedding by a further model may take hours and takes no lease, so that it has a queue of its own beside indexing. What
is known of a job stands in the run's row, so that it outlives the process; here are only the queues. A job that waits
in the queue of a server that died is closed by the next server on that machine, when it starts.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path

from clipsearch.answers import RunInfo
from clipsearch.database.collections import CollectionRow
from clipsearch.errors import Busy, ClipSearchError, InvalidInput, NotAllowed, RunNotFound
from clipsearch.following import cancel_run, fail_run, interrupt_run, show_run
from clipsearch.images import absolute, find_images
from clipsearch.indexing import IndexingOptions, index_source, queue_run
from clipsearch.library import Library
from clipsearch.switching import add_model, queue_embedding
from clipsearch.tagging import refresh_tags

log = logging.getLogger(__name__)

WAITING_JOBS = 16
REMEMBERED = 100


# The kinds of jobs, and what the thread of each is called.
THREADS = {"index": "jobs", "embed": "embedding jobs"}


@dataclass(frozen=True)
class _Job:
    run_id: int
    collection: CollectionRow
    source: Path
    options: IndexingOptions
    kind = "index"


@dataclass(frozen=True)
class _EmbeddingJob:
    run_id: int
    collection: CollectionRow
    model: str
    kind = "embed"


class Jobs:
    """A queue for each kind, and its thread, which starts with the first job."""

    def __init__(self, library: Library) -> None:
        self._library = library
        # One lock for all of these, so that a job is always either waiting, at work or done.
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[_Job | _EmbeddingJob]] = {kind: deque() for kind in THREADS}
        self._current: dict[str, _Job | _EmbeddingJob] = {}
        self._stopping = False
        self._threads: dict[str, threading.Thread] = {}
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
            self._check_room("index")
            row, is_new = self._library.ensure_collection(collection)
            if is_new:
                self._made.add(row.id)
            run_id = queue_run(self._library, row, path)
            run = show_run(self._library, run_id)
            self._put(_Job(run_id, row, path, options))
        return run

    def submit_embedding(self, collection: str, model: str) -> RunInfo:
        """Queue the embedding of a collection by a further model; a job that waits for the same is given again.

        Raises CollectionNotFound, ModelNotFound, Conflict, Busy.
        """
        with self._changed:
            row, name = self._library.collection(collection), self._library.model_name(model)
            for job in self._waiting["embed"]:
                if isinstance(job, _EmbeddingJob) and (job.collection.id, job.model) == (row.id, name):
                    return show_run(self._library, job.run_id)
            self._check_room("embed")
            run_id = queue_embedding(self._library, collection, name)
            run = show_run(self._library, run_id)
            self._put(_EmbeddingJob(run_id, row, name))
        return run

    def _check_room(self, kind: str) -> None:
        if len(self._waiting[kind]) >= WAITING_JOBS or self._stopping:
            raise Busy(f"{WAITING_JOBS} jobs are waiting already; try again when one is done", retry_after=30.0)

    def _put(self, job: _Job | _EmbeddingJob) -> None:
        self._waiting[job.kind].append(job)
        self._changed.notify_all()
        if job.kind not in self._threads:
            thread = threading.Thread(target=self._work, args=(job.kind,), name=THREADS[job.kind], daemon=True)
            self._threads[job.kind] = thread
            thread.start()

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
        """Ask what is at work to stop after its batch, wait for that, and say of the rest that it was interrupted."""
        with self._changed:
            self._stopping = True
            current = list(self._current.values())
            waiting = [job for queue in self._waiting.values() for job in queue]
            for queue in self._waiting.values():
                queue.clear()
            self._changed.notify_all()
        for job in current:
            try:
                cancel_run(self._library, job.run_id)
            except RunNotFound:
                log.info("run %d went away with its collection", job.run_id)
        until = time.monotonic() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, until - time.monotonic()))
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

    def _work(self, kind: str) -> None:
        while (job := self._next(kind)) is not None:
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
                    self._current.pop(kind, None)

    def _next(self, kind: str) -> _Job | _EmbeddingJob | None:
        """The next job, which is at work from the moment it leaves the queue; None when the server stops."""
        with self._changed:
            while not self._waiting[kind] and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            self._current[kind] = self._waiting[kind].popleft()
            return self._current[kind]

    def _run(self, job: _Job | _EmbeddingJob) -> None:
        run = show_run(self._library, job.run_id)
        if run.state != "cancelled":
            if isinstance(job, _EmbeddingJob):
                self._embed(job, run.collection)
            else:
                self._index(job, run.collection)
        if self._stopping and self._state(job) == "cancelled":
            interrupt_run(self._library, job.run_id)

    def _embed(self, job: _EmbeddingJob, collection: str) -> None:
        try:
            add_model(self._library, job.model, collection=collection, run_id=job.run_id)
        except ClipSearchError as error:
            if self._state(job) == "queued":  # it was not begun, and nobody else will say so
                fail_run(self._library, job.run_id, error.message)
            raise

    def _index(self, job: _Job, collection: str) -> None:
        try:
            self._allowed(os.fspath(job.source))  # it may have waited long, and links change
        except ClipSearchError as error:
            fail_run(self._library, job.run_id, error.message)
            raise
        index_source(self._library, job.source, collection=collection, options=job.options, run_id=job.run_id)
        if not self._stopping:  # what is not tagged now is tagged after the next run
            refresh_tags(self._library, collection, on_progress=self._go_on)

    def _go_on(self, *_counts: int) -> None:
        if self._stopping:
            raise Busy("the server is stopping; the rest is tagged after the next run")

    def _state(self, job: _Job | _EmbeddingJob) -> str | None:
        try:
            return show_run(self._library, job.run_id).state
        except RunNotFound:
            return None

    def _take_back(self, job: _Job | _EmbeddingJob) -> None:
        """Take an empty collection away again that was made for this job or one before, unless others wait for it."""
        with self._changed:
            waiting = {one.collection.id for queue in self._waiting.values() for one in queue}
            if job.collection.id not in self._made or job.collection.id in waiting:
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
