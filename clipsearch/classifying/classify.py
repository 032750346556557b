"""Classify given pictures or stored images; knows which model answers, and what is said with the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipsearch.answers import Classification, ClassifyAnswer, FailedFile
from clipsearch.choices import choice_of, label_set_of
from clipsearch.classifying.pictures import PictureSource, encode_pictures, open_pictures
from clipsearch.classifying.stored import classify_all
from clipsearch.classifying.telling import answer_of, told
from clipsearch.database import models as model_rows
from clipsearch.database.collections import find_collection
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
    return classify_with_sets(library, sources, [labels], collection=collection, top=top)[0]


def classify_with_sets(
    library: Library,
    sources: Sequence[PictureSource],
    sets: Sequence[Labels],
    *,
    collection: str | None = None,
    top: int | None = 5,
) -> list[ClassifyAnswer]:
    """Labels of several sets for the same pictures, one answer for each set; every picture is encoded once.

    Otherwise as ``classify_pictures``.
    """
    chosen = [label_set_of(library, labels) for labels in sets]
    encoder, model = _encoder(library, collection)
    choices = [choice_of(library, label_set, model, lambda: encoder) for label_set in chosen]
    rankers = [choice.ranker(top, len(sources)) for choice in choices]
    results: list[list[Classification]] = [[] for _ in choices]
    failed: list[FailedFile] = []
    batch_size = encoder.batch_size
    for start in range(0, len(sources), batch_size):
        opened = open_pictures(library, sources[start : start + batch_size], encoder, failed)
        named, images = encode_pictures(encoder, opened, failed)
        for found, label_set, rank in zip(results, chosen, rankers, strict=True):
            found.extend(told(label_set, rank(images), named))
    return [
        answer_of(label_set, model.model.name, found, failed, choice.warnings(encoder))
        for label_set, found, choice in zip(chosen, results, choices, strict=True)
    ]


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
    results = list(stored.classifications(library))
    return answer_of(stored.label_set, stored.model_name, results, [], stored.warnings(library))


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
