"""Classify given pictures or stored images; knows which model answers, and what is said with the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipsearch.answers import Classification, ClassifyAnswer, FailedFile
from clipsearch.classifying.choices import choice_of, label_set_of
from clipsearch.classifying.pictures import PictureSource, encode_pictures, open_pictures
from clipsearch.classifying.scoring import predict
from clipsearch.classifying.stored import classify_all
from clipsearch.database import models as model_rows
from clipsearch.database.collections import find_collection
from clipsearch.database.images import image_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.models import ModelRow
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


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
    label_set = label_set_of(library, labels)
    encoder, model = _encoder(library, collection)
    choice = choice_of(library, label_set, model, lambda: encoder)
    names = choice.names
    results: list[Classification] = []
    failed: list[FailedFile] = []
    batch_size = encoder.batch_size
    for start in range(0, len(sources), batch_size):
        opened = open_pictures(library, sources[start : start + batch_size], encoder, failed)
        named, images = encode_pictures(encoder, opened, failed)
        for name, found in zip(named, predict(images, choice.vectors, names, model.model, top), strict=True):
            results.append(Classification(uri=name, label=found[0].label, predictions=found))
    return _answer(label_set, model.model.name, results, failed, choice.warnings(encoder))


def classify_stored(
    library: Library,
    labels: Labels,
    *,
    collection: str | None = None,
    ids: Sequence[int] | None = None,
    filters: Filters | None = None,
    top: int | None = 5,
) -> ClassifyAnswer:
    """Labels for images of a collection, as ``classify_all`` gives them, with the names of the images.

    For many images ``classify_all`` takes a thousandth of the memory. Raises as it does.
    """
    stored = classify_all(library, labels, collection=collection, ids=ids, filters=filters, top=top)
    row, choice, view = stored.collection, stored.choice, stored.view
    if choice is None or view is None:
        empty = f"the collection {row.name!r} holds no images yet"
        return _answer(stored.label_set, row.model_name, [], [], [empty])
    names = choice.names
    results: list[Classification] = []
    for block in stored:
        with library.database.read() as connection:
            rows = image_rows(connection, block.ids.tolist())
        for place, number in enumerate(block.ids.tolist()):
            if number in rows:
                found = block.ranked.predictions(place, names, view.model.model)
                uri = rows[number].uri
                results.append(Classification(uri=uri, image_id=number, label=found[0].label, predictions=found))
    encoder = library.loaded_encoder(row.model_name)
    return _answer(stored.label_set, view.model.model.name, results, [], choice.warnings(encoder))


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
