"""The vector index as its users see it: what is found, what is refused, and that generations never mix."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.errors import InvalidVector
from clipsearch.vector_index import RowsById, VectorIndex, build_index, choose_kind, rebuild_due, rebuilt, sizes

NO_IDS = np.array([], dtype=np.int64)


def unit(count: int, dimension: int = 32, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    unit_rows: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows


def small(count: int = 50, dimension: int = 32) -> VectorIndex:
    return build_index(dimension, np.arange(count) * 10, unit(count, dimension))


def found(index: VectorIndex, query: NDArray[np.float32], k: int = 3, **how: object) -> list[int]:
    [answer] = index.search(query, k, **how)  # type: ignore[arg-type]
    return [number for number, _ in answer]


def test_importing_the_room_does_not_import_faiss() -> None:
    code = "import sys, clipsearch.vector_index; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_row_is_found_by_its_own_vector() -> None:
    index = small(500)
    answers = index.search(index.vectors(index.ids()), 1)
    assert [answer.ids[0] for answer in answers] == index.ids().tolist()
    assert min(answer.scores[0] for answer in answers) > 0.999


def test_scores_are_cosines_of_the_float16_rows_for_queries_of_any_length() -> None:
    index, query = small(), unit(1, seed=9)[0]
    [answer] = index.search(query * 1e-20, 50)
    expected = index.vectors(answer.ids) @ query
    assert np.abs(answer.scores - expected).max() < 1e-5
    assert answer.scores.dtype == np.float32
    assert answer.ids.dtype == np.int64


def test_one_query_and_many_queries_give_the_same_answers_in_order() -> None:
    index, queries = small(), unit(7, seed=3)
    together = index.search(queries, 4)
    alone = [index.search(query, 4)[0] for query in queries]
    assert [a.ids.tolist() for a in together] == [a.ids.tolist() for a in alone]
    assert index.search(queries[:0], 4) == []


def test_a_batch_larger_than_a_block_is_answered_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from clipsearch.vector_index import generation

    index, queries = small(), unit(11, seed=4)
    whole = index.search(queries, 50)
    monkeypatch.setattr(generation, "_BLOCK_FOUND", 100)
    assert [a.ids.tolist() for a in index.search(queries, 50)] == [a.ids.tolist() for a in whole]


@pytest.mark.parametrize(("k", "expected"), [(-5, 0), (0, 0), (1, 1), (50, 50), (51, 50), (10**12, 50)])
def test_any_k_gives_at_most_the_rows_there_are_and_no_padding(k: int, expected: int) -> None:
    [answer] = small().search(unit(1)[0], k)
    assert len(answer) == expected
    assert (answer.ids >= 0).all()


def test_an_empty_index_answers_with_nothing() -> None:
    index = build_index(32, NO_IDS, unit(0))
    assert len(index) == 0
    assert index.kind == "flat_fp16"
    assert len(index.search(unit(1), 5)[0]) == 0
    assert index.ids().tolist() == []
    assert index.memory_bytes == 0


def test_a_filter_allows_only_its_ids_and_an_empty_one_allows_none() -> None:
    index, query = small(), unit(1, seed=2)[0]
    assert set(found(index, query, among=np.array([20, 40, 40, 7, -3, 2**62]))) == {20, 40}
    assert found(index, query, among=NO_IDS) == []
    assert found(index, query, among=np.array([], dtype=float)) == []
    assert 20 not in found(index, query, 50, excluding=np.array([20, 20, -1]))
    assert found(index, query, among=np.array([20, 40]), excluding=np.array([40])) == [20]


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 1.0])
def test_a_filter_of_any_share_gives_what_sorting_all_rows_gives(share: float) -> None:
    rows = unit(3000)
    index = build_index(32, np.arange(3000), rows).with_changes(removed=np.arange(0, 3000, 7))
    allowed = np.flatnonzero(np.random.default_rng(1).random(3000) < share)
    alive = allowed[allowed % 7 != 0]
    query = unit(1, seed=8)[0]
    order = np.argsort(-(rows[alive].astype(np.float16).astype(np.float32) @ query), kind="stable")
    assert found(index, query, 10, among=allowed) == alive[order][:10].tolist()


def test_equal_vectors_come_by_smaller_id_even_where_k_cuts_through_them() -> None:
    rows = np.repeat(unit(3), 400, axis=0)
    ids = np.random.default_rng(0).permutation(1200)
    index = build_index(32, ids, rows)
    twins = np.sort(ids[400:800])
    for k in (1, 5, 100, 399):
        assert found(index, rows[400], k) == twins[:k].tolist()
    grown = index.with_changes((np.array([5000]), rows[400:401]), twins[:1])
    assert found(grown, rows[400], 400) == [*twins[1:].tolist(), 5000]


@pytest.mark.parametrize("reverse", [False, True])
def test_equal_vectors_stay_in_order_where_better_ones_pushed_some_of_them_out(reverse: bool) -> None:
    """A heap of the best so far forgets some of the equal ones, and not always those with larger ids."""
    query, other = np.eye(32, dtype=np.float32)[:2]
    angles = np.concatenate([np.full(200, 0.5), np.linspace(0.4, 0.1, 30), np.full(200, 0.5)])
    if reverse:
        angles = angles[::-1]
    rows = np.cos(angles)[:, None] * query + np.sin(angles)[:, None] * other
    index = build_index(32, np.arange(430), rows)
    for k in (31, 40, 60, 300):
        cosines = np.round(np.cos(angles), 4)
        expected = np.lexsort((np.arange(430), -cosines))[:k]
        assert found(index, query, k)[30:] == expected[30:].tolist()


def test_adding_replaces_and_removing_forgets_while_the_old_generation_stays() -> None:
    old, fresh = small(), unit(2, seed=77)
    new = old.with_changes((np.array([30, 999]), fresh), np.array([40, 123456]))
    assert found(new, fresh[0], 1) == [30]
    assert found(new, fresh[1], 1) == [999]
    assert (40 in new, 999 in new, len(new)) == (False, True, 50)
    assert (40 in old, 999 in old, len(old)) == (True, False, 50)
    assert found(old, old.vectors(np.array([30])), 1) == [30]
    assert np.array_equal(new.vectors(np.array([30])), fresh[:1].astype(np.float16).astype(np.float32))


def test_an_id_that_is_removed_and_added_in_one_change_is_there() -> None:
    index = small().with_changes((np.array([30]), unit(1, seed=5)), np.array([30]))
    assert 30 in index
    assert len(index) == 50


def test_a_change_of_nothing_is_the_same_generation() -> None:
    index = small()
    assert index.with_changes() is index
    assert index.with_changes((NO_IDS, unit(0)), NO_IDS) is index


def test_everything_can_be_removed_and_added_again() -> None:
    index = small()
    empty = index.with_changes(removed=index.ids())
    assert len(empty) == 0
    assert found(empty, unit(1)[0]) == []
    again = empty.with_changes((index.ids(), index.vectors(index.ids())))
    assert found(again, unit(1, seed=6)[0], 9) == found(index, unit(1, seed=6)[0], 9)


def test_a_small_change_shares_the_rows_of_the_former_generation() -> None:
    index = build_index(32, np.arange(60_000), unit(60_000))
    changed = index
    for step in range(12):
        changed = changed.with_changes((np.arange(step * 100, step * 100 + 50), unit(50, seed=step)))
    assert changed.segments[0].rows is index.segments[0].rows  # type: ignore[attr-defined]
    assert len(changed.segments) <= 6  # type: ignore[attr-defined]
    assert changed.memory_bytes < index.memory_bytes * 1.1


def test_many_small_changes_leave_few_segments_and_little_that_is_dead() -> None:
    index = build_index(8, NO_IDS, unit(0, 8))
    rows = unit(30_000, 8)
    for start in range(0, 30_000, 250):
        part = np.arange(start, start + 250)
        index = index.with_changes((part, rows[part]), part - 10_000)
        assert len(index.segments) <= 14  # type: ignore[attr-defined]
    stored = sum(segment.stored for segment in index.segments)  # type: ignore[attr-defined]
    assert stored - len(index) <= sizes.BURDEN_LEAST
    assert index.ids().tolist() == list(range(20_000, 30_000))


@pytest.mark.parametrize(
    ("rows", "positions"),
    [
        ([[np.nan, 0], [1, 0]], [0]),
        ([[1, 0], [np.inf, 0], [-np.inf, 1]], [1, 2]),
        ([[0, 0], [1, 0]], [0]),
        ([[1, 0], [0, 1.02], [0.5, 0.5]], [1, 2]),
        ([[1e300, 0]], [0]),
    ],
)
def test_a_row_that_is_no_unit_vector_is_refused_by_position(rows: list[list[float]], positions: list[int]) -> None:
    index, vectors = small(5, 2), np.array(rows)
    ids = np.arange(len(vectors))
    with pytest.raises(InvalidVector, match=str(positions[0])) as refused:
        index.with_changes((ids, vectors))
    assert refused.value.details["positions"] == positions
    with pytest.raises(InvalidVector):
        build_index(2, ids, vectors)


@pytest.mark.parametrize("query", [[np.nan, 1], [np.inf, 1], [0, 0], [-0.0, 0.0]])
def test_a_query_without_a_direction_is_refused_by_position(query: list[float]) -> None:
    with pytest.raises(InvalidVector) as refused:
        small(5, 2).search(np.array([[1, 0], query, [0, 1]]), 3)
    assert refused.value.details["positions"] == [1]


@pytest.mark.parametrize(
    "wrong", [[1.0], [[1.0, 0, 0]], [[[1.0, 0]]], ["a", "b"], [True, False], [[1, 0], [1]], 3.0, [1j, 0]]
)
def test_anything_but_vectors_of_the_right_dimension_is_refused(wrong: object) -> None:
    index = small(5, 2)
    with pytest.raises(InvalidVector):
        index.search(wrong, 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidVector):
        index.with_changes((np.array([1]), wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("ids", [[-1, 2], [4, 4], [1.5, 2.5], [1], [1, 2, 3], [[1], [2]], [2**63, 1]])
def test_ids_that_are_negative_repeated_or_not_one_for_each_row_are_a_bug_and_raise(ids: list[float]) -> None:
    with pytest.raises(ValueError, match="ids"):
        small(5, 2).with_changes((np.array(ids), np.array([[1, 0], [0, 1]])))


def test_the_vectors_of_unknown_ids_are_an_index_error_that_names_them() -> None:
    with pytest.raises(IndexError, match="77"):
        small().vectors(np.array([10, 77]))
    assert small().vectors(np.array([20, 10, 20])).shape == (3, 32)


@pytest.mark.parametrize("thing", ["10", None, 10.0, 2**70, -10])
def test_only_an_id_is_contained(thing: object) -> None:
    assert thing not in small()


def test_the_kind_follows_from_the_bytes_that_an_exact_search_reads() -> None:
    assert choose_kind(100_000, 512) == "flat_fp16"
    assert choose_kind(100_001, 512) == "ivf_sq8"
    assert choose_kind(80_000, 768) == "ivf_sq8"
    assert choose_kind(10, 65_536, exact_bytes=0) == "flat_fp16"


def test_an_index_that_outgrew_its_kind_stays_right_and_says_that_a_rebuild_is_due() -> None:
    index = build_index(16, np.arange(2500), unit(2500, 16))
    assert not rebuild_due(index)
    assert rebuild_due(index, exact_bytes=10_000)
    better = rebuilt(index, exact_bytes=10_000)
    assert better.kind == "ivf_sq8"
    assert not rebuild_due(better, exact_bytes=10_000)
    assert rebuilt(better).kind == "flat_fp16"
    assert rebuild_due(build_index(16, NO_IDS, unit(0, 16))) is False


def test_rows_that_come_in_any_order_stand_where_their_ids_say_and_the_missing_ones_are_not_found() -> None:
    rows = unit(500)
    made = RowsById(32, np.arange(500) * 2)
    for part in (np.arange(300, 500), np.arange(0, 290)):
        made.add(part * 2, rows[part])
    index = made.index()
    there = np.r_[0:290, 300:500]
    whole = build_index(32, there * 2, rows[there])
    assert index.ids().tolist() == whole.ids().tolist()
    assert 590 not in index
    for one, other in zip(index.search(rows[:20], 490), whole.search(rows[:20], 490), strict=True):
        assert one.ids.tolist() == other.ids.tolist()


def test_rows_of_which_nothing_was_said_are_not_taken() -> None:
    made = RowsById(32, np.array([3, 5]))
    with pytest.raises(ValueError, match="nothing was said"):
        made.add(np.array([4]), unit(1))
    with pytest.raises(ValueError, match="ascend"):
        RowsById(32, np.array([5, 3]))
    assert len(RowsById(32, NO_IDS).index()) == 0
    assert len(made.index()) == 0


@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_a_filter_of_many_ids_finds_them_however_far_apart_they_are(spread: int) -> None:
    rows = unit(5000)
    index = build_index(32, 7 + np.arange(5000) * spread, rows).with_changes(removed=7 + np.arange(0, 40) * spread)
    wanted = np.arange(0, 5000, 2)
    strangers = np.array([-3, 0, 6, 2**62])
    [answer] = index.search(rows[101], 6000, among=np.concatenate([7 + wanted * spread, strangers]))
    assert np.sort(answer.ids).tolist() == (7 + wanted[wanted >= 40] * spread).tolist()


def test_a_batch_that_is_answered_by_products_equals_its_queries_one_by_one() -> None:
    index, queries = small(9000), unit(40, seed=3)
    allowed = np.arange(0, 90_000, 20)
    for how in ({}, {"among": allowed}, {"excluding": allowed[:3000]}):
        together = index.search(queries, 9, **how)
        alone = [index.search(query, 9, **how)[0] for query in queries]
        assert [dict(a) for a in together] == [dict(a) for a in alone]


def test_readers_never_see_a_wrong_id_while_generations_are_swapped() -> None:
    """Row i belongs to direction i mod 40, and an id's direction never changes: a wrong id shows at once."""
    directions = unit(40)
    seconds, searches = 3.0, [0]
    mistakes: list[object] = []

    class Holder:
        index = build_index(32, np.arange(2000), directions[np.arange(2000) % 40])

    stop = threading.Event()

    def read(seed: int) -> None:
        chance = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                direction = int(chance.integers(40))
                generation = Holder.index
                [answer] = generation.search(directions[direction], 5, excluding=np.array([direction]))
                right = answer.ids % 40 == direction
                if len(answer) != 5 or not right.all() or any(id not in generation for id in answer.ids):
                    mistakes.append(answer)
                searches[0] += 1
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test must fail with it
            mistakes.append(error)

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for reader in readers:
        reader.start()
    chance, changed, end = np.random.default_rng(9), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        added = np.unique(chance.integers(0, 6000, 60))
        removed = chance.integers(2000, 6000, 60)
        Holder.index = Holder.index.with_changes((added, directions[added % 40]), removed)
        changed += 1
    stop.set()
    for reader in readers:
        reader.join()
    assert mistakes == []
    assert changed > 5
    assert searches[0] > 20
