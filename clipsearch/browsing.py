"""Look at a collection's images one by one: list, show, thumbnail, original, remove; knows which files may be shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from clipsearch.answers import FailureInfo, ImageDetails, ImageInfo, RunInfo
from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.filtering import list_images as rows_of_images
from clipsearch.database.image_tags import tags_of_image
from clipsearch.database.images import ImageRow
from clipsearch.database.leases import renew_lease
from clipsearch.database.runs import RunRow
from clipsearch.errors import ImageNotFound, InvalidInput, NotAllowed
from clipsearch.images import content_hash, make_thumbnail, path_of, presence, read_file, uri_of
from clipsearch.library import Library
from clipsearch.queries import Filters


def list_images(
    library: Library,
    *,
    collection: str | None = None,
    filters: Filters | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[ImageInfo]:
    """Up to ``limit`` images in the order of their ids, those after the id ``after``."""
    row = library.collection(collection)
    with library.database.read() as connection:
        rows = rows_of_images(connection, row.id, filters or Filters(), after=after, limit=limit)
    return [one.info() for one in rows]


def show_image(library: Library, image: int | str, *, collection: str | None = None) -> ImageInfo:
    """The image of this id or uri; a path stands for its uri. Raises ImageNotFound."""
    row = library.collection(collection)
    with library.database.read() as connection:
        return find_image(connection, row.id, image).info()


def image_details(library: Library, image: int | str, *, collection: str | None = None) -> ImageDetails:
    """As ``show_image``, with the labels that the image bears by the tags that stand. Raises ImageNotFound."""
    row = library.collection(collection)
    with library.database.read() as connection:
        found = find_image(connection, row.id, image)
        return ImageDetails(**dict(found.info()), tags=tags_of_image(connection, row.id, found.id))


def remove_images(library: Library, images: list[int | str], *, collection: str | None = None) -> list[ImageInfo]:
    """Take images out of the collection, with their embeddings; the files stay, and indexing finds them again.

    Raises ImageNotFound, and then none is removed; AlreadyRunning.
    """
    row = library.collection(collection)
    with library.lease(row, "removing images") as lease, library.database.write() as connection:
        renew_lease(connection, lease, library.settings.lease_seconds)
        found = [find_image(connection, row.id, image) for image in images]
        if found:
            revision = collection_rows.advance(connection, row.id)
            image_rows.mark_gone(connection, revision, [one.id for one in found], forget=True)
    return [one.info() for one in found]


def thumbnail(library: Library, image: int, *, collection: str | None = None, size: int = 320) -> bytes:
    """A small JPEG of the image. Raises ImageNotFound, also where its file is gone, UnreadableImage."""
    info = show_image(library, image, collection=collection)
    return make_thumbnail(_as_indexed(local_path(info), info), size=size, max_pixels=library.settings.max_pixels)


def original(library: Library, image: int, *, collection: str | None = None) -> tuple[bytes, ImageInfo]:
    """The file's bytes, from the configured roots only and never through a link that leads out of them.

    Raises ImageNotFound, NotAllowed.
    """
    info = show_image(library, image, collection=collection)
    path = local_path(info)
    real = Path(os.path.realpath(path))
    roots = [Path(os.path.realpath(root)) for root in library.settings.roots]
    if not any(real.is_relative_to(root) for root in roots):
        raise NotAllowed("originals are served from the folders in CLIPSEARCH_ROOTS only")
    return _as_indexed(real, info), info


def _as_indexed(path: Path, info: ImageInfo) -> bytes:
    # A file that was put, or linked, in the place of the image is not what was indexed, whoever asks for it.
    data = read_file(path)
    if info.content_hash is not None and content_hash(data) != info.content_hash:
        raise ImageNotFound(f"the file of image {info.id} changed since it was indexed; index its folder again")
    return data


def local_path(info: ImageInfo) -> Path:
    """The image's file. Raises ImageNotFound where there is none."""
    try:
        path = Path(path_of(info.uri))
    except InvalidInput as error:
        raise ImageNotFound(f"image {info.id} has no file: its embedding was imported") from error
    there = presence(path)
    if there == "unknown":
        raise ImageNotFound(f"whether the file of image {info.id} is there cannot be told: {info.uri}")
    if there == "gone":
        raise ImageNotFound(f"the file of image {info.id} is not there any more: {info.uri}")
    return path


def find_image(connection: Connection, collection_id: int, image: int | str) -> ImageRow:
    """The row of an image by id, by uri, or by a path that stands for one. Raises ImageNotFound."""
    if isinstance(image, int):
        return image_rows.get_image(connection, collection_id, number=image)
    try:
        return image_rows.get_image(connection, collection_id, uri=image)
    except ImageNotFound:
        return image_rows.get_image(connection, collection_id, uri=uri_of(os.path.expanduser(image)))


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Each path once, and none that lies under another: no file may be looked at twice."""
    whole = dict.fromkeys(paths)
    return [path for path in whole if whole.keys().isdisjoint(path.parents)]


def known_sources(library: Library, *, collection: str | None = None) -> tuple[list[Path], list[Path]]:
    """What was indexed into the collection before: the outermost sources that are there, and all that are not."""
    row = library.collection(collection)
    with library.database.read() as connection:
        sources = [Path(path_of(uri)) for uri in run_rows.list_sources(connection, row.id)]
    there = [source for source in sources if os.path.exists(source)]
    return outermost(there), [source for source in sources if source not in set(there)]


def list_failures(library: Library, *, collection: str | None = None) -> list[FailureInfo]:
    """The files of the collection that could not be indexed, by uri."""
    row = library.collection(collection)
    with library.database.read() as connection:
        rows = run_rows.list_failures(connection, row.id)
    names = set(FailureInfo.model_fields)
    return [FailureInfo(**{name: value for name, value in vars(one).items() if name in names}) for one in rows]


def show_run(library: Library, run_id: int) -> RunInfo:
    """How far a run has come, or how it ended. Raises RunNotFound."""
    with library.database.read() as connection:
        return run_info(run_rows.get_run(connection, run_id))


def list_runs(library: Library, *, limit: int = 100) -> list[RunInfo]:
    """The newest first."""
    with library.database.read() as connection:
        return [run_info(row) for row in run_rows.list_runs(connection, limit=limit)]


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
        run_rows.finish_run(connection, run_id, "interrupted", "the server was stopped; index the source again")


def fail_run(library: Library, run_id: int, reason: str) -> None:
    """Say of a run that it ended before it began."""
    with library.database.write() as connection:
        run_rows.finish_run(connection, run_id, "failed", reason)


def run_info(row: RunRow) -> RunInfo:
    """What is said of a run on every door."""
    names = set(RunInfo.model_fields)
    return RunInfo(**{name: value for name, value in vars(row).items() if name in names})
