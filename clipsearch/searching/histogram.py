"""How the scores of all images that pass the filters are spread; knows when looking at all of them costs too much."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Histogram
from clipsearch.relevance import AUTO_CUT
from clipsearch.searching.cutting import Measure
from clipsearch.searching.directions import Direction
from clipsearch.vector_index import VectorIndex

# Beyond so many images a sample is looked at. Of 512 dimensions these took 30 ms on one busy core, and the sample 13.
MOST_EXACT = 20_000
SAMPLED = 4_000
BINS = 40
_BLOCK = 4_000
_STEP = 0.01


def histogram(
    index: VectorIndex, direction: Direction, among: NDArray[np.int64] | None, measure: Measure | None
) -> Histogram | None:
    """The scores of the images ``among``, None for all; None where there is no image to look at."""
    ids = index.ids() if among is None else np.intersect1d(among, index.ids(), assume_unique=True)
    if direction.excluded:
        ids = ids[~np.isin(ids, direction.excluded)]
    if not ids.size:
        return None
    looked_at = ids if ids.size <= MOST_EXACT else _sample(ids)
    scores = _scores(index, looked_at, direction.vector)
    # Full hundredths, so that the edges read well and a search that is asked again has the same.
    low, high = math.floor(scores.min() / _STEP) * _STEP, math.ceil(scores.max() / _STEP) * _STEP
    counts, edges = np.histogram(scores, bins=BINS, range=(low, high if high > low else low + _STEP))
    return Histogram(
        edges=[round(float(edge), 6) for edge in edges],
        counts=counts.tolist(),
        images=int(ids.size),
        looked_at=int(looked_at.size),
        min_score_cut=None if measure is None else measure.least_score(AUTO_CUT),
    )


def _sample(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    chosen: NDArray[np.int64] = np.random.default_rng(0).choice(ids, SAMPLED, replace=False)
    return chosen


def _scores(index: VectorIndex, ids: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    parts = [index.vectors(ids[start : start + _BLOCK]) @ vector for start in range(0, len(ids), _BLOCK)]
    scores: NDArray[np.float64] = np.clip(np.concatenate(parts).astype(np.float64), -1.0, 1.0)
    return scores
