"""Images and their embeddings as rows; knows how they are saved, marked gone, found again and listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, or_, select, update

from clipsearch.answers import ImageInfo
from clipsearch.database.clock import now
from clipsearch.database.one_model import check_answering, forget_changed
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import image as table
from clipsearch.database.upsert import upsert_into
from clipsearch.database.vectors import to_blobs
from clipsearch.errors import ImageNotFound

# Well under what either database takes as bound values in one statement.
Value = TypeVar("Value")

CHUNK = 1_000


@dataclass(frozen=True)
class ImageRow:
    """One image of a collection, as stored."""

    id: int
    uri: str
    content_hash: str | None
    size: int | None
    mtime_ns: int | None
    width: int | None
    height: int | None
    format: str | None
    taken_at: dt.datetime | None
    modified_at: dt.datetime | None
    pixel_hash: int | None
    gone: bool
    revision: int
    indexed_at: dt.datetime
    attributes: dict[str, Any] | None = None

    def info(self) -> ImageInfo:
        """What is said of it on every door."""
        return ImageInfo(
            id=self.id,
            uri=self.uri,
            content_hash=self.content_hash,
            size=self.size,
            width=self.width,
            height=self.height,
            format=self.format,
            taken_at=self.taken_at or self.modified_at,
            modified_at=self.modified_at,
            indexed_at=self.indexed_at,
            revision=self.revision,
            attributes=self.attributes or {},
        )


@dataclass(frozen=True)
class KnownFile:
    """What is known of a file that was indexed before."""

    id: int
    uri: str
    size: int | None
    mtime_ns: int | None
    content_hash: str | None
    gone: bool
    embedded: bool


@dataclass(frozen=True)
class NewImage:
    """An image to save. ``vector`` is float [d] of unit length; ``norm`` its length before that."""

    uri: str
    vector: NDArray[np.float32]
    content_hash: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    taken_at: dt.datetime | None = None
    pixel_hash: int | None = None
    norm: float | None = None
    dtype: str | None = None

    def at(self, uri: str, size: int, mtime_ns: int) -> NewImage:
        """The same content under another name."""
        return replace(self, uri=uri, size=size, mtime_ns=mtime_ns)


IMAGE_COLUMNS = [table.c[name] for name in ImageRow.__dataclass_fields__]
# Made once: every search ends with it, and building a statement takes longer than asking it.
_PRESENT_IMAGES = select(*IMAGE_COLUMNS).where(table.c.id.in_(bindparam("ids", expanding=True)), table.c.gone == 0)
_SET_ATTRIBUTES = (
    update(table)
    .where(table.c.id == bindparam("number"))
    .values(attributes=bindparam("kept", type_=table.c.attributes.type))
)


def known_files(
    connection: Connection, collection_id: int, model_id: int | None, prefixes: Sequence[str]
) -> dict[str, KnownFile]:
    """The files of the collection whose uri is one of ``prefixes`` or lies under one that ends in a slash."""
    embedded = (
        select(embedding_table.c.image_id)
        .where(embedding_table.c.image_id == table.c.id, embedding_table.c.model_id == model_id)
        .exists()
    )
    columns = (table.c.id, table.c.uri, table.c.size, table.c.mtime_ns, table.c.content_hash, table.c.gone)
    query = select(*columns, embedded.label("embedded")).where(
        table.c.collection_id == collection_id, or_(*(_begins(prefix) for prefix in prefixes))
    )
    return {
        row.uri: KnownFile(
            row.id, row.uri, row.size, row.mtime_ns, row.content_hash, bool(row.gone), bool(row.embedded)
        )
        for row in connection.execute(query)
    }


def save_images(
    connection: Connection, collection_id: int, revision: int, model_id: int, images: Sequence[NewImage]
) -> None:
    """Insert or replace these images with their embeddings; what other models made of a content that changed goes.

    Raises InvalidVector, and ModelMismatch where another model answers by now; then nothing is saved.
    """
    if not images:
        return
    blobs = to_blobs(np.stack([image.vector for image in images]))
    check_answering(connection, collection_id, model_id)
    forget_changed(connection, collection_id, model_id, {image.uri: image.content_hash for image in images})
    stamp = now(connection)
    rows = [_image_values(image, collection_id, revision, stamp) for image in images]
    upsert = upsert_into(connection, table)
    kept = {"collection_id", "uri"}
    statement = upsert.on_conflict_do_update(
        index_elements=["collection_id", "uri"],
        set_={name: upsert.excluded[name] for name in rows[0] if name not in kept},
    ).returning(table.c.uri, table.c.id)
    numbers = {row.uri: row.id for row in connection.execute(statement, rows)}
    place = upsert_into(connection, embedding_table)
    replace_embedding = place.on_conflict_do_update(
        index_elements=["image_id", "model_id"],
        set_={name: place.excluded[name] for name in ("vector", "norm", "dtype")},
    )
    connection.execute(
        replace_embedding,
        [
            {"image_id": numbers[image.uri], "model_id": model_id, "vector": blob, "norm": image.norm,
             "dtype": image.dtype}
            for image, blob in zip(images, blobs, strict=True)
        ],
    )  # fmt: skip


def touch_images(connection: Connection, revision: int, files: Sequence[tuple[int, int, int]]) -> None:
    """Note new sizes and times (id, size, mtime_ns) of files whose content is the same."""
    for number, size, mtime_ns in files:
        values = {
            "size": size,
            "mtime_ns": mtime_ns,
            "modified_at": _as_datetime(mtime_ns),
            "revision": revision,
        }
        connection.execute(update(table).where(table.c.id == number).values(values))


def move_images(connection: Connection, revision: int, moves: Sequence[tuple[int, str, int, int]]) -> None:
    """Give images (id) a new uri, which no row has, with its size and mtime_ns; each keeps row and embedding."""
    for number, uri, size, mtime_ns in moves:
        values = {"uri": uri, "size": size, "mtime_ns": mtime_ns, "modified_at": _as_datetime(mtime_ns)}
        connection.execute(update(table).where(table.c.id == number).values(values | {"revision": revision, "gone": 0}))


def mark_gone(connection: Connection, revision: int, ids: Iterable[int], *, forget: bool = False) -> None:
    """Take images out of the collection; with ``forget`` their embeddings and hashes go too."""
    for chunk in chunks(list(ids)):
        values: dict[str, object] = {"gone": 1, "revision": revision}
        if forget:
            connection.execute(delete(embedding_table).where(embedding_table.c.image_id.in_(chunk)))
            values |= {"content_hash": None, "pixel_hash": None, "size": None, "mtime_ns": None}
        connection.execute(update(table).where(table.c.id.in_(chunk)).values(values))


def attributes_to_change(connection: Connection, number: int) -> dict[str, Any] | None:
    """What is said of an image, which no one else changes until this transaction ends."""
    query = select(table.c.attributes).where(table.c.id == number).with_for_update()
    found: dict[str, Any] | None = connection.execute(query).scalar_one()
    return found


def set_attributes(connection: Connection, attributes: Mapping[int, Mapping[str, Any] | None]) -> None:
    """Replace what is said of images, by id. No revision is needed: an index knows nothing of it."""
    if attributes:
        rows = [{"number": number, "kept": dict(said) if said else None} for number, said in attributes.items()]
        connection.execute(_SET_ATTRIBUTES, rows)


def image_rows(connection: Connection, ids: Iterable[int], *, collection_id: int | None = None) -> dict[int, ImageRow]:
    """The rows of these ids that are there, by id; gone ones are left out, and those of other collections where one
    is given."""
    query = _PRESENT_IMAGES if collection_id is None else _PRESENT_IMAGES.where(table.c.collection_id == collection_id)
    found: dict[int, ImageRow] = {}
    for chunk in chunks(list(ids)):
        found.update((row[0], ImageRow(*row)) for row in connection.execute(query, {"ids": chunk}))
    return found


def rows_by_uri(connection: Connection, collection_id: int, uris: Iterable[str]) -> dict[str, ImageRow]:
    """The images of the collection under these uris that are there."""
    query = select(*IMAGE_COLUMNS).where(table.c.collection_id == collection_id, table.c.gone == 0)
    found: dict[str, ImageRow] = {}
    for chunk in chunks(list(uris)):
        rows = (ImageRow(*row) for row in connection.execute(query.where(table.c.uri.in_(chunk))))
        found.update((row.uri, row) for row in rows)
    return found


def get_image(
    connection: Connection, collection_id: int, *, number: int | None = None, uri: str | None = None
) -> ImageRow:
    """The image of this id or uri in this collection. Raises ImageNotFound, also for one that is gone."""
    wanted = table.c.id == number if number is not None else table.c.uri == uri
    row = connection.execute(
        select(*IMAGE_COLUMNS).where(table.c.collection_id == collection_id, table.c.gone == 0, wanted)
    ).first()
    if row is None:
        raise ImageNotFound(f"there is no image {number if number is not None else uri!r} in this collection")
    return ImageRow(*row)


def present_ids(connection: Connection, collection_id: int) -> NDArray[np.int64]:
    """The ids of the images that are there, ascending."""
    query = select(table.c.id).where(table.c.collection_id == collection_id, table.c.gone == 0).order_by(table.c.id)
    return np.array(list(connection.execute(query).scalars()), dtype=np.int64)


def present_uris(connection: Connection, uris: Iterable[str]) -> set[str]:
    """Those of these uris under which an image is there, in any collection."""
    found: set[str] = set()
    for chunk in chunks(sorted(set(uris))):
        found |= set(connection.execute(select(table.c.uri).where(table.c.uri.in_(chunk), table.c.gone == 0)).scalars())
    return found


def _begins(prefix: str) -> ColumnElement[bool]:
    # Not LIKE, which folds case on SQLite and reads % and _ in file names.
    if prefix.endswith("/"):
        return func.substr(table.c.uri, 1, len(prefix)) == prefix
    return table.c.uri == prefix


def _image_values(image: NewImage, collection_id: int, revision: int, stamp: dt.datetime) -> dict[str, object]:
    return {
        "collection_id": collection_id,
        "uri": image.uri,
        "content_hash": image.content_hash,
        "size": image.size,
        "mtime_ns": image.mtime_ns,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "taken_at": image.taken_at.replace(tzinfo=dt.UTC) if image.taken_at else None,
        "modified_at": _as_datetime(image.mtime_ns),
        "pixel_hash": image.pixel_hash,
        "gone": 0,
        "revision": revision,
        "indexed_at": stamp,
    }


def _as_datetime(mtime_ns: int | None) -> dt.datetime | None:
    if mtime_ns is None:
        return None
    try:
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=mtime_ns // 1_000)
    except OverflowError:  # a time stamp that no calendar holds, as some archives write
        return None


def chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
