"""Commits encoded batches, each as one transaction with one revision; decides which group a file falls in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clipsearch.answers import FailedFile
from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import failures as failure_rows
from clipsearch.database import images as image_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import contents_by_hash
from clipsearch.database.failures import NewFailure
from clipsearch.database.images import KnownFile, NewImage
from clipsearch.database.leases import Lease, renew_lease
from clipsearch.database.models import ModelRow
from clipsearch.errors import ModelMismatch
from clipsearch.images import FoundFile, uri_of
from clipsearch.indexing.encoding import EncodedBatch
from clipsearch.indexing.groups import Groups
from clipsearch.indexing.planning import Plan, Scan, by_hash, unseen_failures
from clipsearch.indexing.reading import Failed, Familiar, Same
from clipsearch.library import Library


class Cancelled(Exception):
    """Someone asked the run to stop; what is committed stays."""


class Committer:
    """The batches of one run. Whatever raises leaves the batch uncommitted and the groups as they were."""

    def __init__(
        self,
        library: Library,
        collection: CollectionRow,
        run_id: int,
        lease: Lease,
        plan: Plan,
        known: Mapping[str, KnownFile],
        model: ModelRow | None,
    ) -> None:
        self._library = library
        self._collection_id = collection.id
        self._run_id = run_id
        self._lease = lease
        self._plan = plan
        self._known = known
        self.model = model
        self.revision = collection.revision
        self.groups = Groups(unchanged=list(plan.unchanged), failed=list(plan.still_failed))
        self._unresolved: list[FoundFile] = []
        self._vanished = by_hash(plan.vanished.values())
        self._moved_from: set[int] = set()

    def take_unresolved(self) -> list[FoundFile]:
        """Files whose content another file of the run was to bring; they have to be read again."""
        files, self._unresolved = self._unresolved, []
        return files

    def begin(self, total: int) -> None:
        """Note how many files there are. Raises Cancelled, LeaseLost."""
        self._total = total
        with self._library.database.write() as connection:
            wanted = self._report(connection, self.groups)
        if wanted:
            raise Cancelled

    def commit(self, encoded: EncodedBatch) -> None:
        """Commit a batch. Raises Cancelled when it is committed and no more are wanted; LeaseLost, StorageFull."""
        failures = list(encoded.failures)
        batch = Groups(encoded=len(encoded.images))
        damaged = {failure.uri for failure in failures}
        for reading in encoded.light:
            if isinstance(reading, Failed):
                failures.append(reading.failure)
                damaged |= {reading.file.uri} if reading.content_read else set()
        batch.failed += [FailedFile(uri=one.uri, code=one.code, reason=one.reason) for one in failures]
        with self._library.database.write() as connection:
            wanted, unresolved, moved_from = self._commit(connection, batch, encoded, failures, damaged)
        self.groups.extend(batch)
        self._unresolved += unresolved
        self._moved_from |= moved_from
        if wanted:
            raise Cancelled

    def finish(self, scan: Scan) -> None:
        """Mark what is gone, and keep what the source holds and which folders could not be looked into."""
        gone = [file for file in self._plan.vanished.values() if file.id not in self._moved_from]
        failures = unseen_failures(scan)
        batch = Groups(removed=sorted(file.uri for file in gone))
        batch.failed += [FailedFile(uri=one.uri, code=one.code, reason=one.reason) for one in failures]
        with self._library.database.write() as connection:
            if gone:
                revision = self._advance(connection)
                image_rows.mark_gone(connection, revision, [file.id for file in gone])
            failure_rows.clear_failures(connection, self._collection_id, self._plan.outdated_failures)
            failure_rows.note_failures(connection, self._collection_id, self._run_id, failures)
            held = len(scan.files) - len(self.groups.failed)
            run_rows.note_source(connection, self._collection_id, uri_of(scan.source), held)
            self.groups.extend(batch)
            self._report(connection, self.groups)

    def _commit(
        self,
        connection: Connection,
        batch: Groups,
        encoded: EncodedBatch,
        failures: list[NewFailure],
        damaged: set[str],
    ) -> tuple[bool, list[FoundFile], set[int]]:
        images = encoded.images
        same = [reading for reading in encoded.light if isinstance(reading, Same)]
        familiar = [reading for reading in encoded.light if isinstance(reading, Familiar)]
        taken, moves, replaced, unresolved = self._resolve(connection, familiar, batch)
        for image in images:
            self._group_of(image.uri, batch).append(image.uri)
        batch.unchanged += [reading.file.uri for reading in same]
        lost = [known.id for uri in damaged if (known := self._known.get(uri)) and not known.gone]
        if images or taken or moves or same or lost:
            revision = self._advance(connection)
            if images or taken:
                model = self._model()
                image_rows.save_images(connection, self._collection_id, revision, model, [*images, *taken])
            image_rows.move_images(connection, revision, [(known.id, *_place(file)) for known, file in moves])
            image_rows.touch_images(
                connection, revision, [(one.known.id, one.file.size, one.file.mtime_ns) for one in same]
            )
            image_rows.mark_gone(connection, revision, [*lost, *(known.id for known in replaced)])
        settled = [*batch.added, *batch.changed, *batch.moved, *batch.unchanged]
        failure_rows.clear_failures(
            connection, self._collection_id, [uri for uri in settled if uri in self._plan.failed_before]
        )
        failure_rows.note_failures(connection, self._collection_id, self._run_id, failures)
        so_far = Groups()
        so_far.extend(self.groups)
        so_far.extend(batch)
        wanted = self._report(connection, so_far)
        return wanted, unresolved, {known.id for known, _ in moves} | {known.id for known in replaced}

    def _resolve(
        self, connection: Connection, familiar: Sequence[Familiar], batch: Groups
    ) -> tuple[list[NewImage], list[tuple[KnownFile, FoundFile]], list[KnownFile], list[FoundFile]]:
        """Embeddings taken over by content: images to save, rows that move, rows they replace, files to read again."""
        if not familiar:
            return [], [], [], []
        hashes = [reading.content_hash for reading in familiar]
        contents: dict[str, NewImage] = {}
        if self.model is not None:
            dimension = self.model.model.dimension
            contents = contents_by_hash(connection, self.model.id, dimension, hashes)
        taken: list[NewImage] = []
        moves: list[tuple[KnownFile, FoundFile]] = []
        replaced: list[KnownFile] = []
        unresolved: list[FoundFile] = []
        for reading in familiar:
            uri, content = reading.file.uri, contents.get(reading.content_hash)
            if content is None:
                unresolved.append(reading.file)
                continue
            origin = None if self._stands(uri) else self._origin(reading.content_hash)
            (batch.moved if origin else self._group_of(uri, batch)).append(uri)
            if origin and uri not in self._known:
                moves.append((origin, reading.file))
            else:
                # The name has a row of its own: it takes the content over, so that no row is ever lost to an index.
                taken.append(content.at(*_place(reading.file)))
                replaced += [origin] if origin else []
        return taken, moves, replaced, unresolved

    def _origin(self, content_hash: str) -> KnownFile | None:
        files = self._vanished.get(content_hash)
        return files.pop() if files else None

    def _stands(self, uri: str) -> bool:
        known = self._known.get(uri)
        return known is not None and not known.gone

    def _group_of(self, uri: str, batch: Groups) -> list[str]:
        return batch.changed if self._stands(uri) else batch.added

    def _model(self) -> int:
        if self.model is None:
            raise ModelMismatch("an embedding came without its model")
        return self.model.id

    def _advance(self, connection: Connection) -> int:
        self.revision = collection_rows.advance(connection, self._collection_id, self._run_id)
        return self.revision

    def _report(self, connection: Connection, groups: Groups) -> bool:
        # In the same transaction as the work: a run that lost its lease commits nothing.
        renew_lease(connection, self._lease, self._library.settings.lease_seconds)
        return run_rows.note_progress(connection, self._run_id, groups.done, self._total, groups.counts())


def _place(file: FoundFile) -> tuple[str, int, int]:
    return file.uri, file.size, file.mtime_ns
