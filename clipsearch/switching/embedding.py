"""The work of a run that embeds by a further model: knows what is left to do from the rows alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from clipsearch.ahead import ahead
from clipsearch.answers import FailedFile
from clipsearch.answers.models import EmbeddingReport
from clipsearch.database import collection_models as further_rows
from clipsearch.database import collections as collection_rows
from clipsearch.database import embedding_runs
from clipsearch.database.collection_models import NewEmbedding, StoredFile
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import contents_by_hash
from clipsearch.database.models import ModelRow
from clipsearch.errors import Conflict, InvalidVector
from clipsearch.library import Library
from clipsearch.switching.reading import Content, Prepared, Reader, Unread, contents_of

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

log = logging.getLogger(__name__)

# Images looked up at once: some seconds of work, and few enough that their rows take no room.
PAGE = 512
# As often the rows are looked through; what changes again and again meanwhile is for the next run.
LOOKS = 10
WINDOW_BATCHES = 2
WINDOW_BYTES = 1_000_000_000

OnEmbedding = Callable[[int, int, int], None]  # images dealt with, images in all, and how many of them failed


class _Cancelled(Exception):
    """Someone asked the run to stop; what is committed stays."""


@dataclass
class EmbeddingRun:
    """What one run knows."""

    library: Library
    row: CollectionRow
    encoder: Encoder
    model: ModelRow
    run_id: int
    tell: OnEmbedding | None
    apart: bool
    answering: bool  # when it began; a switch to the model in between ends the run
    images: int
    before: int
    embedded: int = 0
    taken_over: int = 0
    failed: dict[str, FailedFile] = field(default_factory=dict)
    _noted: list[FailedFile] = field(default_factory=list)
    _hopeless: set[tuple[int, str | None]] = field(default_factory=set)

    def execute(self) -> str:
        """Embed what lacks the model; gives the state in which the run ended."""
        reader = Reader(self.encoder, self.library.settings.max_pixels, apart=self.apart)
        threads = self.library.settings.decode_processes or self.library.settings.decode_threads or os.cpu_count() or 1
        try:
            self._commit([])
            with ThreadPoolExecutor(threads, thread_name_prefix="decode") as executor:
                # What was indexed behind our back is found by another look.
                for _ in range(LOOKS):
                    if not self._pass(executor, reader):
                        break
        except _Cancelled:
            return "cancelled"
        finally:
            reader.close()
        return "done"

    def report(self, *, cancelled: bool, seconds: float) -> EmbeddingReport:
        """What became of it, by the rows as they are now."""
        with self.library.database.read() as connection:
            images = collection_rows.count_images(connection, self.row.id)
            lacking = further_rows.count_lacking(connection, self.row.id, self.model)
        return EmbeddingReport(
            collection=self.row.name,
            model=self.model.model.name,
            run_id=self.run_id,
            cancelled=cancelled,
            images=images,
            embedded=self.embedded,
            taken_over=self.taken_over,
            lacking=lacking,
            failed=list(self.failed.values()),
            ready=lacking == 0,
            seconds=round(seconds, 3),
        )

    def _pass(self, executor: ThreadPoolExecutor, reader: Reader) -> int:
        """Embed what lacks the model at this moment; how many images got an embedding."""
        before = self.embedded
        batch: list[Prepared] = []
        for one in ahead(executor, reader.read, self._contents(), self._window):
            if isinstance(one, Unread):
                self._note(one.content.images, one.failures)
                continue
            batch.append(one)
            if len(batch) >= self.encoder.batch_size:
                self._encode(batch)
                batch = []
        self._encode(batch)
        self._commit([])
        return self.embedded - before

    def _contents(self) -> Iterator[Content]:
        """What is to be read; what is known by its hash is taken over on the way."""
        after = 0
        while True:
            with self.library.database.read() as connection:
                page = further_rows.lacking_images(connection, self.row.id, self.model, after=after, limit=PAGE)
                contents, without_file = contents_of(
                    image for image in page if (image.id, image.content_hash) not in self._hopeless
                )
                for image in page:  # one that failed, and has another content by now
                    if (image.id, image.content_hash) not in self._hopeless:
                        self.failed.pop(image.uri, None)
                hashes = [content.content_hash for content in contents]
                known = contents_by_hash(connection, self.model.id, self.model.model.dimension, hashes)
            if not page:
                return
            after = page[-1].id
            if without_file:
                self._note([image for image in page if image.content_hash is None], without_file)
            taken = [content for content in contents if content.content_hash in known]
            if taken:
                rows = [
                    NewEmbedding(image.id, content.content_hash, kept.vector, kept.norm, kept.dtype)
                    for content in taken
                    for image in content.images
                    for kept in (known[content.content_hash],)
                ]
                self.taken_over += self._commit(rows)
            yield from (content for content in contents if content.content_hash not in known)

    def _window(self) -> int:
        size = self.encoder.model.image_size
        batch = self.encoder.batch_size
        fitting = WINDOW_BYTES // (12 * size * size) if size else WINDOW_BATCHES * batch
        return max(batch, min(WINDOW_BATCHES * batch, fitting))

    def _encode(self, batch: Sequence[Prepared]) -> None:
        if not batch:
            return
        try:
            encoded = self.encoder.encode_prepared([one.pixels for one in batch])
        except InvalidVector as error:
            faulty = set(error.details.get("positions", range(len(batch)))) or set(range(len(batch)))
            for position in sorted(faulty):
                content = batch[position].content
                reason = "the model made no usable embedding of it (not a number, or zero)"
                self._note(
                    content.images,
                    [FailedFile(uri=one.uri, code="no_embedding", reason=reason) for one in content.images],
                )
            self._encode([one for position, one in enumerate(batch) if position not in faulty])
            return
        rows = [
            NewEmbedding(image.id, one.content.content_hash, vector, float(norm), self.encoder.dtype)
            for one, vector, norm in zip(batch, encoded.vectors, encoded.norms, strict=True)
            for image in one.content.images
        ]
        self._commit(rows)

    def _note(self, images: Sequence[StoredFile], failures: Sequence[FailedFile]) -> None:
        self._hopeless |= {(image.id, image.content_hash) for image in images}
        self.failed |= {one.uri: one for one in failures}

    def _commit(self, rows: Sequence[NewEmbedding]) -> int:
        """Keep the embeddings of what is still there and the same; how many. Raises _Cancelled once it is committed."""
        with self.library.database.write() as connection:
            row = further_rows.locked_collection(connection, self.row.id)
            name = self.model.model.name
            answers = row.model_name == name
            if (answers and not self.answering) or not (answers or further_rows.has_model(connection, row.id, name)):
                came = "was switched to it" if answers else "has it no longer"
                raise Conflict(f"the embedding by {name} was given up: the collection {row.name!r} {came}")
            answers_in = row.id if answers else None
            kept = further_rows.save_embeddings(connection, self.model.id, rows, answers_in=answers_in)
            done, counts = self._standing(kept)
            wanted = embedding_runs.note_embedding(
                connection, self.run_id, done, max(self.images, done), counts, self.library.settings.lease_seconds
            )
            # By what they say, for one may have gone and another come; no more than are kept, for each batch asks.
            named = list(islice(self.failed.values(), embedding_runs.NAMED_FAILURES))
            if named != self._noted:
                failures = [one.model_dump() for one in named]
                embedding_runs.note_run_failures(connection, self.run_id, failures)
        self._noted = named
        self.embedded += kept
        if self.tell is not None:
            self.tell(done, max(self.images, done), len(self.failed))
        if wanted:
            raise _Cancelled
        return kept

    def _standing(self, more: int) -> tuple[int, dict[str, int]]:
        embedded, failed = self.embedded + more, len(self.failed)
        counts = {"embedded": embedded, "taken_over": self.taken_over, "failed": failed, "before": self.before}
        return self.before + embedded + failed, counts
