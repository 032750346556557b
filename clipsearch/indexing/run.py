"""One run from the first look at the folder to the report; knows the order of its steps."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.ahead import ahead
from clipsearch.answers import IndexingReport
from clipsearch.database import failures as failure_rows
from clipsearch.database import images as image_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import content_known
from clipsearch.database.images import KnownFile
from clipsearch.database.leases import Lease
from clipsearch.errors import ClipSearchError, DecoderCrashed, ModelMismatch, ModelNotFound, ModelUnavailable, in_words
from clipsearch.images import FoundFile, absolute, uri_of
from clipsearch.indexing.committing import Cancelled, Committer
from clipsearch.indexing.decoding import Decoders, suspects_among
from clipsearch.indexing.encoding import Batches, EncodedBatch
from clipsearch.indexing.options import IndexingOptions
from clipsearch.indexing.planning import Plan, Scan, check_source, make_plan, scan_source, uri_prefixes
from clipsearch.indexing.previewing import preview
from clipsearch.indexing.reading import Reader
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

log = logging.getLogger(__name__)

# Decoded ahead of the batch that is gathered: enough that the model never waits for a slow file, and bounded, for
# large batches of large pictures.
WINDOW_BATCHES = 2
WINDOW_BYTES = 1_000_000_000
USUAL_BATCH = 32


@dataclass(frozen=True)
class Progress:
    """How far a run has come; ``total`` is None while files are still being looked for."""

    step: str
    done: int
    total: int | None
    encoded: int = 0
    failed: int = 0


OnProgress = Callable[[Progress], None]


def index_source(
    library: Library,
    source: Path,
    *,
    collection: str | None = None,
    options: IndexingOptions | None = None,
    on_progress: OnProgress = lambda _progress: None,
    run_id: int | None = None,
) -> IndexingReport:
    """Bring the collection in step with a folder or a single file.

    Raises SourceNotFound, EmptySource, AlreadyRunning, ModelUnavailable, ModelMismatch, StorageFull. What was
    committed before an error stays.
    """
    options = options or IndexingOptions()
    source = Path(absolute(os.path.expanduser(source)))
    started = time.monotonic()
    if options.dry_run:
        report = preview(library, source, collection, options)
        return report.model_copy(update={"seconds": _since(started)})
    on_progress(Progress("looking for images", 0, None))
    if run_id is None:
        # Before anything is written: a folder that is not there must leave no collection behind.
        check_source(source, allow_empty=options.allow_empty)
    row, is_new = library.ensure_collection(collection, options.model)
    run_id = run_id if run_id is not None else queue_run(library, row, source)
    try:
        with library.lease(row, f"indexing {uri_of(source)}") as lease, _taken_back(library, row, is_new):
            _mark_started(library, run_id, lease)
            # Under the lease: what another run brought a moment ago must not look gone.
            scan = scan_source(source, allow_empty=options.allow_empty)
            row = library.collection(row.name)
            run = _Run(library, row, scan, options, run_id, lease, on_progress)
            state = run.execute()
            run_rows.end_run(library.database, run_id, state)
    except BaseException as error:
        run_rows.end_run(library.database, run_id, run_rows.state_after(error), in_words(error))
        raise
    # Neither the lease nor the run's end waits for it: it may train for minutes, and fail or be interrupted.
    if run.changed:
        _keep_snapshot(library, row)
    report = run.report(run_id, state, _since(started))
    if not report.cancelled:
        library.keep_text_runtime(row.model_name)
    return report


@contextmanager
def _taken_back(library: Library, collection: CollectionRow, is_new: bool) -> Iterator[None]:
    """Take a collection back that was made for a run which could not get its model: the next try may name another,
    and an empty collection must not hold on to this one."""
    try:
        yield
    except (ModelUnavailable, ModelNotFound, ModelMismatch):
        if is_new:
            library.discard_if_empty(collection)
        raise


def _keep_snapshot(library: Library, collection: CollectionRow) -> None:
    try:
        library.keep_snapshot(collection)
    except Exception as error:  # everything is committed, and an index comes back from rows
        known = isinstance(error, ClipSearchError)
        log.warning("the index of %s could not be brought up to date: %s", collection.name, error, exc_info=not known)


def queue_run(library: Library, collection: CollectionRow, source: Path) -> int:
    """The id of a run that waits for its turn; hand it to ``index_source``."""
    with library.database.write() as connection:
        return run_rows.create_run(connection, collection.id, uri_of(source))


class _Run:
    """What one run knows; it lives as long as its lease."""

    def __init__(
        self,
        library: Library,
        collection: CollectionRow,
        scan: Scan,
        options: IndexingOptions,
        run_id: int,
        lease: Lease,
        on_progress: OnProgress,
    ) -> None:
        self._library = library
        self._collection = collection
        self._scan = scan
        self._options = options
        self._on_progress = on_progress
        self._encoder_lock = threading.Lock()
        self._encoder: Encoder | None = None
        self._run_id = run_id
        model = library.model_of(collection)
        self._known, self._plan = self._compare(model.id if model else None)
        self._committer = Committer(library, collection, run_id, lease, self._plan, self._known, model)

    @property
    def changed(self) -> bool:
        """Whether the collection stands at another revision than before."""
        return self._committer.revision != self._collection.revision

    def execute(self) -> str:
        """Do what the plan says; gives the state in which the run ended."""
        try:
            self._committer.begin(len(self._scan.files))
            if self._plan.to_read:
                self._read_and_encode()
            self._committer.finish(self._scan)
        except Cancelled:
            return "cancelled"
        return "done"

    def report(self, run_id: int, state: str, seconds: float) -> IndexingReport:
        """Every file in exactly one group."""
        return self._committer.groups.report(
            self._collection.name,
            uri_of(self._scan.source),
            self._collection.model_name,
            run_id=run_id,
            cancelled=state == "cancelled",
            revision=self._committer.revision,
            seconds=seconds,
        )

    def _compare(self, model_id: int | None) -> tuple[dict[str, KnownFile], Plan]:
        prefixes = uri_prefixes(self._scan.source)
        with self._library.database.read() as connection:
            known = image_rows.known_files(connection, self._collection.id, model_id, prefixes)
            failures = {row.uri: row for row in failure_rows.list_failures(connection, self._collection.id)}
        self._crashed_before = [row.uri for row in failures.values() if row.code == DecoderCrashed.code]
        return known, make_plan(
            self._scan,
            known,
            failures,
            retry_failed=self._options.retry_failed,
            allow_empty=self._options.allow_empty,
        )

    def _read_and_encode(self) -> None:
        journal = self._library.settings.data_dir / "decoding" / self._journal_name()
        suspects = suspects_among(self._plan.to_read, journal, self._crashed_before)
        self._decoders = Decoders(journal, suspects, self._library.settings.max_pixels)
        rest = [file for file in self._plan.to_read if file.uri not in suspects]
        done = False
        try:
            self._read_files([*suspects.values(), *rest])
            done = True
        finally:
            self._decoders.close(done=done)

    def _read_files(self, files: Sequence[FoundFile]) -> None:
        settings, committer = self._library.settings, self._committer
        reader = Reader(self._known, self._content_known, self._get_encoder, self._decoders)
        threads = settings.decode_processes or settings.decode_threads or os.cpu_count() or 1
        with (
            ThreadPoolExecutor(threads, thread_name_prefix="decode") as executor,
            Batches(lambda: self._encoder, lambda: self._batch_size, self._commit) as batches,
        ):
            for read in (reader.read, reader.read_again, reader.read_anyway):
                for reading in ahead(executor, read, files, self._window):
                    batches.take(reading)
                batches.flush()
                files = committer.take_unresolved()

    @property
    def _batch_size(self) -> int:
        return self._encoder.batch_size if self._encoder else USUAL_BATCH

    def _window(self) -> int:
        """How many files may wait decoded: two batches, or what fits in WINDOW_BYTES, but a batch at least."""
        size = self._encoder.model.image_size if self._encoder else None
        fitting = WINDOW_BYTES // (12 * size * size) if size else WINDOW_BATCHES * self._batch_size
        return max(self._batch_size, min(WINDOW_BATCHES * self._batch_size, fitting))

    def _commit(self, batch: EncodedBatch) -> None:
        self._committer.commit(batch)
        groups = self._committer.groups
        self._on_progress(Progress("indexing", groups.done, len(self._scan.files), groups.encoded, len(groups.failed)))

    def _journal_name(self) -> str:
        """One for each collection and source: another folder's run says nothing of this one's files."""
        source = hashlib.sha256(uri_of(self._scan.source).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._collection.id}-{source[:16]}.journal"

    def _content_known(self, digest: str) -> bool:
        model = self._committer.model
        if model is None:
            return False
        with self._library.database.read() as connection:
            return content_known(connection, model.id, digest)

    def _get_encoder(self) -> Encoder:
        with self._encoder_lock:
            if self._encoder is None:
                self._on_progress(Progress("loading the model", 0, len(self._scan.files)))
                encoder, self._committer.model = self._library.encoder_for(self._collection)
                processes = self._library.settings.decode_processes
                self._decoders.apart |= encoder.device != "cpu" if processes is None else processes > 0
                self._encoder = encoder
            return self._encoder


def _mark_started(library: Library, run_id: int, lease: Lease) -> None:
    with library.database.write() as connection:
        run_rows.start_run(connection, run_id, lease.holder)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
