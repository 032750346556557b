"""Trains cells over rows, and chooses by measured recall how many of them a query visits; knows what is measured.

Image queries are rows that are held back from training (they are in the cells all the same, and do not find
themselves); text queries are given, or made with the geometry of texts. The two are judged apart, against exact
answers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsearch import matrices
from clipsearch.vector_index import cells as cell_room
from clipsearch.vector_index import sizes
from clipsearch.vector_index.cells import Cells, Coarse
from clipsearch.vector_index.protocol import Trial
from clipsearch.vector_index.rows import StoredRows, best_first, selector

log = logging.getLogger(__name__)

_NEIGHBOURS = 10
_RANGE_ROWS = 20_000
# A code's range leaves out this share of the sample at either end: single outliers would coarsen all others.
_OUTLIERS = 0.0005
# Of the synthetic texts' direction: their own cone's axis, the pictures they speak of, and what is theirs alone. The
# mean cosines with rows (.2 to .3) and with each other (.7 to .8) are those of CLIP's towers.
_TEXT_AXIS, _TEXT_AIM, _TEXT_OWN = 0.87, 0.30, 0.28

Check = Callable[[], None]


@dataclass(frozen=True, eq=False)
class _Sample:
    """Queries of one sort and their exact neighbours; ``own`` is where a query itself stands among the rows."""

    queries: NDArray[np.float32]  # [m, d]
    truth: NDArray[np.int64]  # [m, 10]
    own: NDArray[np.int64] | None

    def recall(self, cells: Cells, rows: StoredRows, width: int, allowed: NDArray[np.bool_] | None = None) -> float:
        """Recall@10 with as many probes as the cells' trial says and ``width`` candidates re-ranked."""
        probes = cells.trial.probes if allowed is None else cells.trial.filtered_probes
        chosen = None if allowed is None else selector(allowed)
        candidates = cells.candidates(self.queries, width + 1, chosen, probes)
        got = _without(best_first(candidates, rows.scores(self.queries, candidates), _NEIGHBOURS + 1)[0], self.own)
        return float((self.truth[:, :, None] == got[:, None, :]).any(axis=2).mean())


