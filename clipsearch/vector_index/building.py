"""Makes an index of the kind that suits its size; knows nothing of faiss until it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.protocol import VectorIndex
from clipsearch.vector_index.validity import distinct_ids, unit_queries, unit_rows

if TYPE_CHECKING:
    from clipsearch.vector_index.generation import Generation


def build_index(
    dimension: int,
    ids: NDArray[np.int64],
    vectors: NDArray[np.floating],
    *,
    text_like: Mapping[str, NDArray[np.floating]] | None = None,
    exact_bytes: int = sizes.EXACT_BYTES,
) -> VectorIndex:
    """An index over ``vectors`` [n, dimension] (float16 or float32, unit length) under ``ids`` int64 [n].

    The kind follows from the size (:func:`~clipsearch.vector_index.sizes.choose_kind`). Above ``exact_bytes``
    cells are trained, and as many of them probed as images held back, and each sample of queries
    [m, dimension] in ``text_like``, need for the recall target.

    Raises InvalidVector naming the positions of rows that are not finite, zero, not of unit length or of
    another dimension, and ValueError for ids that are negative or repeated.
    """
    from clipsearch.vector_index.generation import Generation, segment_of

    if dimension < 1:
        raise ValueError(f"a vector has at least one dimension, not {dimension}")
    checked = unit_rows(vectors, dimension)
    distinct = distinct_ids(ids, len(checked))
    if not len(checked):
        return Generation(dimension)
    segment = segment_of(dimension, distinct, checked)
    return _suited(Generation(dimension, [segment]), text_like, exact_bytes)


def rebuild_due(index: VectorIndex, *, exact_bytes: int = sizes.EXACT_BYTES) -> bool:
    """Whether :func:`rebuilt` would serve better: the kind does not suit the size, or the cells are outgrown.

    `with_changes` never trains, since that takes up to minutes and a change must not: an index that grew past
    the border goes on exactly, and more slowly, until it is rebuilt beside the served one.
    """
    from clipsearch.vector_index.generation import Generation

    if not isinstance(index, Generation) or not len(index):
        return False
    if index.kind != sizes.choose_kind(len(index), index.dimension, exact_bytes):
        return True
    cells = index.segments[0].cells
    return cells is not None and not cells.trained_on / 2 <= len(index) <= cells.trained_on * 2


def rebuilt(
    index: VectorIndex,
    *,
    text_like: Mapping[str, NDArray[np.floating]] | None = None,
    exact_bytes: int = sizes.EXACT_BYTES,
) -> VectorIndex:
    """The same rows as `build_index` would hold them, from memory and not from the database."""
    from clipsearch.vector_index.generation import Generation

    if not isinstance(index, Generation) or not len(index):
        return index
    return _suited(index.compacted(), text_like, exact_bytes)


def _suited(index: Generation, text_like: Mapping[str, NDArray[np.floating]] | None, exact_bytes: int) -> Generation:
    """The one segment of ``index``, with or without cells as its size wants."""
    from clipsearch.vector_index import cells
    from clipsearch.vector_index.generation import Generation

    [segment] = index.segments
    trained = None
    if sizes.choose_kind(len(index), index.dimension, exact_bytes) == sizes.CELLS:
        samples = {name: unit_queries(sample, index.dimension) for name, sample in (text_like or {}).items()}
        trained = cells.trained(segment.rows, samples)
    return Generation(index.dimension, [replace(segment, cells=trained)])
