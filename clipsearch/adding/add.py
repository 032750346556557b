"""The whole way of pictures into a collection: read, kept as files, and then noted; knows the order of its steps.

A file is on disk before the transaction that speaks of it: a process that is killed between the two leaves a file
that nobody speaks of, which the doctor finds, and never a row without its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsearch.adding.reading import NewPicture, Read, hash_of, read_pictures
from clipsearch.answers.additions import ImageAdded, ImagesAdded, Reason
from clipsearch.attributes import checked, merged
from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import failures as failure_rows
from clipsearch.database import images as image_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import contents_by_hash
from clipsearch.database.images import ImageRow, KnownFile, NewImage
from clipsearch.database.leases import Lease, renew_lease
from clipsearch.database.models import ModelRow
from clipsearch.errors import AlreadyRunning, Busy, CollectionNotFound, InvalidInput, LeaseLost, StorageFull
from clipsearch.images import keep_upload, remove_upload, upload_path, uri_of
from clipsearch.library import PATIENCE, Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

_ANOTHER_CONTENT = Reason(
    code="already_exists", reason="another content of this name is kept where this one would be; give another name"
)


def add_pictures(
    library: Library,
    pictures: Sequence[NewPicture],
    *,
    collection: str | None = None,
    make_collection: bool = False,
    wait_seconds: float = PATIENCE,
    working: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ImagesAdded:
    """Add pictures to a collection; their files are kept in the library's own folder.

    A picture that cannot be read costs itself only: the answer says why, and nothing is kept of it. Attributes are
    added to those that an image has already. Raises InvalidInput for attributes that may not be, CollectionNotFound
    (unless ``make_collection``), Busy while another holds the collection for longer than ``wait_seconds``,
    StorageFull, ModelUnavailable, ModelMismatch. A collection that was made for it goes again where nothing was added.
    What is entered by ``working`` is held while pictures are decoded and encoded, and not while others are waited for.
    """
    pictures = [replace(one, attributes=checked(one.attributes)) for one in pictures]

    def add(row: CollectionRow) -> ImagesAdded:
        with working():
            read, model = _read(library, row, pictures)
        with _lease(library, row, wait_seconds) as lease:
            added = _Addition(library, row, model, lease, read).carry_out()
        return ImagesAdded(collection=row.name, images=added)

    return _add_to_made(library, collection, add) if make_collection else add(library.collection(collection))


def _add_to_made(library: Library, collection: str | None, add: Callable[[CollectionRow], ImagesAdded]) -> ImagesAdded:
    """Add to a collection that is made if it is not there, and taken back where nothing came into it."""
    for last in (False, False, True):
        row, is_new = library.ensure_collection(collection)
        answer: ImagesAdded | None = None
        try:
            answer = add(row)
            return answer
        except CollectionNotFound:  # taken back by another, who had made it and had nothing for it
            if last:
                raise
        finally:
            if is_new and (answer is None or all(one.outcome == "failed" for one in answer.images)):
                _take_back(library, row)
    raise AssertionError("the last try answers or raises")


def _take_back(library: Library, row: CollectionRow) -> None:
    with library.database.read() as connection:
        if run_rows.list_runs(connection, collection_id=row.id, limit=1):
            return  # it waits for what a run will bring
    # Who holds the lease is about to put something in.
    with suppress(AlreadyRunning, CollectionNotFound), library.lease(row, "taking back an empty collection"):
        library.discard_if_empty(row)


def _read(library: Library, row: CollectionRow, pictures: Sequence[NewPicture]) -> tuple[list[Read], ModelRow | None]:
    model = library.model_of(row)
    contents: dict[str, NewImage] = {}
    if model is not None:
        hashes = [digest for one in pictures if (digest := hash_of(one)) is not None]
        with library.database.read() as connection:
            contents = contents_by_hash(connection, model.id, model.model.dimension, hashes)

    def encoder() -> Encoder:
        nonlocal model
        opened, model = library.encoder_for(row)
        return opened

    read = read_pictures(pictures, contents, encoder, library.settings.max_pixels)
    return read, model  # which the encoder may have brought


@contextmanager
def _lease(library: Library, row: CollectionRow, wait_seconds: float) -> Iterator[Lease]:
    """The collection's lease, waited for. Raises Busy."""
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(library.lease(row, "adding images", wait_seconds=wait_seconds))
        except AlreadyRunning as error:
            raise Busy(f"nothing can be added now: {error.message}", retry_after=5.0) from error
        yield lease


@dataclass(frozen=True)
class _Place:
    """A picture that can be read, and where its file is kept; ``known`` is the row that is there already."""

    path: Path
    image: NewImage
    known: KnownFile | None

    @property
    def unchanged(self) -> bool:
        known = self.known
        return (
            known is not None and not known.gone and known.embedded and known.content_hash == self.image.content_hash
            and self.path.exists()
        )  # fmt: skip


