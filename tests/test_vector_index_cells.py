"""The approximate index: it finds nearly all neighbours of images and of texts, and is right in all else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.vector_index import VectorIndex, build_index, exactly, rebuild_due, rebuilt

COUNT, DIMENSION = 20_000, 64


def cone(count: int, axis: NDArray[np.float32], spread: float, seed: int) -> NDArray[np.float32]:
    """Unit vectors around ``axis`` in clusters, as a tower of CLIP lays them."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((200, DIMENSION)) / np.sqrt(DIMENSION)
    noise = chance.standard_normal((count, DIMENSION)) / np.sqrt(DIMENSION)
    rows = axis + spread * (centres[chance.integers(0, 200, count)] + 0.7 * noise)
    unit_rows: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit_rows


AXES = np.linalg.qr(np.random.default_rng(1).standard_normal((DIMENSION, 2)))[0].T.astype(np.float32)
IMAGES = cone(COUNT + 100, AXES[0], 1.0, 2)
ROWS, IMAGE_QUERIES = IMAGES[:COUNT], IMAGES[COUNT:]
# texts point away from the images, and carry a little of what one image shows
TEXTS = cone(200, AXES[1], 0.6, 3) + 0.4 * IMAGES[:200]
TEXTS /= np.linalg.norm(TEXTS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def index() -> VectorIndex:
    return build_index(DIMENSION, np.arange(COUNT) * 2, ROWS, text_like={"texts": TEXTS[:100]}, exact_bytes=0)


def recall(index: VectorIndex, queries: NDArray[np.float32]) -> float:
    near, true = index.search(queries, 10), index.search(queries, 10, exact=True)
    return float(np.mean([np.isin(t.ids, n.ids).mean() for n, t in zip(near, true, strict=True)]))


def test_images_and_texts_it_was_not_tuned_on_find_nearly_all_their_neighbours(index: VectorIndex) -> None:
    assert index.kind == "ivf_sq8"
    assert recall(index, IMAGE_QUERIES) >= 0.95
    assert recall(index, TEXTS[100:]) >= 0.93
    cells = index.segments[0].cells  # type: ignore[attr-defined]
    assert cells.trial.probes <= cells.cell_count // 4  # or it would be a scan by another name


def test_texts_raise_the_probes_where_they_need_more_than_images() -> None:
    part = ROWS[:5000]
    apart = build_index(DIMENSION, np.arange(5000), part, text_like={"texts": TEXTS}, exact_bytes=0)
    alike = build_index(DIMENSION, np.arange(5000), part, text_like={"images": IMAGE_QUERIES}, exact_bytes=0)
    assert apart.trial is not None
    assert alike.trial is not None
    assert apart.trial.probes >= alike.trial.probes


def test_scores_are_those_of_the_stored_rows_and_not_of_the_eight_bit_codes(index: VectorIndex) -> None:
    for query, answer in zip(IMAGE_QUERIES[:20], index.search(IMAGE_QUERIES[:20], 10), strict=True):
        assert np.abs(answer.scores - index.vectors(answer.ids) @ query).max() < 1e-5
        assert (np.diff(answer.scores) <= 0).all()


@pytest.mark.parametrize("k", [1, 10, 500, 15_000, COUNT, 10**9])
def test_there_are_always_as_many_neighbours_as_were_asked_for(index: VectorIndex, k: int) -> None:
    for answer in index.search(TEXTS[:2], k):
        assert len(answer) == min(k, COUNT) == len(set(answer.ids.tolist()))


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.05, 0.3])
def test_filters_of_any_share_are_kept_and_filled(index: VectorIndex, share: float) -> None:
    allowed = np.flatnonzero(np.random.default_rng(7).random(COUNT) < share) * 2
    near = index.search(TEXTS[100:130], 10, among=allowed)
    true = index.search(TEXTS[100:130], 10, among=allowed, exact=True)
    assert all(len(answer) == min(10, len(allowed)) and np.isin(answer.ids, allowed).all() for answer in near)
    got = np.mean([np.isin(t.ids, n.ids).mean() for n, t in zip(near, true, strict=True)])
    assert got == 1 if share < 0.1 else got > 0.85


