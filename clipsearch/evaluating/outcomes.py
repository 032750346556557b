"""What a label set made of the embedded samples, block by block, as arrays that figures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.choices import Choice
from clipsearch.label_set import BACKGROUND
from clipsearch.scoring import Ranked, categories_of, decide
from clipsearch.scoring.shares import category_places

BLOCK = 2_048
DEPTH = 5

Positions = NDArray[np.int64]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SingleOutcome:
    """For n images with one true label each, in the order of ``places`` among the samples: the true position int64
    [n], the first five int64 [n, 5] (fewer of small sets), the probability of the first and of the true one float64
    [n], and whether the first was accepted. Of sets with categories also whether that of the truth came first.
    """

    places: Positions
    truth: Positions
    ranked: Positions
    probability: Values
    truth_probability: Values
    accepted: Flags
    category_right: Flags | None = None

    @property
    def predicted(self) -> Positions:
        """The first label of each image, BACKGROUND for the background, accepted or not."""
        return self.ranked[:, 0]

    @property
    def right(self) -> Flags:
        """Whether the first label is the true one."""
        found: Flags = self.predicted == self.truth
        return found


@dataclass(frozen=True, eq=False)
class MultiOutcome:
    """For n images with any number of true labels: bool [n, labels] what is true and what was accepted, and the
    probabilities float64 [n, labels], in the order of the set."""

    places: Positions
    truth: Flags
    accepted: Flags
    probabilities: Values


def single_outcome(
    choice: Choice, vectors: NDArray[np.float32], places: Sequence[int], truth: Sequence[int]
) -> SingleOutcome:
    """Rank the labels for unit rows float32 [n, d], whose true labels are at these positions of the set."""
    same = _first_of_name(choice)
    labels = choice.label_set
    true = np.array(truth, dtype=np.int64)
    rank = choice.ranker(None, len(vectors))
    of_category = category_places(labels) if categories_of(labels) else None
    parts: list[tuple[Positions, Values, Values, Flags]] = []
    rights: list[Flags] = []
    for start in range(0, len(vectors), BLOCK):
        ranked = rank(vectors[start : start + BLOCK])
        wanted = true[start : start + BLOCK]
        positions = same[ranked.positions]
        of_truth = np.where(positions == wanted[:, None], ranked.probabilities, 0.0).max(axis=1)
        accepted = decide(labels, ranked).accepted[:, 0]
        parts.append((positions[:, :DEPTH], ranked.probabilities[:, 0], of_truth, accepted))
        if of_category is not None and ranked.categories is not None:
            rights.append(ranked.categories.argmax(axis=1) == of_category[wanted])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return SingleOutcome(
        places=np.array(places, dtype=np.int64),
        truth=true,
        ranked=columns[0],
        probability=columns[1],
        truth_probability=columns[2],
        accepted=columns[3],
        category_right=np.concatenate(rights) if rights else None,
    )


def multi_outcome(
    choice: Choice, vectors: NDArray[np.float32], places: Sequence[int], truth: Sequence[Sequence[int]]
) -> MultiOutcome:
    """The probability of every label for unit rows float32 [n, d], whose true labels are at these positions."""
    same = _first_of_name(choice)
    count = len(choice.label_set.labels)
    true = np.zeros((len(vectors), count), dtype=np.bool_)
    for row, wanted in enumerate(truth):
        true[row, list(wanted)] = True
    probabilities = np.zeros((len(vectors), count))
    accepted = np.zeros((len(vectors), count), dtype=np.bool_)
    rank = choice.ranker(None, len(vectors))
    for start in range(0, len(vectors), BLOCK):
        ranked = rank(vectors[start : start + BLOCK])
        rows = slice(start, start + len(ranked.positions))
        probabilities[rows] = _in_order(ranked, ranked.probabilities, count)
        accepted[rows] = _in_order(ranked, decide(choice.label_set, ranked).accepted, count) > 0
    # Labels of one name are one: what is true of the first may have been found as the second.
    for position in np.flatnonzero(same[:count] != np.arange(count)).tolist():
        first = same[position]
        probabilities[:, first] = np.maximum(probabilities[:, first], probabilities[:, position])
        accepted[:, first] |= accepted[:, position]
    return MultiOutcome(np.array(places, dtype=np.int64), true, accepted, probabilities)


def _in_order(ranked: Ranked, values: NDArray[np.generic], count: int) -> Values:
    """Values [n, k] as float64 [n, labels] in the order of the set, the background left out."""
    placed = np.zeros((len(values), count + 1))
    places = np.where(ranked.positions == BACKGROUND, count, ranked.positions)
    np.put_along_axis(placed, places, values.astype(np.float64), axis=1)
    return placed[:, :count]


def _first_of_name(choice: Choice) -> Positions:
    """For each position the first with the same name, int64 [labels + 1]; the last entry stands for BACKGROUND."""
    first: dict[str, int] = {}
    positions = [first.setdefault(name, position) for position, name in enumerate(choice.names)]
    return np.array([*positions, BACKGROUND], dtype=np.int64)
