"""Take over a folder that clip-retrieval wrote; knows that what stands here already need not be brought again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile, ImportReport
from clipsearch.attributes import merged
from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.images import NewImage
from clipsearch.database.kept_images import kept_images
from clipsearch.database.leases import Lease, renew_lease
from clipsearch.database.vectors import to_blobs
from clipsearch.datasets import EmbeddedPart, count_rows, find_parts, read_table
from clipsearch.errors import InvalidInput
from clipsearch.importing.columns import Columns
from clipsearch.importing.models import collection_of, described_model
from clipsearch.importing.rows import read_vectors, to_unit
from clipsearch.library import Library
from clipsearch.model import Model

ROWS = 5_000
TEXTS = "text_emb"


@dataclass
class _Brought:
    """What an import has done so far."""

    imported: int = 0
    unchanged: int = 0
    failed: list[FailedFile] = field(default_factory=list)


@dataclass(frozen=True)
class _Batch:
    """Some rows of a part with what the table says of them."""

    part: EmbeddedPart
    start: int
    vectors: NDArray[np.floating]
    told: Sequence[dict[str, Any]]


def import_clip_retrieval(
    library: Library,
    folder: Path,
    *,
    model: str,
    logit_scale: float | None = None,
    logit_bias: float | None = None,
    collection: str | None = None,
    root: Path | None = None,
) -> ImportReport:
    """Put the image embeddings of a folder into a collection, with the columns of its tables as attributes.

    An image's uri is its url, else its path; ``root`` is where relative paths begin. Done in batches, each of which
    stands when it is committed: an import that was cut short is run again, and what stands already is counted as
    unchanged. Rows that have no name or no direction are reported and not stored. Text embeddings are left where they
    are. Raises NotFound, InvalidInput, ModelMismatch, AlreadyRunning, ConfigError without pyarrow.
    """
    started = time.monotonic()
    parts = find_parts(folder)
    dimension = _checked(parts)
    described = described_model(library, model, dimension, logit_scale, logit_bias)
    row = collection_of(library, collection, described)
    columns, brought = Columns(root), _Brought()
    with library.lease(row, f"importing {folder.name}") as lease:
        for batch in _batches(parts):
            _bring(library, row, described, lease, batch, columns, brought)
        library.keep_snapshot(row)
    return ImportReport(
        collection=row.name,
        label_set=None,
        model=described.name,
        imported=brought.imported,
        unchanged=brought.unchanged,
        failed=brought.failed,
        warnings=_warnings(folder, columns),
        seconds=round(time.monotonic() - started, 3),
    )


def _checked(parts: Sequence[EmbeddedPart]) -> int:
    """The dimension of all parts. Raises InvalidInput where parts or their halves do not fit together."""
    dimensions: dict[int, Path] = {}
    for part in parts:
        shape = read_vectors(part.embeddings, empty=True).shape
        rows = count_rows(part.table)
        if shape[0] != rows:
            raise InvalidInput(f"{part.embeddings} holds {shape[0]} rows, but {part.table} {rows}; which belongs to "
                               "which cannot be told")  # fmt: skip
        dimensions.setdefault(shape[1], part.embeddings)
    if len(dimensions) > 1:
        told = ", ".join(f"{path} has {dimension}" for dimension, path in dimensions.items())
        raise InvalidInput(f"the parts have different dimensions, as if by different models: {told}")
    return next(iter(dimensions))


def _batches(parts: Sequence[EmbeddedPart]) -> Iterator[_Batch]:
    for part in parts:
        vectors = read_vectors(part.embeddings, empty=True)
        start = 0
        for told in read_table(part.table, ROWS):
            yield _Batch(part, start, vectors[start : start + len(told)], told)
            start += len(told)


def _bring(
    library: Library,
    row: CollectionRow,
    model: Model,
    lease: Lease,
    batch: _Batch,
    columns: Columns,
    brought: _Brought,
) -> None:
    """One transaction: what is new or another than before is saved, the rest is counted."""
    images, told = _images(batch, columns, brought)
    with library.database.write() as connection:
        renew_lease(connection, lease, library.settings.lease_seconds)
        model_id = model_rows.keep_model(connection, model).id
        before = kept_images(connection, row.id, model_id, [image.uri for image in images])
        blobs = to_blobs(np.stack([image.vector for image in images])) if images else []
        new = [
            image
            for image, blob in zip(images, blobs, strict=True)
            if (known := before.get(image.uri)) is None or known.gone or known.vector != blob
        ]
        if new:
            revision = collection_rows.advance(connection, row.id)
            image_rows.save_images(connection, row.id, revision, model_id, new)
        changed = _save_attributes(connection, row.id, model_id, told)
    touched = {image.uri for image in new} | changed
    brought.imported += len(touched)
    brought.unchanged += len(images) - len(touched)


def _save_attributes(
    connection: Connection, collection_id: int, model_id: int, told: dict[str, dict[str, Any]]
) -> set[str]:
    """Keep what is told of images where it is another than before; the uris of those."""
    kept = kept_images(connection, collection_id, model_id, list(told))
    wanted = {uri: _joined(kept[uri].attributes, attributes) for uri, attributes in told.items()}
    others = {uri: attributes for uri, attributes in wanted.items() if (kept[uri].attributes or {}) != attributes}
    image_rows.set_attributes(connection, {kept[uri].id: attributes for uri, attributes in others.items()})
    return set(others)


def _joined(before: dict[str, Any] | None, told: dict[str, Any]) -> dict[str, Any]:
    """What is told of an image, beside what its owner said of it here, as long as there is room for both."""
    try:
        return merged(before, told)
    except ValueError:
        return told


def _images(batch: _Batch, columns: Columns, brought: _Brought) -> tuple[list[NewImage], dict[str, dict[str, Any]]]:
    """The images of a batch that can be stored, and what is told of each, by uri."""
    unit, norms, faulty = to_unit(batch.vectors)
    images: list[NewImage] = []
    told: dict[str, dict[str, Any]] = {}
    for place, (row, vector, norm, bad) in enumerate(zip(batch.told, unit, norms, faulty, strict=True)):
        uri = columns.uri(row)
        where = f"row {batch.start + place} of {batch.part.table.name}"
        if uri is None:
            reason = f"{where} has neither a url nor an image_path that can be a name"
            brought.failed.append(FailedFile(uri=where, code="no_name", reason=reason))
        elif bad:
            reason = f"the embedding of {where} is zero or not finite"
            brought.failed.append(FailedFile(uri=uri, code="no_embedding", reason=reason))
        else:
            images.append(NewImage(uri=uri, vector=vector, norm=float(norm), dtype=str(batch.vectors.dtype)))
            told[uri] = columns.attributes(row)
    return images, told


def _warnings(folder: Path, columns: Columns) -> list[str]:
    found = [f"{what}: {count:,}" for what, count in columns.lost.items()]
    if any((folder / TEXTS).glob("*.npy")):
        found.append(f"the text embeddings in {TEXTS} were left where they are: a collection holds images")
    return found
