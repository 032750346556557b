"""Laws of the vector index: whatever changes come in whatever order, it answers as a dict of vectors would."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from clipsearch.errors import InvalidVector
from clipsearch.vector_index import VectorIndex, build_index, rebuilt, sizes

DIMENSION = 8
DEEP = os.environ.get("CLIPSEARCH_DEEP_TESTS") == "1"
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]

# Few directions, so that equal vectors under different ids are common: ties are where an index errs.
POOL = np.random.default_rng(5).standard_normal((24, DIMENSION)).astype(np.float32)
POOL /= np.linalg.norm(POOL, axis=1, keepdims=True)

ids_drawn = st.integers(0, 70)
id_lists = st.lists(ids_drawn, max_size=25)
changes = st.dictionaries(ids_drawn, st.integers(0, len(POOL) - 1), max_size=25)

Model = dict[int, NDArray[np.float32]]


def check_answer(
    model: Model,
    index: VectorIndex,
    query: NDArray[np.float32],
    k: int,
    among: list[int] | None,
    excluding: list[int],
    *,
    exact: bool,
    complete: bool = True,
) -> None:
    """Hold one answer against the model; ``complete`` is off where an approximate index may miss some."""
    [answer] = index.search(
        query,
        k,
        among=None if among is None else np.array(among, dtype=np.int64),
        excluding=np.array(excluding, dtype=np.int64),
        exact=exact,
    )
    allowed = {
        id: float(np.dot(vector.astype(np.float64), query) / np.linalg.norm(query))
        for id, vector in model.items()
        if (among is None or id in among) and id not in excluding
    }
    ids, scores = answer.ids.tolist(), answer.scores.tolist()
    assert len(ids) == len(scores) == max(0, min(k, len(allowed)))
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(allowed)
    assert list(zip(ids, scores, strict=True)) == sorted(answer, key=lambda pair: (-pair[1], pair[0]))
    for id, score in answer:
        assert abs(score - min(1.0, allowed[id])) < 1e-5
        assert -1 <= score <= 1
    if not ids or not complete:
        return
    for id in allowed.keys() - set(ids):
        assert min(1.0, allowed[id]) <= scores[-1] + 1e-5
        twins = [found for found in ids if np.array_equal(model[found], model[id])]
        assert all(found < id for found in twins)


class IndexAgainstDict(RuleBasedStateMachine):
    """Exact from start to end; small thresholds make merging and new bases happen every few steps."""

    patched: ClassVar[dict[str, Any]] = {"BURDEN_LEAST": 12, "GATHER_SHARE": 0.15, "GATHER_LEAST": 2}
    complete: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.kept = {name: getattr(sizes, name) for name in self.patched}
        for name, value in self.patched.items():
            setattr(sizes, name, value)
        self.index: VectorIndex = build_index(DIMENSION, np.array([], dtype=np.int64), POOL[:0])
        self.model: Model = {}
        self.older: list[tuple[VectorIndex, Model]] = []

    def teardown(self) -> None:
        for name, value in self.kept.items():
            setattr(sizes, name, value)

    @rule(added=changes, removed=id_lists)
    def change(self, added: dict[int, int], removed: list[int]) -> None:
        vectors = POOL[list(added.values())]
        self.index = self.index.with_changes(
            (np.array(list(added), dtype=np.int64), vectors), np.array(removed, dtype=np.int64)
        )
        self.model = {id: row for id, row in self.model.items() if id not in removed}
        self.model |= {id: row.astype(np.float16) for id, row in zip(added, vectors, strict=True)}

    @rule()
    def remember_this_generation(self) -> None:
        self.older.append((self.index, self.model))

    @rule(
        towards=st.integers(0, len(POOL) - 1),
        k=st.integers(-1, 90),
        among=st.none() | id_lists,
        excluding=id_lists,
        exact=st.booleans(),
        back=st.integers(0, 5),
    )
    def search(
        self, towards: int, k: int, among: list[int] | None, excluding: list[int], exact: bool, back: int
    ) -> None:
        index, model = ([*self.older, (self.index, self.model)])[-1 - min(back, len(self.older))]
        query = POOL[towards] * 3
        check_answer(model, index, query, k, among, excluding, exact=exact, complete=exact or self.complete)

    @rule(wanted=st.lists(ids_drawn, min_size=1, max_size=8))
    def read_vectors(self, wanted: list[int]) -> None:
        unknown = [id for id in wanted if id not in self.model]
        if unknown:
            with pytest.raises(IndexError, match=str(unknown[0])):
                self.index.vectors(np.array(wanted))
        else:
            rows = self.index.vectors(np.array(wanted))
            assert np.array_equal(rows, np.array([self.model[id] for id in wanted], dtype=np.float32))

    @invariant()
    def it_holds_the_ids_of_the_model(self) -> None:
        assert len(self.index) == len(self.model)
        assert self.index.ids().tolist() == sorted(self.model)
        assert all((id in self.index) == (id in self.model) for id in range(-1, 72, 3))


class CellsAgainstDict(IndexAgainstDict):
    """Started with cells: it may miss neighbours, but never shows a ghost, a wrong score or too few."""

    patched: ClassVar[dict[str, Any]] = {
        "BURDEN_LEAST": 12,
        "GATHER_SHARE": 0.05,
        "GATHER_LEAST": 2,
        "DROPPED_MOST": 3,
        "FEWEST_ROWS_IN_CELLS": 10,
        "RERANK_SPARE": 1,
        "RERANK_FACTOR": 1,
    }
    complete: ClassVar[bool] = False

    @initialize(added=st.dictionaries(ids_drawn, st.integers(0, len(POOL) - 1), min_size=30, max_size=60))
    def train(self, added: dict[int, int]) -> None:
        self.change(added, [])
        self.index = rebuilt(self.index, exact_bytes=0, floor=0.0)
        assert self.index.kind == "ivf_sq8"


machine_settings = settings(
    max_examples=1000 if DEEP else 50,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=QUIET,
)
TestIndexAgainstDict = IndexAgainstDict.TestCase
TestIndexAgainstDict.settings = machine_settings
TestCellsAgainstDict = CellsAgainstDict.TestCase
TestCellsAgainstDict.settings = settings(machine_settings, max_examples=400 if DEEP else 20)


numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(query=arrays.arrays(np.float32, DIMENSION, elements=numbers))
@settings(max_examples=2000 if DEEP else 200, deadline=None)
def test_any_query_is_answered_by_cosine_or_refused_by_position(query: NDArray[np.float32]) -> None:
    index = build_index(DIMENSION, np.arange(len(POOL)), POOL)
    if not np.isfinite(query).all() or not query.any():
        with pytest.raises(InvalidVector) as refused:
            index.search(query, 5)
        assert refused.value.details["positions"] == [0]
        return
    [answer] = index.search(query, 5)
    wide = query.astype(np.float64)
    cosines = index.vectors(answer.ids) @ (wide / np.abs(wide).max())
    cosines /= np.linalg.norm(wide / np.abs(wide).max())
    assert np.allclose(answer.scores, np.clip(cosines, -1, 1), atol=1e-5)
    assert len(answer) == 5


@given(rows=arrays.arrays(np.float32, (4, DIMENSION), elements=numbers))
@settings(max_examples=2000 if DEEP else 200, deadline=None)
def test_no_row_enters_that_is_not_of_unit_length(rows: NDArray[np.float32]) -> None:
    with np.errstate(all="ignore"):
        lengths = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1))
    empty = build_index(DIMENSION, np.array([], dtype=np.int64), POOL[:0])
    wrong = [position for position in range(4) if not abs(lengths[position] - 1) <= 0.01]
    if wrong:
        with pytest.raises(InvalidVector) as refused:
            empty.with_changes((np.arange(4), rows))
        assert refused.value.details["positions"] == wrong
    else:
        assert len(empty.with_changes((np.arange(4), rows))) == 4
    assert len(empty) == 0


@given(added=changes, removed=id_lists)
@settings(max_examples=1000 if DEEP else 100, deadline=None)
def test_the_same_rows_answer_alike_however_they_came_in(added: dict[int, int], removed: list[int]) -> None:
    order = [id for id in added if id not in removed]
    whole = build_index(DIMENSION, np.array(order, dtype=np.int64), POOL[[added[id] for id in order]])
    grown = build_index(DIMENSION, np.array([], dtype=np.int64), POOL[:0])
    for id, row in added.items():
        grown = grown.with_changes((np.array([id]), POOL[[row]]))
    grown = grown.with_changes(removed=np.array(removed, dtype=np.int64))
    for ours, theirs in zip(whole.search(POOL, 7), grown.search(POOL, 7), strict=True):
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.scores.tolist() == theirs.scores.tolist()  # to the bit
