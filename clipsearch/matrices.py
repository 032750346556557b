"""Products of large matrices and k-means over unit rows; knows block sizes, and the number format that is fastest here.

Imports torch, and so is imported late: where training begins, or a choice for many images among many labels. Rows may
lie in a mapped file: they are read block by block, and nothing of their size is allocated beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

_BLOCK = 4_096  # rows of a product: with 4,096 columns 67 MB of float32
_WIDE_BLOCK = 32_768
# Above this many centroids a row is only compared with those near its part of the space.
_DENSE = 512
_NEAR_SHARE = 1 / 5
_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")

Check = Callable[[], None]  # called between blocks; may raise to end the work


def _go_on() -> None:
    pass


@lru_cache(maxsize=1)
def product_dtype() -> torch.dtype:
    """bfloat16 where this processor has it and is faster with it than with float32, else float32.

    Having the instructions is no promise of speed (a virtual machine may hide the matrix unit), so both are tried
    once, for some milliseconds.
    """
    has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    if not any(has.get(instructions, False) for instructions in _BF16_INSTRUCTIONS):
        return torch.float32
    seconds: dict[torch.dtype, float] = {}
    for dtype in (torch.bfloat16, torch.float32):
        left, right = torch.ones((2048, 512), dtype=dtype), torch.ones((512, 1024), dtype=dtype)
        torch.mm(left, right)  # the first one compiles
        started = time.perf_counter()
        for _ in range(3):
            torch.mm(left, right)
        seconds[dtype] = time.perf_counter() - started
    return min(seconds, key=lambda dtype: seconds[dtype])


def _block(rows: NDArray[np.floating], part: slice | NDArray[np.int64]) -> torch.Tensor:
    """A block of rows as float32, copied: torch does not take read-only memory."""
    return torch.from_numpy(np.array(rows[part])).float()


def spherical_k_means(
    sample: NDArray[np.floating], count: int, *, rounds: int = 6, seed: int = 0, check: Check = _go_on
) -> NDArray[np.float32]:
    """``count`` unit centroids, float32 [count, d], of unit rows ``sample`` [n, d] with n ≥ count.

    Rows go to the centroid of the largest inner product, and a centroid is the direction of its rows' sum
    (Dhillon and Modha, Machine Learning 42, 2001). An empty one starts again at a random row.
    """
    if not 0 < count <= len(sample):
        raise ValueError(f"{count} centroids of {len(sample)} rows")
    chance = np.random.default_rng(seed)
    centroids = sample[np.sort(chance.choice(len(sample), count, replace=False))].astype(np.float32)
    for _ in range(rounds):
        owners = nearest(sample, centroids, seed=seed, check=check)
        sums = torch.zeros((count, sample.shape[1]))
        for start in range(0, len(sample), _WIDE_BLOCK):
            part = slice(start, start + _WIDE_BLOCK)
            sums.index_add_(0, torch.from_numpy(owners[part].astype(np.int64)), _block(sample, part))
        empty = np.flatnonzero(np.bincount(owners, minlength=count) == 0)
        centroids = sums.numpy()
        centroids[empty] = sample[chance.integers(0, len(sample), len(empty))]
        centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    return centroids


def nearest(
    rows: NDArray[np.floating], centroids: NDArray[np.float32], *, seed: int = 0, check: Check = _go_on
) -> NDArray[np.int32]:
    """For each of ``rows`` [n, d] the centroid [k, d] of the largest inner product, int32 [n].

    Of many centroids only the fifth is looked at that lies nearest to the row's part of the space, and products may
    be rounded to bfloat16: now and then it is the second best, which costs an index of cells nothing that counts.
    """
    if len(centroids) <= _DENSE:
        return _nearest_of_all(rows, centroids, check)
    parts = spherical_k_means(centroids, int(len(centroids) ** 0.5), rounds=4, seed=seed)
    near = np.argsort(-(parts @ centroids.T), axis=1)[:, : int(len(centroids) * _NEAR_SHARE)]
    owners = _nearest_of_all(rows, parts, check)
    order = np.argsort(owners, kind="stable")
    borders = np.searchsorted(owners[order], np.arange(len(parts) + 1))
    found = np.empty(len(rows), dtype=np.int32)
    middle = centroids.mean(axis=0)
    for part, candidates in enumerate(near):
        some = _Centred(centroids[candidates], middle)
        for start in range(borders[part], borders[part + 1], _BLOCK):
            check()
            chosen = np.sort(order[start : min(start + _BLOCK, borders[part + 1])])
            found[chosen] = candidates[some.best(_block(rows, chosen))]
    return found


def _nearest_of_all(rows: NDArray[np.floating], centroids: NDArray[np.float32], check: Check) -> NDArray[np.int32]:
    all_of_them = _Centred(centroids, centroids.mean(axis=0))
    found = np.empty(len(rows), dtype=np.int32)
    for start in range(0, len(rows), _BLOCK):
        check()
        part = slice(start, start + _BLOCK)
        found[part] = all_of_them.best(_block(rows, part))
    return found


class _Centred:
    """Centroids less their middle: CLIP's rows lie in one narrow cone, and the cosines that are left after the cone's
    axis is taken away differ by more than the eight bits of bfloat16 round off."""

    def __init__(self, centroids: NDArray[np.float32], middle: NDArray[np.float32]) -> None:
        dtype = product_dtype()
        away = centroids - middle
        self._middle = torch.from_numpy(middle)
        self._columns = torch.from_numpy(np.ascontiguousarray(away.T)).to(dtype)
        # row · c = (row - m) · (c - m) + m · (c - m) + what is the same for every c
        self._bias = torch.from_numpy(away @ middle).to(dtype)

    def best(self, rows: torch.Tensor) -> NDArray[np.int64]:
        """The number of the best centroid for each row."""
        products = torch.addmm(self._bias, (rows - self._middle).to(self._columns.dtype), self._columns)
        return products.max(dim=1).indices.numpy()  # argmax takes three times as long


def best_rows(
    queries: NDArray[np.float32], rows: NDArray[np.floating], k: int, *, check: Check = _go_on
) -> NDArray[np.int64]:
    """The positions of the ``k`` ≤ n best ``rows`` [n, d] for each query [m, d] by inner product, int64 [m, k], best
    first; summed in float32, equal ones in any order."""
    wanted = torch.from_numpy(np.array(queries, dtype=np.float32))
    first = min(len(rows), max(_BLOCK, k))
    best = (wanted @ _block(rows, slice(0, first)).T).topk(k, dim=1)
    owners, scores, places = np.repeat(np.arange(len(wanted)), k), best.values.flatten(), best.indices.flatten()
    for start in range(first, len(rows), _WIDE_BLOCK):
        check()
        products = wanted @ _block(rows, slice(start, start + _WIDE_BLOCK)).T
        # Few products pass the worst of the best so far; looking for those is quicker than sorting all.
        better = torch.nonzero(products > scores.view(-1, k)[:, -1:])
        owners = np.concatenate([owners, better[:, 0].numpy()])
        together = torch.cat([scores, products[better[:, 0], better[:, 1]]]).numpy()
        order = np.lexsort((-together, owners))
        order = order[np.searchsorted(owners[order], np.arange(len(wanted)))[:, None] + np.arange(k)].flatten()
        places = torch.cat([places, better[:, 1] + start])[order]
        owners, scores = owners[order], torch.from_numpy(together[order])
    found: NDArray[np.int64] = places.view(-1, k).numpy()
    return found


# Choosing among columns -----------------------------------------------------------------------------------


class Choices:
    """Unit columns, float32 [m, d], to choose from for each of many unit rows, by inner product; for one thread.

    Products are float32, and what lies too near to be told apart in it is decided in float64: the order is that of
    an exact computation, equal columns by their position.
    """

    def __init__(self, columns: NDArray[np.float32], scale: float) -> None:
        self._exact = columns.astype(np.float64)
        self._columns = torch.from_numpy(np.ascontiguousarray(columns.T, dtype=np.float32))
        self._scale = scale
        # A sum of d products of float32 is off by at most d * 2**-24 times that of their sizes, which is one or less
        # for unit rows (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1); so are two of them.
        self._margin = 2.0 * columns.shape[1] * 2.0**-24
        self._scores = torch.empty((0, len(columns)))  # kept: fresh memory costs as much time as the product

    def best(
        self, rows: NDArray[np.float32], top: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """For each of ``rows`` [n, d] its ``top`` best columns: positions and scores [n, top], best first; the score
        of the next one, float64 [n], right to 1e-5, -inf where there is none; and log(sum(exp(scale * score))) over
        all columns, float64 [n], right to 1e-4."""
        if len(self._scores) != len(rows):
            self._scores = torch.empty((len(rows), len(self._exact)))
        scores = torch.mm(torch.from_numpy(np.ascontiguousarray(rows)), self._columns, out=self._scores)
        top = min(top, scores.shape[1])
        values, positions = _leading(scores, top)
        found: NDArray[np.int64] = positions[:, :top].numpy().copy()
        kept = values[:, :top].double().numpy()
        following = np.full(len(rows), -np.inf)
        if values.shape[1] > top:
            following = values[:, top].double().numpy()
        if values.shape[1] > 1:
            near = (values[:, :-1] - values[:, 1:]).min(dim=1).values <= self._margin
            self._decide(rows, np.flatnonzero(near.numpy()), found, kept)
        largest = values[:, :1]
        sums = scores.sub_(largest).mul_(self._scale).exp_().sum(dim=1)
        return found, kept, following, (sums.log_() + self._scale * largest[:, 0]).double().numpy()

    def _decide(
        self, rows: NDArray[np.float32], near: NDArray[np.int64], found: NDArray[np.int64], kept: NDArray[np.float64]
    ) -> None:
        """Put exact positions and scores in the place of those of the rows ``near`` to a tie."""
        if not near.size:
            return
        least = torch.from_numpy(kept[near, -1:]).float() - self._margin
        places, columns = (self._scores[torch.from_numpy(near)] >= least).nonzero(as_tuple=True)
        exact = np.full((len(near), len(self._exact)), -np.inf)
        pairs = rows[near][places.numpy()].astype(np.float64), self._exact[columns.numpy()]
        exact[places.numpy(), columns.numpy()] = np.einsum("ij,ij->i", *pairs)
        order = np.argsort(-exact, axis=1, kind="stable")[:, : found.shape[1]]
        found[near] = order
        kept[near] = np.take_along_axis(exact, order, axis=1)


def _leading(scores: torch.Tensor, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ``top`` + 1 best of each row, or all, best first; the positions of the first ``top`` of them."""
    if top > 1 or scores.shape[1] == 1:
        return scores.topk(min(top + 1, scores.shape[1]), dim=1)
    # Twice the largest takes half as long as the two largest.
    first = scores.max(dim=1)
    places = first.indices[:, None]
    scores.scatter_(1, places, -torch.inf)
    second = scores.amax(dim=1)
    scores.scatter_(1, places, first.values[:, None])
    return torch.stack([first.values, second], dim=1), places
