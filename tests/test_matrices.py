"""Large products and k-means: as exact as they say, whatever the blocks, and ended between them when asked to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipsearch import matrices


def unit(count: int, dimension: int = 24, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32) + np.float32(0.5)
    unit_rows: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows


@given(count=st.integers(1, 300), queries=st.integers(1, 9), k=st.integers(1, 12), block=st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_the_best_rows_are_those_that_sorting_all_products_gives(count: int, queries: int, k: int, block: int) -> None:
    rows, wanted, k = unit(count), unit(queries, seed=1), min(k, count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(matrices, "_BLOCK", block)
        patched.setattr(matrices, "_WIDE_BLOCK", block)
        found = matrices.best_rows(wanted, rows, k)
    expected = np.sort(-(wanted @ rows.T), axis=1)[:, :k]
    assert found.shape == (queries, k)
    assert np.allclose(np.take_along_axis(-(wanted @ rows.T), found, axis=1), expected, atol=1e-6)
    assert all(len(set(line)) == k for line in found.tolist())


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_row_goes_to_the_centroid_of_the_largest_product(dtype: type[np.floating]) -> None:
    rows: NDArray[np.floating] = unit(5000).astype(dtype)
    centroids = unit(50, seed=2)
    products = rows.astype(np.float32) @ centroids.T
    found = matrices.nearest(rows, centroids)
    lost = products.max(axis=1) - products[np.arange(len(rows)), found]
    assert lost.max() < 0.02  # what bfloat16 may round off
    assert (found == products.argmax(axis=1)).mean() > 0.95


def test_among_many_centroids_nearly_the_best_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "_DENSE", 16)
    # groups of centroids, as rows of images have them; among scattered ones no part of the space is near another
    centres = unit(20, seed=3)[np.arange(400) % 20] + unit(400, seed=9) * np.float32(0.4)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rows = centres[np.random.default_rng(4).integers(0, 400, 3000)] + unit(3000, seed=5) * np.float32(0.2)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    products = rows @ centres.T
    found = matrices.nearest(rows, centres)
    assert (products.max(axis=1) - products[np.arange(3000), found]).mean() < 0.01


def test_k_means_finds_the_groups_that_there_are() -> None:
    centres = unit(20, dimension=40, seed=6)
    owners = np.random.default_rng(7).integers(0, 20, 2000)
    rows = centres[owners] + unit(2000, dimension=40, seed=8) * np.float32(0.1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    centroids = matrices.spherical_k_means(rows, 30, rounds=8)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
    assert (rows @ centroids.T).max(axis=1).mean() > (rows @ rows[:30].T).max(axis=1).mean()
    found = matrices.nearest(rows, centroids)
    pure = sum(np.bincount(owners[found == one]).max() for one in np.unique(found))
    assert pure / len(rows) > 0.8


def test_the_same_sample_and_seed_give_the_same_centroids() -> None:
    rows = unit(500)
    assert np.array_equal(matrices.spherical_k_means(rows, 9), matrices.spherical_k_means(rows, 9))


def test_equal_rows_make_no_centroid_that_is_not_finite() -> None:
    centroids = matrices.spherical_k_means(np.repeat(unit(1), 40, axis=0), 8)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [0, 11])
def test_there_are_not_more_centroids_than_rows(count: int) -> None:
    with pytest.raises(ValueError, match="centroids"):
        matrices.spherical_k_means(unit(10), count)


def test_a_check_that_raises_ends_the_work() -> None:
    def stop() -> None:
        raise InterruptedError

    rows = unit(6000)
    with pytest.raises(InterruptedError):
        matrices.nearest(rows, rows[:5], check=stop)
    with pytest.raises(InterruptedError):
        matrices.spherical_k_means(rows, 5, check=stop)


def test_read_only_rows_of_a_mapped_file_are_taken_as_they_are() -> None:
    rows = unit(300)
    rows.flags.writeable = False
    assert (matrices.best_rows(rows[:7], rows, 1)[:, 0] == np.arange(7)).all()


def test_the_format_of_products_is_one_of_two() -> None:
    assert str(matrices.product_dtype()) in {"torch.bfloat16", "torch.float32"}
