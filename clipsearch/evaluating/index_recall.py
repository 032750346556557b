"""The recall of a collection's vector index against exact search, for images and for texts apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import IndexRecallAnswer, MeasuredFigure, RecallFigures
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import text_vectors
from clipsearch.errors import ClipSearchError, InvalidInput
from clipsearch.indexes import IndexView
from clipsearch.library import Library
from clipsearch.metrics import mean_interval
from clipsearch.vector_index import VectorIndex
from clipsearch.vector_index.sample_texts import sample_texts

NEIGHBOURS = 10
QUERIES = 500
FEWEST_KEPT_TEXTS = 100
BLOCK = 64


def index_recall(
    library: Library, *, collection: str | None = None, queries: int = QUERIES, neighbours: int = NEIGHBOURS
) -> IndexRecallAnswer:
    """The share of the exact ``neighbours`` that a search by the index finds, over up to ``queries`` of each kind.

    Image queries are images of the collection, drawn by chance, which do not count as their own neighbours. Text
    queries are the prompts that the library keeps embeddings of; where they are few, sample texts that the model
    embeds; without its weights no text is measured, and the answer says so. Raises CollectionNotFound, InvalidInput
    for an empty collection.
    """
    row = library.collection(collection)
    view = library.index(row)
    if view is None or len(view.index) < 2:
        raise InvalidInput(f"the collection {row.name!r} holds too few images to measure its index")
    index = view.index
    chance = np.random.default_rng(0)
    own = np.sort(chance.choice(index.ids(), min(queries, len(index)), replace=False))
    texts, source = _texts(library, row, view, queries)
    trial = index.trial
    approximate = index.kind != "flat_fp16"
    return IndexRecallAnswer(
        collection=row.name,
        model=view.model.model.name,
        kind=index.kind,
        images=len(index),
        neighbours=neighbours,
        probes=trial.probes if trial and approximate else None,
        cells=trial.cells if trial and approximate else None,
        by_image=_figures(index, index.vectors(own), neighbours, "images of the collection", own),
        by_text=_figures(index, texts, neighbours, source, None),
    )


def _texts(library: Library, row: CollectionRow, view: IndexView, limit: int) -> tuple[NDArray[np.float32], str]:
    dimension = view.model.model.dimension
    with library.database.read() as connection:
        kept = text_vectors(connection, view.model.id, dimension, limit)
    if len(kept) >= min(limit, FEWEST_KEPT_TEXTS):
        return kept, "prompts that the library keeps"
    try:
        encoder, _ = library.text_encoder_for(row)
        return encoder.encode_texts(sample_texts(min(limit, 250))).vectors, "sample texts"
    except ClipSearchError as error:
        if len(kept):
            return kept, "prompts that the library keeps"
        return np.empty(
            (0, dimension), np.float32
        ), f"no text embeddings are kept, and none can be made: {error.message}"


def _figures(
    index: VectorIndex, rows: NDArray[np.float32], k: int, source: str, own: NDArray[np.int64] | None
) -> RecallFigures:
    shares: list[float] = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        width = k + (own is not None)
        exact = index.search(block, width, exact=True)
        found = index.search(block, width)
        for place, (truth, got) in enumerate(zip(exact, found, strict=True)):
            itself = -1 if own is None else int(own[start + place])
            true = [number for number in truth.ids.tolist() if number != itself][:k]
            given = [number for number in got.ids.tolist() if number != itself][:k]
            shares.append(len(set(true) & set(given)) / len(true))
    if not shares:
        return RecallFigures(queries=0, source=source, recall=None)
    interval = mean_interval(shares)
    recall = MeasuredFigure(value=interval.estimate, low=interval.low, high=interval.high)
    return RecallFigures(queries=len(shares), source=source, recall=recall, worst=min(shares))
