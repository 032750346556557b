"""Take over embeddings from an .npy file and a list of names, of images and of labels."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile, ImportReport
from clipsearch.built_in import is_built_in
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import label_embeddings as label_vectors
from clipsearch.database import label_sets as label_rows
from clipsearch.database import models as model_rows
from clipsearch.database.images import NewImage
from clipsearch.database.leases import renew_lease
from clipsearch.errors import InvalidInput, InvalidLabelSet, InvalidVector
from clipsearch.importing.models import collection_of, described_model
from clipsearch.importing.rows import check_counts, read_names, read_vectors, to_unit
from clipsearch.label_files import MAX_STORED_LABELS
from clipsearch.label_set import LabelSet
from clipsearch.library import Library
from clipsearch.prompts import (
    MAX_LABEL,
    PLAIN_TEMPLATE,
    check_set_name,
    check_template,
    clean_text,
    repeated_labels,
)

ROWS = 5_000


def import_embeddings(
    library: Library,
    embeddings: Path,
    names: Path,
    *,
    model: str,
    logit_scale: float | None = None,
    logit_bias: float | None = None,
    collection: str | None = None,
) -> ImportReport:
    """Put the rows of an .npy file [n, d] into a collection as images named by a JSON list, in batches.

    Rows are brought to unit length; one that is zero or not finite is reported and not stored. A collection that
    is not there is made with ``model``. Raises InvalidInput, InvalidVector, ModelMismatch, AlreadyRunning.
    """
    started = time.monotonic()
    rows, uris = read_vectors(embeddings), read_names(names)
    check_counts(rows, uris, embeddings, names)
    repeated = [uri for uri, count in Counter(uris).items() if count > 1]
    if repeated:
        raise InvalidInput(f"{names} names {repeated[0]!r} twice; every image of a collection has a name of its own")
    described = described_model(library, model, rows.shape[1], logit_scale, logit_bias)
    row = collection_of(library, collection, described)
    failed: list[FailedFile] = []
    added = 0
    with library.lease(row, f"importing {embeddings.name}") as lease:
        for start in range(0, len(uris), ROWS):
            images = _new_images(rows[start : start + ROWS], uris[start : start + ROWS], failed)
            with library.database.write() as connection:
                renew_lease(connection, lease, library.settings.lease_seconds)
                kept = model_rows.keep_model(connection, described)
                if images:
                    revision = collection_rows.advance(connection, row.id)
                    image_rows.save_images(connection, row.id, revision, kept.id, images)
            added += len(images)
        library.keep_snapshot(row)
    return ImportReport(
        collection=row.name,
        label_set=None,
        model=described.name,
        imported=added,
        failed=failed,
        warnings=[],
        seconds=round(time.monotonic() - started, 3),
    )


def import_label_set(
    library: Library,
    name: str,
    embeddings: Path,
    names: Path,
    *,
    model: str,
    logit_scale: float | None = None,
    logit_bias: float | None = None,
    templates: tuple[str, ...] = (PLAIN_TEMPLATE,),
    replace: bool = False,
) -> ImportReport:
    """Store a label set with the embeddings [n, d] that belong to its names, so that it needs no encoder.

    Names that repeat are kept apart by their position, with a warning. Raises InvalidInput, InvalidLabelSet,
    InvalidTemplate, InvalidVector, AlreadyExists, ModelMismatch.
    """
    started = time.monotonic()
    name = check_set_name(name)
    if is_built_in(name):
        raise InvalidLabelSet(f"{name!r} names a built-in set; import under another name: --name NAME")
    templates = tuple(check_template(template) for template in templates) or (PLAIN_TEMPLATE,)
    rows, labels = read_vectors(embeddings), read_names(names)
    check_counts(rows, labels, embeddings, names)
    labels = _checked_labels(labels, names)
    described = described_model(library, model, rows.shape[1], logit_scale, logit_bias)
    vectors, _, faulty = to_unit(rows)
    if faulty.any():
        position = int(np.argmax(faulty))
        raise InvalidVector(f"row {position} of {embeddings} (the label {labels[position]!r}) is zero or not finite")
    with library.database.write() as connection:
        kept = model_rows.keep_model(connection, described)
        label_set = label_rows.save_label_set(
            connection, name, LabelSet.of(((label, [label]) for label in labels), templates), replace=replace
        )
        label_vectors.save_label_embeddings(connection, label_set, kept.id, vectors)
    return ImportReport(
        collection=None,
        label_set=name,
        model=described.name,
        imported=len(labels),
        failed=[],
        warnings=repeated_labels(labels),
        seconds=round(time.monotonic() - started, 3),
    )


def _checked_labels(labels: list[str], source: Path) -> list[str]:
    if not 2 <= len(labels) <= MAX_STORED_LABELS:
        raise InvalidLabelSet(f"{source} names {len(labels)} labels; a label set has at least two labels and at most "
                              f"{MAX_STORED_LABELS}")  # fmt: skip
    return [clean_text(label, what=f"the label {label[:20]!r} of {source}", limit=MAX_LABEL) for label in labels]


def _new_images(rows: NDArray[np.floating], uris: list[str], failed: list[FailedFile]) -> list[NewImage]:
    unit, norms, faulty = to_unit(rows)
    failed += [
        FailedFile(uri=uri, code="no_embedding", reason="its embedding is zero or not finite")
        for uri, bad in zip(uris, faulty, strict=True)
        if bad
    ]
    return [
        NewImage(uri=uri, vector=vector, norm=float(norm), dtype=str(rows.dtype))
        for uri, vector, norm, bad in zip(uris, unit, norms, faulty, strict=True)
        if not bad
    ]
