"""Classify given pictures or stored images; knows which model answers and which labels it chooses from."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Classification, ClassifyAnswer, FailedFile, Prediction
from clipsearch.classifying.label_vectors import label_vectors
from clipsearch.classifying.scoring import predict
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow, find_collection
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import get_image, image_rows
from clipsearch.database.label_sets import LabelRow, LabelSetRow, get_label_set
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidLabelSet, UnreadableImage
from clipsearch.images import open_picture
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, MAX_LABEL, check_template, clean_text
from clipsearch.queries import Filters, Labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

BLOCK = 4_096


@dataclass(frozen=True)
class PictureSource:
    """A picture to classify: ``data`` is a file's bytes or its path, ``name`` what the answer calls it."""

    name: str
    data: bytes | Path


def classify_pictures(
    library: Library,
    sources: Sequence[PictureSource],
    labels: Labels,
    *,
    collection: str | None = None,
    top: int | None = 5,
) -> ClassifyAnswer:
    """Labels for pictures that need not be in any collection.

    The model is that of the collection, or the settings' where there is none of that name. A picture that cannot
    be read stands in ``failed``. Raises LabelSetNotFound, InvalidLabelSet, ModelUnavailable.
    """
    label_set = _label_set(library, labels)
    encoder, model = _encoder(library, collection)
    vectors = label_vectors(library, label_set, model, lambda: encoder)
    results: list[Classification] = []
    failed: list[FailedFile] = []
    for start in range(0, len(sources), encoder.batch_size):
        batch = sources[start : start + encoder.batch_size]
        named, pictures = _open(library, batch, encoder, failed)
        if not pictures:
            continue
        images = encoder.encode_prepared(pictures).vectors
        for name, found in zip(named, _predict(images, vectors, label_set, model, top), strict=True):
            results.append(Classification(uri=name, label=found[0].label, predictions=found))
    return _answer(label_set, model, results, failed, _warnings(label_set, encoder))


def classify_stored(
    library: Library,
    labels: Labels,
    *,
    collection: str | None = None,
    ids: Sequence[int] | None = None,
    filters: Filters | None = None,
    top: int | None = 5,
) -> ClassifyAnswer:
    """Labels for images of a collection: these ids, those that pass the filters, or all of them.

    No picture is opened, and no model loaded when the label embeddings are kept. Raises CollectionNotFound,
    ImageNotFound, LabelSetNotFound, InvalidLabelSet.
    """
    label_set = _label_set(library, labels)
    row = library.collection(collection)
    view = library.index(row)
    if view is None:
        raise InvalidLabelSet(f"the collection {row.name!r} holds no images yet; index a folder first")
    vectors = label_vectors(library, label_set, view.model, lambda: library.encoder_for(row)[0])
    wanted = _wanted(library, row, ids, filters or Filters())
    wanted = wanted[np.isin(wanted, view.index.ids())]
    results: list[Classification] = []
    for start in range(0, len(wanted), BLOCK):
        block = wanted[start : start + BLOCK]
        with library.database.read() as connection:
            rows = image_rows(connection, block.tolist())
        block = np.array([number for number in block.tolist() if number in rows], dtype=np.int64)
        images = _unit(view.index.vectors(block))
        for number, found in zip(block.tolist(), _predict(images, vectors, label_set, view.model, top), strict=True):
            results.append(
                Classification(uri=rows[number].uri, image_id=number, label=found[0].label, predictions=found)
            )
    return _answer(label_set, view.model, results, [], _warnings(label_set, library.loaded_encoder(row.model_name)))


def _label_set(library: Library, labels: Labels) -> LabelSetRow:
    """The stored set, or one made of the labels in the question. Raises InvalidLabelSet for fewer than two."""
    if labels.label_set is not None:
        with library.database.read() as connection:
            label_set = get_label_set(connection, labels.label_set)
    else:
        names = [clean_text(name, what="a label", limit=MAX_LABEL) for name in labels.labels]
        templates = tuple(check_template(template) for template in labels.templates) or DEFAULT_TEMPLATES
        rows = tuple(LabelRow(0, position, name, (name,)) for position, name in enumerate(names))
        never = dt.datetime.now(dt.UTC)
        label_set = LabelSetRow(0, "", 0, "single", templates, rows, never, never)
    if len(label_set.labels) < 2:
        raise InvalidLabelSet(
            "a choice needs at least two labels: a single one would always get the probability 1; "
            "add what else it could be"
        )
    return label_set


def _encoder(library: Library, collection: str | None) -> tuple[Encoder, ModelRow]:
    with library.database.read() as connection:
        row = find_collection(connection, collection or library.settings.collection)
    if row is not None:
        return library.encoder_for(row)
    if collection is not None:
        library.collection(collection)  # raises, with the names that there are
    encoder = library.encoder(library.settings.model)
    with library.database.write() as connection:
        return encoder, model_rows.keep_model(connection, encoder.model)


def _open(
    library: Library, batch: Sequence[PictureSource], encoder: Encoder, failed: list[FailedFile]
) -> tuple[list[str], list[NDArray[np.float32]]]:
    names: list[str] = []
    pixels: list[NDArray[np.float32]] = []
    for source in batch:
        try:
            opened = open_picture(
                source.data, max_pixels=library.settings.max_pixels, reduced_to=encoder.model.image_size
            )
        except UnreadableImage as error:
            failed.append(FailedFile(uri=source.name, code=error.code, reason=error.message))
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror or error}"
            failed.append(FailedFile(uri=source.name, code="unreadable_file", reason=reason))
        else:
            names.append(source.name)
            pixels.append(encoder.prepare(opened.picture))
    return names, pixels


def _wanted(library: Library, row: CollectionRow, ids: Sequence[int] | None, filters: Filters) -> NDArray[np.int64]:
    with library.database.read() as connection:
        if ids is None:
            return filtered_ids(connection, row.id, filters)
        return np.array([get_image(connection, row.id, number=number).id for number in ids], dtype=np.int64)


def _predict(
    images: NDArray[np.float32],
    vectors: NDArray[np.float32],
    label_set: LabelSetRow,
    model: ModelRow,
    top: int | None,
) -> Iterator[list[Prediction]]:
    yield from predict(images, vectors, [label.name for label in label_set.labels], model.model, top)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _warnings(label_set: LabelSetRow, encoder: Encoder | None) -> list[str]:
    counts = Counter(label.name for label in label_set.labels)
    found = [
        f"the label {name!r} stands {count} times; its places are told apart by position"
        for name, count in counts.items()
        if count > 1
    ]
    if encoder is not None and encoder.vocabulary is not None:
        for label in label_set.labels:
            unknown = encoder.unknown_words(" ".join(label.prompts))
            if unknown:
                found.append(f"the model never saw {', '.join(unknown)} (label {label.name!r})")
    return found


def _answer(
    label_set: LabelSetRow,
    model: ModelRow,
    results: list[Classification],
    failed: list[FailedFile],
    warnings: list[str],
) -> ClassifyAnswer:
    return ClassifyAnswer(
        model=model.model.name,
        mode="single",
        label_set=label_set.name or None,
        label_set_version=label_set.version or None,
        templates=list(label_set.templates),
        warnings=warnings,
        results=results,
        failed=failed,
    )
