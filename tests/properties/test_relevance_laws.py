"""Laws of relevance: it rises with the score, an order changes nothing, and no unit of the cosine matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipsearch.relevance import AUTO_CUT, FEWEST_IMAGES, Yardstick, image_yardstick, text_yardstick

SEEDS = st.integers(0, 2**32 - 1)


def scores_of(seed: int, images: int, texts: int) -> NDArray[np.float64]:
    """Scores as models give them: an offset of each text and image, noise, and a few matches far above it."""
    rng = np.random.default_rng(seed)
    scores = 0.2 + rng.normal(0, 0.02, texts) + rng.normal(0, 0.01, (images, 1)) + rng.normal(0, 0.02, (images, texts))
    scores[rng.random((images, texts)) < 0.02] += 0.12
    return np.asarray(scores)


def both(seed: int, images: int) -> list[Yardstick]:
    scores = scores_of(seed, images, 40)
    square = scores_of(seed + 1, images, images)
    np.fill_diagonal(square, np.nan)
    found = image_yardstick(square)
    return [text_yardstick(scores, images), *([found] if found else [])]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 80))
def test_relevance_rises_with_the_score_and_stays_between_nought_and_one(seed: int, images: int) -> None:
    own = np.sort(scores_of(seed + 2, images, 1)[:, 0])
    for yardstick in both(seed, images):
        relevance = yardstick.scale(own, float(own.max())).relevance(own)
        assert np.all((relevance >= 0) & (relevance <= 1))
        assert np.all(np.diff(relevance) >= 0)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 80))
def test_an_order_of_images_and_texts_changes_nothing(seed: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    scores = scores_of(seed, images, 30)
    shuffled = scores[rng.permutation(images)][:, rng.permutation(30)]
    first, second = text_yardstick(scores, images), text_yardstick(shuffled, images)
    assert (first.middle, first.step) == pytest.approx((second.middle, second.step), rel=1e-12)
    own = scores_of(seed + 2, images, 1)[:, 0]
    assert first.scale(own, float(own.max())).base == pytest.approx(
        second.scale(rng.permutation(own), float(own.max())).base
    )


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 80), st.floats(0.2, 5.0), st.floats(-0.5, 0.5))
def test_models_with_wider_or_shifted_cosines_give_the_same_relevance(
    seed: int, images: int, wider: float, shifted: float
) -> None:
    scores, own = scores_of(seed, images, 40), scores_of(seed + 2, images, 1)[:, 0]
    plain = text_yardstick(scores, images).scale(own, float(own.max())).relevance(own)
    other = own * wider + shifted
    moved = text_yardstick(scores * wider + shifted, images).scale(other, float(other.max())).relevance(other)
    np.testing.assert_allclose(moved, plain, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 80), st.floats(0.01, 0.99))
def test_a_cut_by_relevance_is_a_cut_by_the_score_that_is_told(seed: int, images: int, least: float) -> None:
    own = scores_of(seed + 2, images, 1)[:, 0]
    for yardstick in both(seed, images):
        scale = yardstick.scale(own, float(own.max()))
        relevance, floor = scale.relevance(own), scale.least_score(least)
        if floor is None:
            assert np.all(relevance < least + 1e-9)
        else:
            assert np.all(relevance[own > floor + 1e-9] >= least - 1e-9)
            assert np.all(relevance[own < floor - 1e-9] <= least + 1e-9)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.9, 1.0))
def test_a_copy_passes_the_automatic_cut_however_like_all_images_are(seed: int, usual: float) -> None:
    rng = np.random.default_rng(seed)
    scores = 1 - rng.random((FEWEST_IMAGES, FEWEST_IMAGES)) * (1 - usual)
    yardstick = image_yardstick(scores)
    assert yardstick is not None
    assert yardstick.scale(scores[0], 1.0).relevance(np.array([1.0 - 1e-6]))[0] >= AUTO_CUT


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, FEWEST_IMAGES - 1))
def test_few_images_are_no_yardstick_for_images(seed: int, images: int) -> None:
    assert image_yardstick(scores_of(seed, images, images)) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.floats(-1, 1))
def test_images_that_are_all_the_same_divide_nothing_by_zero(images: int, score: float) -> None:
    same: NDArray[Any] = np.full((images, 10), score)
    relevance = text_yardstick(same, images).scale(same[:, 0], score).relevance(same[:, 0])
    assert np.all(np.isfinite(relevance))
