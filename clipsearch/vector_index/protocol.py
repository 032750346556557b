"""What every vector index promises; knows the words of the room and nothing of faiss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The answer to one query, best first, equal scores by smaller id.

    ``ids`` is int64 [m], ``scores`` float32 [m], with m = min(k, rows that may be found): there is no
    padding. A score is the cosine similarity in [-1, 1].
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Pairs of (id, score), best first."""
        return zip(self.ids.tolist(), self.scores.tolist(), strict=True)


@dataclass(frozen=True)
class Trial:
    """What cells were measured to find, before they were put in service or were not.

    Recall is the share of the ten exact neighbours that was found, by ``image_queries`` rows that were held back
    from training and by ``text_queries`` texts apart: texts lie apart from images, and what serves the one may fail
    the other. ``text_source`` says which texts: ``stored`` and ``encoded`` ones are the model's, ``synthetic`` ones
    vectors of their geometry.
    """

    rows: int  # there were when the cells were trained
    cells: int
    probes: int  # cells visited by a query
    filtered_probes: int  # cells visited under a filter that keeps a tenth of the rows
    width: int  # candidates re-ranked for ten neighbours
    recall_image: float
    recall_text: float
    image_queries: int
    text_queries: int
    text_source: str
    floor: float  # the recall that the parameters were chosen for

    def passed(self, floor: float) -> bool:
        """Whether both recalls reach ``floor``."""
        return min(self.recall_image, self.recall_text) >= floor


class VectorIndex(Protocol):
    """One immutable generation: unit vectors under ids ≥ 0.

    Any number of threads may search it. A change makes a new generation (:meth:`with_changes`) that the
    owner swaps in with one assignment; who still holds the old one gets the old answers.
    """

    @property
    def dimension(self) -> int:
        """Length of every vector."""

    @property
    def kind(self) -> str:
        """``flat_fp16`` (exact) or ``ivf_sq8`` (approximate, with exact re-ranking)."""

    @property
    def memory_bytes(self) -> int:
        """Bytes held by the vectors, ids and cells of this generation (shared and mapped ones are counted)."""

    @property
    def mapped_bytes(self) -> int:
        """Those of the bytes that lie in a mapped file, and are in memory only while they are read."""

    @property
    def trial(self) -> Trial | None:
        """How cells were measured over these rows, whether they serve or not; None where none were trained."""

    def __len__(self) -> int: ...

    def __contains__(self, id: object) -> bool: ...

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending; a copy."""

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows under ``ids``, float32 [len(ids), dimension], as the index holds them (float16 precision).

        Raises IndexError naming the ids that are not there.
        """

    def search(
        self,
        queries: NDArray[np.floating],
        k: int,
        *,
        among: NDArray[np.int64] | None = None,
        excluding: NDArray[np.int64] | None = None,
        exact: bool = False,
    ) -> list[Neighbours]:
        """The ``k`` best rows for each query; one ``Neighbours`` per query, in order.

        ``queries`` is [n, dimension] or [dimension]; any length but zero: they are brought to unit length.
        ``among`` allows only these ids (None: all; empty: none), ``excluding`` forbids these; unknown ids
        and repetitions in them do no harm. A ``k`` beyond the rows gives all rows, ``k`` ≤ 0 none.
        ``exact`` compares with every row, whatever the kind.

        Raises InvalidVector naming the positions of queries that are not finite or zero, or the wrong shape.
        """

    def with_changes(
        self,
        added: tuple[NDArray[np.int64], NDArray[np.floating]] | None = None,
        removed: NDArray[np.int64] | None = None,
    ) -> VectorIndex:
        """A new generation without ``removed`` and with ``added``, (ids int64 [n], vectors [n, dimension]).

        Adding an id that is there replaces its vector; removing an unknown id does nothing; an id in both
        is added. Mostly costs what the change costs; now and then (when a tenth of the rows changed since)
        all rows are copied once.

        Raises InvalidVector naming positions of rows that are not finite, zero, not of unit length or of
        another dimension, and ValueError for ids that are negative or repeated: nothing is changed then.
        """