@pytest.mark.parametrize("query", [TEXTS[0], ROWS[-1]])
def test_a_filter_that_no_probed_cell_serves_is_answered_exactly(
    index: VectorIndex, query: NDArray[np.float32]
) -> None:
    true = index.search(query, COUNT, exact=True)[0].ids
    far = true[COUNT // 2 :]  # half of the rows, all of them far from the query
    [answer] = index.search(query, 300, among=far)
    assert answer.ids.tolist() == far[:300].tolist()


def test_places_that_the_probed_cells_left_empty_are_not_taken_for_rows(index: VectorIndex) -> None:
    """60 allowed rows in reach where 64 candidates are asked for: four are padding, which is no row."""
    query = ROWS[-1]
    [segment] = index.segments  # type: ignore[attr-defined]
    reached = segment.cells.candidates(query[None], COUNT)[0]
    reached = reached[(reached >= 0) & (reached != COUNT - 1)]
    unreached = np.setdiff1d(np.arange(COUNT - 1), reached)
    [answer] = index.search(query, 10, among=np.concatenate([reached[:60], unreached]) * 2)
    order = np.lexsort((reached[:60], -segment.rows.scores(query[None], reached[None, :60])[0]))
    assert answer.ids.tolist() == (reached[:60][order][:10] * 2).tolist()


def test_rows_added_and_removed_after_training_are_found_and_forgotten_at_once(index: VectorIndex) -> None:
    fresh = cone(300, AXES[0], 1.0, 11)
    changed = index.with_changes((np.arange(300) * 2 + 1, fresh), np.arange(0, 2000, 2))
    assert changed.kind == "ivf_sq8"
    assert all(a.ids[0] == i * 2 + 1 for i, a in enumerate(changed.search(fresh, 1)))
    assert all((a.ids >= 2000).all() or (a.ids % 2 == 1).any() for a in changed.search(ROWS[:50], 1))
    assert not any(np.isin(a.ids, np.arange(0, 2000, 2)).any() for a in changed.search(ROWS[:50], 50))
    assert index.search(ROWS[3], 1)[0].ids[0] == 6


def test_a_new_base_keeps_the_cells_in_step_with_the_rows_that_moved(index: VectorIndex) -> None:
    fresh = cone(5000, AXES[0], 1.0, 12)
    changed = index.with_changes((np.arange(5000) * 4 + 1, fresh), np.arange(0, 3000, 2))
    [base] = changed.segments  # type: ignore[attr-defined]
    assert base.stored == base.count == len(base.cells) == COUNT + 5000 - 1500
    assert recall(changed, IMAGE_QUERIES) >= 0.93
    own = changed.search(fresh[:200], 1)
    assert np.mean([a.ids[0] == i * 4 + 1 for i, a in enumerate(own)]) > 0.97
    positions = np.concatenate([positions for positions, _ in base.cells.lists()])
    assert np.array_equal(np.sort(positions), np.arange(len(base.ids)))


def test_what_was_measured_is_told_with_the_texts_that_it_was_measured_on(index: VectorIndex) -> None:
    trial = index.trial
    assert trial is not None
    assert trial.text_source == "synthetic"  # a hundred texts are too few to speak of three per cent
    assert min(trial.recall_image, trial.recall_text) >= 0.97
    assert trial.image_queries >= 200
    assert trial.text_queries >= 200
    assert trial.rows == COUNT


def test_enough_texts_are_measured_themselves() -> None:
    given = build_index(DIMENSION, np.arange(5000), ROWS[:5000], text_like={"stored": TEXTS}, exact_bytes=0)
    assert given.trial is not None
    assert given.trial.text_source == "stored"
    assert given.trial.text_queries == len(TEXTS)


def test_cells_below_the_floor_are_not_put_in_service_and_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    flat = build_index(DIMENSION, np.arange(3000), ROWS[:3000])
    refused = rebuilt(flat, exact_bytes=0, floor=1.01)
    assert refused.kind == "flat_fp16"
    assert refused.trial is not None
    assert "search stays exact" in caplog.text
    assert not rebuild_due(refused, exact_bytes=0, floor=1.01)
    assert rebuild_due(refused, exact_bytes=0, floor=0.5)  # someone is content with less
    grown = refused.with_changes((np.arange(3000, 6100), ROWS[3000:6100]))
    assert grown.trial == refused.trial
    assert rebuild_due(grown, exact_bytes=0, floor=1.01)


def test_an_index_without_its_cells_answers_exactly_and_keeps_what_was_measured(index: VectorIndex) -> None:
    bare = exactly(index)
    assert (bare.kind, bare.trial) == ("flat_fp16", index.trial)
    assert rebuild_due(bare, exact_bytes=0)
    for one, other in zip(bare.search(TEXTS[:9], 10), index.search(TEXTS[:9], 10, exact=True), strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.scores.tolist() == other.scores.tolist()


def test_rows_score_the_same_bits_by_cells_exactly_alone_and_in_a_batch(index: VectorIndex) -> None:
    alone = [index.search(query, 10)[0] for query in TEXTS[:40]]
    together = index.search(TEXTS[:40], 10)
    exact = index.search(TEXTS[:40], 10, exact=True)
    for one, batched, true in zip(alone, together, exact, strict=True):
        assert dict(one) == dict(batched)
        assert all(dict(true)[number] == score for number, score in one if number in dict(true))


def test_excluded_rows_are_left_out_of_what_the_cells_give(index: VectorIndex) -> None:
    [usual] = index.search(ROWS[5], 12)
    [without] = index.search(ROWS[5], 10, excluding=usual.ids[:2])
    assert without.ids.tolist() == usual.ids[2:].tolist()


def test_a_training_ends_when_its_check_raises() -> None:
    flat = build_index(DIMENSION, np.arange(3000), ROWS[:3000])
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        rebuilt(flat, exact_bytes=0, check=stop)


def test_synthetic_texts_lie_in_a_cone_of_their_own_and_near_the_rows_they_speak_of() -> None:
    from clipsearch.vector_index.training import synthetic_texts

    texts = synthetic_texts(ROWS, 300, np.random.default_rng(0))
    own, across = texts @ texts.T, texts @ ROWS[:2000].T
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert own[~np.eye(300, dtype=bool)].mean() > 2 * across.mean()
    assert across.max(axis=1).mean() > across.mean() + 0.05
