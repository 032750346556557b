"""Exact neighbours by plain matrix products, and what an index finds of them; asks nothing of the index but answers."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

K = 10
BLOCK = 100_000


@dataclass(frozen=True)
class Exam:
    """Queries of one kind, float32 [m, d], and the ids of their true neighbours, int64 [m, K]."""

    kind: str
    queries: NDArray[np.float32]
    truth: NDArray[np.int64]


def exact(rows: NDArray[np.floating], queries: NDArray[np.float32], k: int = K) -> NDArray[np.int64]:
    """Positions of the ``k`` best of ``rows`` [n, d] for each query, int64 [m, k], best first; in float32."""
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    places = np.full((len(queries), k), -1, dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        block = np.asarray(rows[start : start + BLOCK], dtype=np.float32)
        scores = queries @ block.T
        width = min(k, scores.shape[1])
        nearest = np.argpartition(-scores, width - 1, axis=1)[:, :width]
        all_scores = np.concatenate([best, np.take_along_axis(scores, nearest, axis=1)], axis=1)
        all_places = np.concatenate([places, nearest + start], axis=1)
        order = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(all_scores, order, axis=1)
        places = np.take_along_axis(all_places, order, axis=1)
    return places


def recall(found: list[NDArray[np.int64]], truth: NDArray[np.int64]) -> float:
    """The share of the true neighbours that are among those found, over all queries."""
    hits = sum(len(np.intersect1d(ids, true)) for ids, true in zip(found, truth, strict=True))
    return hits / truth.size


def examined(index: Any, exam: Exam, **options: Any) -> tuple[list[float], float]:
    """Seconds of each query, asked one by one, and the recall@K of the answers."""
    taken, found = [], []
    for query in exam.queries:
        started = time.perf_counter()
        [answer] = index.search(query, K, **options)
        taken.append(time.perf_counter() - started)
        found.append(answer.ids)
    return taken, recall(found, exam.truth)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Faiss and torch, as far as they are there, compute on one thread in the block."""
    import faiss

    set_threads, before = faiss.omp_set_num_threads, faiss.omp_get_max_threads()
    torch: Any = sys.modules.get("torch")
    torch_before = torch.get_num_threads() if torch else 0
    set_threads(1)
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        set_threads(before)
        if torch:
            torch.set_num_threads(torch_before)