class _Addition:
    """One batch of pictures under the collection's lease."""

    def __init__(
        self, library: Library, row: CollectionRow, model: ModelRow | None, lease: Lease, read: Sequence[Read]
    ) -> None:
        self._library = library
        self._row = row
        self._model = model
        self._lease = lease
        self._read = list(read)
        self._data_dir = library.settings.data_dir

    def carry_out(self) -> list[ImageAdded]:
        """Keep the files, note them, and say what became of each picture."""
        places = self._places()
        new = {uri: place for uri, place in places.items() if not place.unchanged}
        kept: list[Path] = []
        try:
            for uri, place in new.items():
                kept += [] if place.path.exists() else [place.path]
                self._keep(uri, place)
            with self._library.database.write() as connection:
                rows = self._commit(connection, places, new)
        except LeaseLost:
            raise  # whoever has the lease now may have noted the very same files
        except BaseException:
            for path in kept:
                remove_upload(self._data_dir, self._row.id, path)
            raise
        return [self._told(one, rows, new) for one in self._read]

    def _places(self) -> dict[str, _Place]:
        """Where each picture is kept, by uri; two of the same content and name are one."""
        paths = {uri_of(path): path for one in self._read if (path := self._path(one)) is not None and one.image}
        with self._library.database.read() as connection:
            number = self._model.id if self._model is not None else None
            known = image_rows.known_files(connection, self._row.id, number, list(paths)) if paths else {}
        places = {}
        for place, one in enumerate(self._read):
            path = self._path(one)
            if path is None or one.image is None:
                continue
            before = known.get(uri_of(path))
            if before is not None and before.content_hash not in (None, one.content_hash):
                # The folder bears a quarter of the hash only: who looks for two alike can find them.
                self._read[place] = Read(one.picture, one.name, one.content_hash, error=_ANOTHER_CONTENT)
            else:
                places[uri_of(path)] = _Place(path, one.image, before)
        return places

    def _path(self, one: Read) -> Path | None:
        if one.content_hash is None:
            return None
        return upload_path(self._data_dir, self._row.id, one.content_hash, one.name)

    def _keep(self, uri: str, place: _Place) -> None:
        data = next(one.picture.data for one in self._read if self._path(one) == place.path)
        try:
            keep_upload(place.path, data)
        except OSError as error:
            why = error.strerror or str(error)
            raise StorageFull(f"the images cannot be kept in {self._data_dir}: {why}; none was added") from error

    def _commit(
        self, connection: Connection, places: Mapping[str, _Place], new: Mapping[str, _Place]
    ) -> dict[str, ImageRow]:
        renew_lease(connection, self._lease, self._library.settings.lease_seconds)
        now = collection_rows.collection_by_id(connection, self._row.id)
        if now.model_name != self._row.model_name:
            raise Busy("the collection changed its model meanwhile; try again", retry_after=1.0)
        if new and self._model is not None:
            revision = collection_rows.advance(connection, self._row.id)
            rows = [place.image.at(uri, *_stamp(place.path)) for uri, place in new.items()]
            image_rows.save_images(connection, self._row.id, revision, self._model.id, rows)
            failure_rows.clear_failures(connection, self._row.id, list(new))
        self._say(connection, places)
        return image_rows.rows_by_uri(connection, self._row.id, places)

    def _say(self, connection: Connection, places: Mapping[str, _Place]) -> None:
        """Add what is said of the pictures to what is said of the images."""
        speaking = {
            place: uri_of(path) for place, one in enumerate(self._read)
            if one.error is None and one.picture.attributes and (path := self._path(one)) is not None
        }  # fmt: skip
        rows = image_rows.rows_by_uri(connection, self._row.id, set(speaking.values()))
        said: dict[str, dict[str, Any]] = {}
        # What comes twice in one request is told in the order in which it came.
        for place, uri in speaking.items():
            one = self._read[place]
            try:
                said[uri] = merged(said.get(uri, rows[uri].attributes), one.picture.attributes)
            except InvalidInput as error:
                reason = Reason(code=error.code, reason=error.message)
                self._read[place] = Read(one.picture, one.name, one.content_hash, error=reason)
        image_rows.set_attributes(connection, {rows[uri].id: attributes for uri, attributes in said.items()})

    def _told(self, one: Read, rows: Mapping[str, ImageRow], new: Mapping[str, _Place]) -> ImageAdded:
        path = self._path(one)
        if one.error is not None or path is None:
            return ImageAdded(name=one.name, outcome="failed", error=one.error)
        uri = uri_of(path)
        return ImageAdded(name=one.name, outcome="added" if uri in new else "unchanged", image=rows[uri].info())


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
