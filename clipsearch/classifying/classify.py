"""Classify given pictures or stored images; knows which model answers and which labels it chooses from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Classification, ClassifyAnswer, FailedFile, Prediction
from clipsearch.classifying.label_vectors import label_vectors
from clipsearch.classifying.label_warnings import label_warnings
from clipsearch.classifying.pictures import PictureSource, encode_pictures, open_pictures
from clipsearch.classifying.scoring import predict
from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow, find_collection
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import get_image, image_rows
from clipsearch.database.label_sets import LabelRow, LabelSetRow, get_label_set
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidInput, InvalidLabelSet
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, MAX_LABEL, check_template, clean_text
from clipsearch.queries import Filters, Labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

BLOCK = 4_096


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
    be read, or that the model makes nothing of, stands in ``failed``. Raises LabelSetNotFound, InvalidLabelSet,
    ModelUnavailable.
    """
    label_set = _label_set(library, labels)
    encoder, model = _encoder(library, collection)
    vectors, from_words = label_vectors(library, label_set, model, lambda: encoder)
    results: list[Classification] = []
    failed: list[FailedFile] = []
    batch_size = encoder.batch_size
    for start in range(0, len(sources), batch_size):
        opened = open_pictures(library, sources[start : start + batch_size], encoder, failed)
        named, images = encode_pictures(encoder, opened, failed)
        for name, found in zip(named, _predict(images, vectors, label_set, model, top), strict=True):
            results.append(Classification(uri=name, label=found[0].label, predictions=found))
    warnings = label_warnings(label_set, encoder if from_words else None)
    return _answer(label_set, model.model.name, results, failed, warnings)


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
    ImageNotFound, InvalidInput for one of the ids that has no embedding, LabelSetNotFound, InvalidLabelSet.
    """
    label_set = _label_set(library, labels)
    row = library.collection(collection)
    view = library.index(row)
    wanted = _wanted(library, row, ids, filters or Filters())
    there = np.isin(wanted, view.index.ids()) if view else np.zeros(len(wanted), dtype=np.bool_)
    if ids is not None and not there.all():
        raise InvalidInput(f"image {wanted[~there][0]} has no embedding by {row.model_name}; index it again")
    if view is None or len(view.index) == 0:
        return _answer(label_set, row.model_name, [], [], [f"the collection {row.name!r} holds no images yet"])
    wanted = wanted[there]
    vectors, from_words = label_vectors(library, label_set, view.model, lambda: library.encoder_for(row)[0])
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
    encoder = library.loaded_encoder(row.model_name) if from_words else None
    warnings = label_warnings(label_set, encoder)
    return _answer(label_set, view.model.model.name, results, [], warnings)


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


def _answer(
    label_set: LabelSetRow,
    model: str,
    results: list[Classification],
    failed: list[FailedFile],
    warnings: list[str],
) -> ClassifyAnswer:
    return ClassifyAnswer(
        model=model,
        mode="single",
        label_set=label_set.name or None,
        label_set_version=label_set.version or None,
        templates=list(label_set.templates),
        warnings=warnings,
        results=results,
        failed=failed,
    )