def trained(
    rows: StoredRows,
    text_like: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    floor: float = sizes.RECALL_FLOOR,
    check: Check = lambda: None,
) -> Cells:
    """Cells for all of ``rows``, with as few probes as recall@10 somewhat above ``floor`` asks for; what they reach
    stands in their trial, for the caller to judge.

    ``text_like`` names samples of text queries, unit float32 [m, d]; where they are fewer than 200 in all, synthetic
    ones are measured instead. ``check`` is called now and then and may raise, to end the work.
    """
    chance = np.random.default_rng(0)
    held_back = np.sort(chance.choice(len(rows), min(len(rows) // 4, sizes.MEASURED_QUERIES), replace=False))
    others = np.setdiff1d(np.arange(len(rows)), held_back, assume_unique=True)
    count = min(sizes.cell_count(len(rows)), len(others))
    seen = np.sort(chance.choice(others, min(len(others), count * sizes.TRAINING_ROWS_PER_CELL), replace=False))
    sample = rows.take(seen)
    centroids = matrices.spherical_k_means(sample, count, rounds=sizes.TRAINING_ROUNDS, check=check)
    coarse = Coarse(centroids, _ranges(sample[:: max(1, len(sample) // _RANGE_ROWS)]))
    owners = matrices.nearest(rows.values, centroids, check=check)
    texts, source = _texts(sample, text_like, chance)
    trial = Trial(
        len(rows), count, 1, count, sizes.RERANK_WIDTHS[-1], 0.0, 0.0, len(held_back), len(texts), source, floor
    )
    cells = cell_room.filled(coarse, owners, rows, trial, check)
    images = rows.take(held_back).astype(np.float32)
    everything = matrices.best_rows(np.concatenate([images, texts]), rows.values, _NEIGHBOURS + 1, check=check)
    samples = [
        _Sample(images, _without(everything[: len(images)], held_back), held_back),
        _Sample(texts, everything[len(images) :, :_NEIGHBOURS], None),
    ]
    cells = _with_filtered_probes(_with_probes(cells, rows, owners, samples, floor), rows, owners, samples, check)
    log.info("trained %d cells over %d rows: %s", count, len(rows), cells.trial)
    return cells


def _with_probes(
    cells: Cells, rows: StoredRows, owners: NDArray[np.int32], samples: list[_Sample], floor: float
) -> Cells:
    """The cells with the fewest probes, and then the fewest candidates, that every sample's recall asks for."""
    target = min(floor + sizes.RECALL_MARGIN, 1.0)
    most = sizes.RERANK_WIDTHS[-1]
    probes = max(_probes_to_meet(cells, owners, sample, sample.truth, target) for sample in samples)
    while True:
        cells = cells.with_trial(replace(cells.trial, probes=probes))
        best = [sample.recall(cells, rows, most) for sample in samples]
        if min(best) >= target or probes >= cells.cell_count:
            break
        probes = min(cells.cell_count, math.ceil(probes * 1.15))
    reached, width = best, most
    for width in sizes.RERANK_WIDTHS:
        reached = [sample.recall(cells, rows, width) for sample in samples]
        if all(one >= min(target, other) - 0.002 for one, other in zip(reached, best, strict=True)):
            break
    trial = replace(cells.trial, width=width, recall_image=reached[0], recall_text=reached[1])
    return cells.with_trial(trial)


def _with_filtered_probes(
    cells: Cells, rows: StoredRows, owners: NDArray[np.int32], samples: list[_Sample], check: Check
) -> Cells:
    """The cells with as many probes for a filter that keeps a tenth of the rows, by chance, as recall asks for."""
    allowed = np.random.default_rng(1).random(len(rows)) < sizes.FILTERED_SHARE
    positions = np.flatnonzero(allowed)
    if len(positions) <= 4 * _NEIGHBOURS:
        return cells.with_trial(replace(cells.trial, filtered_probes=cells.cell_count))
    few = np.concatenate([sample.queries for sample in samples])
    truth = positions[matrices.best_rows(few, rows.take(positions), _NEIGHBOURS + 1, check=check)]
    narrowed, start = [], 0
    for sample in samples:
        part = _without(truth[start : start + len(sample.queries)], sample.own)
        narrowed.append(replace(sample, truth=part))
        start += len(sample.queries)
    target = sizes.FILTERED_RECALL
    probes = max(_probes_to_meet(cells, owners, sample, sample.truth, target) for sample in narrowed)
    while True:
        cells = cells.with_trial(replace(cells.trial, filtered_probes=max(probes, cells.trial.probes)))
        width = cells.width(_NEIGHBOURS)
        if min(sample.recall(cells, rows, width, allowed) for sample in narrowed) >= target - 0.002:
            return cells
        if probes >= cells.cell_count:
            return cells
        probes = min(cells.cell_count, math.ceil(probes * 1.25))


def _probes_to_meet(
    cells: Cells, owners: NDArray[np.int32], sample: _Sample, truth: NDArray[np.int64], share: float
) -> int:
    """How many of the best cells of each query hold this share of its true neighbours, over all queries."""
    order = np.argsort(-(sample.queries @ cells.coarse.centroids.T), axis=1)
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(cells.cell_count)[None], axis=1)
    needed = np.sort(np.take_along_axis(places, owners[truth].astype(np.int64), axis=1), axis=None)
    return int(needed[math.ceil(share * len(needed)) - 1]) + 1


def _ranges(sample: NDArray[np.float16]) -> NDArray[np.float32]:
    """Smallest value and span of each dimension, float32 [2 d]."""
    low, high = np.quantile(sample.astype(np.float32), [_OUTLIERS, 1 - _OUTLIERS], axis=0)
    return np.concatenate([low, np.maximum(high - low, 1e-6)]).astype(np.float32)


def _texts(
    rows: NDArray[np.float16], text_like: Mapping[str, NDArray[np.float32]] | None, chance: np.random.Generator
) -> tuple[NDArray[np.float32], str]:
    """Text queries, unit float32 [m, d], and where they come from."""
    given = {name: queries for name, queries in (text_like or {}).items() if len(queries)}
    if sum(map(len, given.values())) < sizes.FEWEST_TEXTS:
        return synthetic_texts(rows, sizes.MEASURED_QUERIES, chance), "synthetic"
    together = np.concatenate(list(given.values()))
    chosen = chance.permutation(len(together))[: sizes.MEASURED_QUERIES]
    return together[np.sort(chosen)].astype(np.float32), " and ".join(given)


def synthetic_texts(rows: NDArray[np.floating], count: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """``count`` unit queries, float32 [count, d], that lie to ``rows`` [n, d] as CLIP's texts lie to its images: in a
    cone of their own apart from the rows' cone, each turned towards what sets one row apart from the mean row (Liang
    et al., Mind the Gap, NeurIPS 2022)."""
    some = rows[chance.choice(len(rows), min(len(rows), 4 * count), replace=False)].astype(np.float32)
    mean = some.mean(axis=0)
    away = _unit(some[chance.integers(0, len(some), count)] - mean)
    own = _unit(chance.standard_normal(away.shape).astype(np.float32))
    axis = chance.standard_normal((1, rows.shape[1])).astype(np.float32)[0]
    direction = _unit(mean[None])[0]
    axis = _unit((axis - (axis @ direction) * direction)[None])[0]
    return _unit(_TEXT_AXIS * axis + 0.3 * direction + _TEXT_AIM * away + _TEXT_OWN * own)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _without(positions: NDArray[np.int64], own: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """``positions`` [n, 11] cut to ten without each query's ``own``."""
    if own is None:
        return positions[:, :_NEIGHBOURS]
    last = np.argsort(positions == own[:, None], axis=1, kind="stable")
    return np.take_along_axis(positions, last, axis=1)[:, :_NEIGHBOURS]
