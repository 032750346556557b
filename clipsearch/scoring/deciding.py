"""Which labels are accepted; knows thresholds, and nothing of how scores came about.

Nothing here is kept: a changed threshold is answered from the same scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.label_set import BACKGROUND, Label, LabelSet
from clipsearch.scoring.ranking import Ranked

PRESENT = 0.5  # from this probability on a label is there, where nothing else is said: modes multi and binary

Reason = Literal["background", "score", "probability", "margin"]


@dataclass(frozen=True, eq=False)
class Decision:
    """What was accepted of n images: bool [n, k], as ``Ranked`` has them; and for each image why it has no label."""

    accepted: NDArray[np.bool_]
    rejected: list[Reason | None]


def decide(label_set: LabelSet, ranked: Ranked) -> Decision:
    """Hold the ranked labels against the thresholds of the set; those of a label stand before those of the set.

    In the mode ``single`` only the first label can be accepted: when it is not the background, its score and its
    probability are not below their thresholds, and its margin not below the set's. In ``multi`` and ``binary`` each
    label with at least its least probability (one half where none is given) and its least score is; a margin means
    nothing there. The reason is that of the first label.
    """
    positions = ranked.positions
    single = label_set.mode == "single"
    least = _least(label_set, "min_score", -np.inf), _least(label_set, "min_probability", 0.0 if single else PRESENT)
    failures: list[tuple[Reason, NDArray[np.bool_]]] = [
        ("background", positions == BACKGROUND),
        ("score", ranked.scores < least[0][positions]),
        ("probability", ranked.probabilities < least[1][positions]),
    ]
    if single and label_set.min_margin is not None:
        failures.append(("margin", ranked.margins < label_set.min_margin))
    accepted = ~np.logical_or.reduce([failed for _, failed in failures])
    if single:
        accepted[:, 1:] = False
    rejected: list[Reason | None] = [None] * len(positions)
    for place in np.flatnonzero(~accepted.any(axis=1)).tolist():
        rejected[place] = next(reason for reason, failed in failures if failed[place, 0])
    return Decision(accepted, rejected)


@dataclass(frozen=True, eq=False)
class CategoryDecision:
    """The category of each of n images in the mode ``single``: its place among ``categories_of``, int64 [n], the sum
    of its labels' probabilities, its lead over the next category and the score of its best label, float64 [n]; and why
    it is rejected, None where it is not."""

    places: NDArray[np.int64]
    shares: NDArray[np.float64]
    margins: NDArray[np.float64]
    scores: NDArray[np.float64]
    rejected: list[Reason | None]


def decide_categories(label_set: LabelSet, ranked: Ranked, *, floor: float = 0.0) -> CategoryDecision:
    """The category whose labels' probabilities add up to the most, by the thresholds on that sum, in mode ``single``.

    The sum must be more than the background's share, and not below its least probability, nor below ``floor``; the
    lead over the next category not below the set's margin; and the score of its most probable label not below its
    threshold. Thresholds are those of that label, else of the set. Of equal sums the first category counts.
    """
    if not len(ranked.positions):
        none = np.empty(0)
        return CategoryDecision(none.astype(np.int64), none, none, none, [])
    if ranked.categories is None or ranked.category_labels is None or ranked.category_scores is None:
        raise ValueError("the labels were ranked without their categories")
    images = np.arange(len(ranked.categories))
    places = ranked.categories.argmax(axis=1)
    shares = ranked.categories[images, places]
    others = ranked.categories.copy()
    others[images, places] = 0.0
    margins = shares - others.max(axis=1)
    labels, scores = ranked.category_labels[images, places], ranked.category_scores[images, places]
    # With the background the categories add up to one.
    background = 1.0 - ranked.categories.sum(axis=1) if label_set.background else np.full(len(images), -np.inf)
    failures: list[tuple[Reason, NDArray[np.bool_]]] = [
        ("background", background >= shares),
        ("score", scores < _least(label_set, "min_score", -np.inf)[labels]),
        ("probability", shares < np.maximum(floor, _least(label_set, "min_probability", 0.0)[labels])),
        ("margin", margins < (label_set.min_margin or 0.0)),
    ]
    rejected = [next((reason for reason, failed in failures if failed[image]), None) for image in images.tolist()]
    return CategoryDecision(places, shares, margins, scores, rejected)


def _least(label_set: LabelSet, name: Literal["min_score", "min_probability"], usual: float) -> NDArray[np.float64]:
    """The threshold of each label; one more at the end, where the position of the background points."""
    of_set = getattr(label_set, name)
    usual = usual if of_set is None else of_set

    def of(label: Label) -> float:
        own: float | None = getattr(label, name)
        return usual if own is None else own

    return np.array([*map(of, label_set.labels), -np.inf])
