"""What a label set that is not saved yet makes of a sample of a collection: the best images of each label."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers.previews import LabelPreview, LabelSetPreview, PreviewImage
from clipsearch.classifying.stored import PredictionBlock, classify_all
from clipsearch.database.images import ImageRow, image_rows
from clipsearch.label_set import BACKGROUND, LabelSet
from clipsearch.library import Library
from clipsearch.queries import Filters
from clipsearch.scoring import decide

SAMPLE = 480
BEST = 8
SHOWN = 48
TOP = 3


def preview_label_set(
    library: Library,
    draft: LabelSet,
    *,
    collection: str | None = None,
    filters: Filters | None = None,
    sample: int = SAMPLE,
    best: int = BEST,
    shown: int = SHOWN,
) -> LabelSetPreview:
    """What this set would say of up to ``sample`` images that are spread evenly over the collection.

    No picture is opened. Of each label the ``best`` images, of ``shown`` others their labels. Raises
    CollectionNotFound, InvalidLabelSet, Conflict for an example that the library does not know, ModelUnavailable.
    """
    stored = classify_all(library, draft, collection=collection, filters=filters, top=None, at_most=sample)
    labels: list[LabelPreview] = []
    rows: dict[int, ImageRow] = {}
    images = rejected = 0
    for block in stored:  # a sample is one block, or none
        with library.database.read() as connection:
            rows = image_rows(connection, block.ids.tolist())
        labels = _labels(stored.label_set, block, rows, best)
        images += len(block.ids)
        rejected += sum(reason is not None for reason in decide(stored.label_set, block.ranked).rejected)
    # Another spread over the sample, so that what is shown is of all folders too.
    places = np.linspace(0, max(0, len(stored.ids) - 1), min(shown, len(stored.ids))).astype(np.int64)
    results = list(dataclasses.replace(stored, ids=stored.ids[places], top=TOP).classifications(library))
    named = {one.image_id for label in labels for one in label.best} | {one.image_id for one in results}
    return LabelSetPreview(
        collection=stored.collection.name,
        model=stored.model_name,
        images=images,
        rejected=rejected,
        templates=list(draft.templates),
        warnings=stored.warnings(library),
        labels=labels,
        results=results,
        pictures=[rows[number].info() for number in sorted(rows) if number in named],
    )


def _labels(label_set: LabelSet, block: PredictionBlock, rows: Mapping[int, ImageRow], best: int) -> list[LabelPreview]:
    accepted = decide(label_set, block.ranked).accepted
    places = list(range(len(label_set.labels)))
    if (block.ranked.positions == BACKGROUND).any():
        places.append(BACKGROUND)
    return [_label(label_set, place, block, accepted, rows, best) for place in places]


def _label(
    label_set: LabelSet,
    position: int,
    block: PredictionBlock,
    accepted: NDArray[np.bool_],
    rows: Mapping[int, ImageRow],
    best: int,
) -> LabelPreview:
    ranked = block.ranked
    images, columns = np.nonzero(ranked.positions == position)  # each label is ranked once for each image
    probabilities, scores = ranked.probabilities[images, columns], ranked.scores[images, columns]
    takes = accepted[images, columns]
    order = np.lexsort((-scores, -probabilities, ~takes))[:best]
    found = [(int(block.ids[images[place]]), place) for place in order.tolist()]
    return LabelPreview(
        label=None if position == BACKGROUND else label_set.labels[position].name,
        position=position,
        images=int((ranked.positions[:, 0] == BACKGROUND).sum()) if position == BACKGROUND else int(takes.sum()),
        best=[
            PreviewImage(
                image_id=number,
                score=float(scores[place]),
                probability=float(probabilities[place]),
                accepted=bool(takes[place]),
            )
            for number, place in found
            if number in rows
        ],
    )
