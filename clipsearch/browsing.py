"""Look at a collection's images one by one: list, show, thumbnail, original, remove; knows which files may be shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipsearch.answers import ImageDetails, ImageInfo
from clipsearch.attributes import checked, merged
from clipsearch.cursors import Cursor, Order, read_cursor
from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.filtering import list_images as rows_of_images
from clipsearch.database.image_tags import tags_of_image
from clipsearch.database.images import ImageRow
from clipsearch.database.leases import renew_lease
from clipsearch.errors import ImageNotFound, InvalidInput, NotAllowed
from clipsearch.images import (
    content_hash,
    make_thumbnail,
    path_of,
    presence,
    read_file,
    remove_upload,
    uploads_folder,
    uri_of,
)
from clipsearch.library import PATIENCE, Library
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


def list_page(
    library: Library,
    *,
    collection: str | None = None,
    filters: Filters | None = None,
    order: Order = "id",
    after: int | str = 0,
    limit: int = 100,
) -> tuple[list[ImageInfo], int | str | None]:
    """Up to ``limit`` images in this order, and what to give as ``after`` for those that follow; None at the end.

    Images that come and go meanwhile make no other stand twice or be left out. Raises InvalidInput for an ``after``
    that no page of this order gave.
    """
    try:
        cursor = read_cursor(after, order)
    except ValueError as error:
        raise InvalidInput(f"after {error}") from error
    row = library.collection(collection)
    with library.database.read() as connection:
        rows = rows_of_images(connection, row.id, filters or Filters(), after=cursor or 0, limit=limit + 1, order=order)
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    following = None if last is None else Cursor(order, last.id, last.taken_at or last.modified_at).text
    return [one.info() for one in page], following


def change_attributes(
    library: Library, image: int | str, changes: Mapping[str, Any], *, collection: str | None = None
) -> ImageDetails:
    """Say something of an image, or, with None, take it back; other names stay. Raises ImageNotFound, InvalidInput."""
    row = library.collection(collection)
    with library.database.write() as connection:
        found = find_image(connection, row.id, image)
        before = image_rows.attributes_to_change(connection, found.id)
        after = merged(before, checked(changes))
        image_rows.set_attributes(connection, {found.id: after})
    return image_details(library, found.id, collection=collection)


def show_image(library: Library, image: int | str, *, collection: str | None = None) -> ImageInfo:
    """The image of this id or uri; a path stands for its uri. Raises ImageNotFound."""
    row = library.collection(collection)
    with library.database.read() as connection:
        return find_image(connection, row.id, image).info()


def show_images(library: Library, ids: Sequence[int], *, collection: str | None = None) -> list[ImageInfo]:
    """The images of these ids, in their order. Raises ImageNotFound for one that is not there."""
    row = library.collection(collection)
    with library.database.read() as connection:
        known = {one.id: one.info() for one in _find_images(connection, row.id, ids)}
    return [known[number] for number in ids]


def image_details(library: Library, image: int | str, *, collection: str | None = None) -> ImageDetails:
    """As ``show_image``, with the labels that the image bears by the tags that stand. Raises ImageNotFound."""
    row = library.collection(collection)
    with library.database.read() as connection:
        found = find_image(connection, row.id, image)
        return ImageDetails(**dict(found.info()), tags=tags_of_image(connection, row.id, found.id))


def remove_images(library: Library, images: list[int | str], *, collection: str | None = None) -> list[ImageInfo]:
    """Take images out of the collection, with their embeddings and attributes; the files stay, and indexing finds
    them again, but for those that were uploaded, which are deleted.

    Raises ImageNotFound, and then none is removed; AlreadyRunning.
    """
    row = library.collection(collection)
    with library.lease(row, "removing images", wait_seconds=PATIENCE) as lease:
        with library.database.write() as connection:
            renew_lease(connection, lease, library.settings.lease_seconds)
            found = _find_images(connection, row.id, images)
            if found:
                revision = collection_rows.advance(connection, row.id)
                image_rows.mark_gone(connection, revision, [one.id for one in found], forget=True)
                image_rows.set_attributes(connection, dict.fromkeys((one.id for one in found), None))
        # Only then: a row without its file would be worse than a file without its row.
        for one in found:
            with suppress(InvalidInput):
                remove_upload(library.settings.data_dir, row.id, Path(path_of(one.uri)))
    return [one.info() for one in found]


def thumbnail(library: Library, image: int, *, collection: str | None = None, size: int = 320) -> bytes:
    """A small JPEG of the image. Raises ImageNotFound, also where its file is gone, UnreadableImage."""
    info = show_image(library, image, collection=collection)
    return make_thumbnail(_as_indexed(local_path(info), info), size=size, max_pixels=library.settings.max_pixels)


def original(library: Library, image: int, *, collection: str | None = None) -> tuple[bytes, ImageInfo]:
    """The file's bytes, from the configured roots and the uploads only, and never through a link that leads out of
    them.

    Raises ImageNotFound, NotAllowed.
    """
    info = show_image(library, image, collection=collection)
    path = local_path(info)
    real = Path(os.path.realpath(path))
    uploads = uploads_folder(library.settings.data_dir, library.collection(collection).id)
    roots = [Path(os.path.realpath(root)) for root in (*library.settings.roots, uploads)]
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


def _find_images(connection: Connection, collection_id: int, images: Sequence[int | str]) -> list[ImageRow]:
    """Each row once, as by ``find_image`` of each, in few statements. Raises ImageNotFound."""
    numbers = [one for one in images if isinstance(one, int)]
    uris = [one for one in images if isinstance(one, str)]
    known: dict[int | str, ImageRow] = {}
    known.update(image_rows.image_rows(connection, numbers, collection_id=collection_id).items())
    known.update(image_rows.rows_by_uri(connection, collection_id, uris).items())
    rows = [known.get(one) or find_image(connection, collection_id, one) for one in images]
    return list({row.id: row for row in rows}.values())


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
