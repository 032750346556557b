"""Take over embeddings that were made elsewhere, of images and of labels; knows what must be refused of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile, ImportReport
from clipsearch.built_in import is_built_in
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import label_sets as label_rows
from clipsearch.database import models as model_rows
from clipsearch.database.images import NewImage
from clipsearch.database.leases import renew_lease
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidInput, InvalidLabelSet, InvalidVector, ModelMismatch, NotFound
from clipsearch.label_files import MAX_STORED_LABELS
from clipsearch.label_set import LabelSet
from clipsearch.library import Library
from clipsearch.model import Model
from clipsearch.prompts import (
    MAX_LABEL,
    PLAIN_TEMPLATE,
    check_set_name,
    check_template,
    clean_text,
    repeated_labels,
)

ROWS = 5_000
LEAST_NORM = 1e-6


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
    _check_counts(rows, uris, embeddings, names)
    repeated = [uri for uri, count in Counter(uris).items() if count > 1]
    if repeated:
        raise InvalidInput(f"{names} names {repeated[0]!r} twice; every image of a collection has a name of its own")
    described = _model(library, model, rows.shape[1], logit_scale, logit_bias)
    row, _ = library.ensure_collection(collection, described.name)
    if row.model_name != described.name:
        raise ModelMismatch(
            f"the collection {row.name!r} is of the model {row.model_name}, not {described.name}; "
            "import into another one: --collection NAME"
        )
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
    _check_counts(rows, labels, embeddings, names)
    labels = _checked_labels(labels, names)
    described = _model(library, model, rows.shape[1], logit_scale, logit_bias)
    vectors, _, faulty = _to_unit(rows)
    if faulty.any():
        position = int(np.argmax(faulty))
        raise InvalidVector(f"row {position} of {embeddings} (the label {labels[position]!r}) is zero or not finite")
    with library.database.write() as connection:
        kept = model_rows.keep_model(connection, described)
        label_set = label_rows.save_label_set(
            connection, name, LabelSet.of(((label, [label]) for label in labels), templates), replace=replace
        )
        label_rows.save_label_embeddings(connection, label_set, kept.id, vectors)
    return ImportReport(
        collection=None,
        label_set=name,
        model=described.name,
        imported=len(labels),
        failed=[],
        warnings=repeated_labels(labels),
        seconds=round(time.monotonic() - started, 3),
    )


def read_vectors(path: Path) -> NDArray[np.floating]:
    """The array [n, d] of an .npy file, mapped from disk; never unpickled. Raises NotFound, InvalidInput."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    try:
        rows: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidInput(f"{path} is no .npy file of numbers: {error}") from error
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] == 0 or not np.issubdtype(rows.dtype, np.floating):
        raise InvalidInput(f"{path} must hold floating point numbers of shape [n, d], not {rows.dtype} {rows.shape}")
    return rows


def read_names(path: Path) -> list[str]:
    """The names in a file: a JSON list of texts, or one a line. Raises NotFound, InvalidInput."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the names in {path} cannot be read: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise InvalidInput(f"{path} must hold a list of names, none of them empty")
    if any("\x00" in name or any("\ud800" <= letter <= "\udfff" for letter in name) for name in names):
        raise InvalidInput(f"a name in {path} holds a NUL character or half of a surrogate pair")
    return names


def _check_counts(rows: NDArray[np.floating], names: list[str], embeddings: Path, source: Path) -> None:
    if len(rows) != len(names):
        raise InvalidInput(f"{embeddings} holds {len(rows)} rows, but {source} {len(names)} names")


def _checked_labels(labels: list[str], source: Path) -> list[str]:
    if not 2 <= len(labels) <= MAX_STORED_LABELS:
        raise InvalidLabelSet(f"{source} names {len(labels)} labels; a label set has at least two labels and at most "
                              f"{MAX_STORED_LABELS}")  # fmt: skip
    return [clean_text(label, what=f"the label {label[:20]!r} of {source}", limit=MAX_LABEL) for label in labels]


def _model(library: Library, name: str, dimension: int, logit_scale: float | None, logit_bias: float | None) -> Model:
    """What the library knows of the model already, or what the caller says of it."""
    from clipsearch.encoder.names import parse_model_name

    name = parse_model_name(name).name
    with library.database.read() as connection:
        known = model_rows.find_model(connection, name)
    if known is not None:
        _check_known(known, dimension, logit_scale, logit_bias)
        return known.model
    if logit_scale is None:
        raise InvalidInput(
            f"this library does not know the model {name} yet; say its scale (100 for CLIP by OpenAI and most "
            "others): --logit-scale 100"
        )
    if not (np.isfinite(logit_scale) and logit_scale > 0) or not np.isfinite(logit_bias or 0.0):
        raise InvalidInput("the logit scale must be a positive number, and the bias a finite one")
    bias = logit_bias or 0.0
    return Model(name, dimension, logit_scale, bias, scoring="sigmoid" if bias else "softmax")


def _check_known(known: ModelRow, dimension: int, logit_scale: float | None, logit_bias: float | None) -> None:
    model = known.model
    if model.dimension != dimension:
        raise ModelMismatch(f"{model.name} has {model.dimension} dimensions, not {dimension}")
    for what, ours, theirs in (
        ("scale", model.logit_scale, logit_scale),
        ("bias", model.logit_bias, logit_bias),
    ):
        if theirs is not None and abs(ours - theirs) > 1e-3 * max(1.0, abs(ours)):
            raise ModelMismatch(f"the logit {what} of {model.name} is {ours:g} in this library, not {theirs:g}")


def _new_images(rows: NDArray[np.floating], uris: list[str], failed: list[FailedFile]) -> list[NewImage]:
    unit, norms, faulty = _to_unit(rows)
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


def _to_unit(
    rows: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    """Unit rows in float32, the length of each before, and which of them have no direction."""
    wide = np.asarray(rows, dtype=np.float64)
    with np.errstate(all="ignore"):  # NaN and overflow are what is looked for
        norms = np.linalg.norm(wide, axis=1)
        faulty = ~(np.isfinite(norms) & (norms > LEAST_NORM))
        unit = np.where(faulty[:, None], 0.0, wide / np.where(faulty, 1.0, norms)[:, None])
    return unit.astype(np.float32), norms, faulty
