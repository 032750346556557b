"""Makes an index of the kind that suits its size; knows nothing of faiss until it is called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.vector_index import sizes
from clipsearch.vector_index.protocol import VectorIndex
from clipsearch.vector_index.validity import distinct_ids, unit_queries, unit_rows

if TYPE_CHECKING:
    from clipsearch.vector_index.generation import Generation


log = logging.getLogger(__name__)

Check = Callable[[], None]


def build_index(
    dimension: int,
    ids: NDArray[np.int64],
    vectors: NDArray[np.floating],
    *,
    text_like: Mapping[str, NDArray[np.floating]] | None = None,
    exact_bytes: int = sizes.EXACT_BYTES,
    floor: float = sizes.RECALL_FLOOR,
) -> VectorIndex:
    """An index over ``vectors`` [n, dimension] (float16 or float32, unit length) under ``ids`` int64 [n].

    The kind follows from the size (:func:`~clipsearch.vector_index.sizes.choose_kind`). Above ``exact_bytes``
    cells are trained, and as many of them probed as images held back, and the text queries [m, dimension] in
    ``text_like``, need for recall@10 above ``floor``; where they do not reach it, the index is exact all the same
    and its ``trial`` says why.

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
    return _suited(Generation(dimension, [segment]), text_like, exact_bytes, floor, lambda: None)


class RowsById:
    """Takes rows in any order, each to the place where it will stay, and makes an exact index of them: of millions of
    rows there is never a second copy. ``ids`` int64 [n] ascend and are all that may come."""

    def __init__(self, dimension: int, ids: NDArray[np.int64]) -> None:
        from clipsearch.vector_index.rows import StoredRows

        self._rows = StoredRows(dimension, len(ids))
        self._ids = distinct_ids(ids, len(ids))
        if (self._ids[1:] < self._ids[:-1]).any():
            raise ValueError("the ids do not ascend")
        self._there = np.zeros(len(ids), dtype=np.bool_)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Some rows: ``vectors`` [m, dimension], finite and of unit length. Raises ValueError for unknown ids."""
        if not len(ids):
            return
        positions = np.minimum(np.searchsorted(self._ids, ids), max(0, len(self._ids) - 1))
        if not len(self._ids) or (self._ids[positions] != ids).any():
            raise ValueError("there are rows of which nothing was said")
        self._rows.put(positions, vectors)
        self._there[positions] = True

    def index(self) -> VectorIndex:
        """The exact index of all that came; nothing may be added after that."""
        from clipsearch.vector_index.generation import Generation
        from clipsearch.vector_index.segments import Segment

        count = int(np.count_nonzero(self._there))
        alive = None if count == len(self._ids) else self._there
        return Generation(self._rows.dimension, [Segment(self._ids, self._rows, count, alive)] if count else [])


def rebuild_due(index: VectorIndex, *, exact_bytes: int = sizes.EXACT_BYTES, floor: float = sizes.RECALL_FLOOR) -> bool:
    """Whether :func:`rebuilt` would serve better: the kind does not suit the size, or the cells are outgrown.

    Cells that were to reach ``floor`` and did not are not tried again before the collection has doubled or halved.
    `with_changes` never trains, since that takes up to minutes and a change must not: an index that grew past the
    border goes on exactly, and more slowly, until it is rebuilt beside the served one.
    """
    from clipsearch.vector_index.generation import Generation

    if not isinstance(index, Generation) or not len(index):
        return False
    wanted, trial = sizes.choose_kind(len(index), index.dimension, exact_bytes), index.trial
    if wanted == sizes.FLAT:
        return index.kind != sizes.FLAT
    if trial is None or not trial.rows / 2 <= len(index) <= trial.rows * 2:
        return True
    if trial.passed(floor):
        return index.kind == sizes.FLAT
    return index.kind == sizes.CELLS or trial.floor < floor


def rebuilt(
    index: VectorIndex,
    *,
    text_like: Mapping[str, NDArray[np.floating]] | None = None,
    exact_bytes: int = sizes.EXACT_BYTES,
    floor: float = sizes.RECALL_FLOOR,
    check: Check = lambda: None,
) -> VectorIndex:
    """The same rows as `build_index` would hold them, from memory and not from the database.

    ``check`` is called now and then while cells are trained; what it raises ends the work and is let pass.
    """
    from clipsearch.vector_index.generation import Generation

    if not isinstance(index, Generation) or not len(index):
        return index
    return _suited(index.compacted(), text_like, exact_bytes, floor, check)


def exactly(index: VectorIndex) -> VectorIndex:
    """The same index without its cells, answering exactly; its trial stays, to say why."""
    from clipsearch.vector_index.generation import Generation

    if not isinstance(index, Generation) or index.kind == sizes.FLAT:
        return index
    return Generation(index.dimension, [replace(segment, cells=None) for segment in index.segments], index.trial)


def _suited(
    index: Generation,
    text_like: Mapping[str, NDArray[np.floating]] | None,
    exact_bytes: int,
    floor: float,
    check: Check,
) -> Generation:
    """The one segment of ``index``, with or without cells as its size and their recall want."""
    from clipsearch.vector_index.generation import Generation

    [segment] = index.segments
    if sizes.choose_kind(len(index), index.dimension, exact_bytes) == sizes.FLAT:
        return Generation(index.dimension, [replace(segment, cells=None)])
    from clipsearch.vector_index import training  # and with it torch

    samples = {name: unit_queries(sample, index.dimension) for name, sample in (text_like or {}).items()}
    cells = training.trained(segment.rows, samples, floor=floor, check=check)
    if not cells.trial.passed(floor):
        log.warning(
            "an approximate index of %d rows would find %.3f of the neighbours of images and %.3f of those of texts, "
            "which is below %.3f; search stays exact",
            len(index), cells.trial.recall_image, cells.trial.recall_text, floor,
        )  # fmt: skip
        return Generation(index.dimension, [replace(segment, cells=None)], cells.trial)
    return Generation(index.dimension, [replace(segment, cells=cells)])
