"""From ranked labels to the classes of a dataset; knows labels, categories and the floor of an export."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipsearch.database.label_sets import LabelSetRow
from clipsearch.datasets import DatasetClass, GivenLabel
from clipsearch.errors import InvalidInput
from clipsearch.label_set import BACKGROUND
from clipsearch.scoring import Ranked, categories_of, decide, decide_categories
from clipsearch.scoring.deciding import PRESENT


@dataclass(frozen=True)
class Given:
    """What one image was given: classes, the best first, or none and the reason."""

    labels: tuple[GivenLabel, ...]
    rejected: str | None


class Classes:
    """The classes of a set, which labels and categories become; several labels of one name are one class."""

    def __init__(self, label_set: LabelSetRow, by: str, floor: float | None) -> None:
        self.label_set = label_set
        self.by_category = by == "category"
        self._floor = floor or 0.0
        self._categories = categories_of(label_set)
        if self.by_category and not self._categories:
            raise InvalidInput(f"no label of {label_set.name!r} has a category; export it by label")
        if self.by_category:
            groups = dict.fromkeys(self._categories, "")
        else:
            groups = {label.name: label.category or "" for label in reversed(label_set.labels)}
            groups = {label.name: groups[label.name] for label in label_set.labels}
        named = enumerate(groups.items(), start=1)
        self._by_name = {name: DatasetClass(number, name, group) for number, (name, group) in named}

    @property
    def every(self) -> list[DatasetClass]:
        """All of them, in the order of the set."""
        return list(self._by_name.values())

    @property
    def least_probability(self) -> float:
        """Below this no label can hold, whichever it is, in the modes where each is looked at on its own."""
        own = [
            _first(label.min_probability, self.label_set.min_probability, PRESENT) for label in self.label_set.labels
        ]
        return max(self._floor, min(own))

    def reviewed(self, names: list[str]) -> Given:
        """What a person decided: the labels of these names, or that there is none."""
        wanted = [label for label in self.label_set.labels if label.name in names]
        shown = [label.category or label.name if self.by_category else label.name for label in wanted]
        given = tuple(GivenLabel(self._by_name[name]) for name in dict.fromkeys(shown))
        return Given(given, None if given else "review")

    def decided(self, ranked: Ranked) -> list[Given]:
        """Of each image what the thresholds of the set and the floor leave."""
        if self.by_category and self.label_set.mode == "single":
            return self._summed(ranked)
        decision = decide(self.label_set, ranked)
        return [
            self._given(ranked, place, np.flatnonzero(decision.accepted[place]).tolist(), decision.rejected[place])
            for place in range(len(ranked.positions))
        ]

    def best(self, ranked: Ranked, count: int) -> list[Given]:
        """Of each image the best labels, whatever any threshold says."""
        return [
            self._given(ranked, place, np.flatnonzero(positions[:count] != BACKGROUND).tolist(), "background")
            for place, positions in enumerate(ranked.positions)
        ]

    def _given(self, ranked: Ranked, place: int, accepted: list[int], rejected: str | None) -> Given:
        found: dict[DatasetClass, GivenLabel] = {}
        for rank in accepted:
            label = self.label_set.labels[ranked.positions[place, rank]]
            cls = self._by_name[label.category or label.name if self.by_category else label.name]
            probability = float(ranked.probabilities[place, rank])
            # The first of a class is its most probable: of labels that do not exclude each other the largest counts.
            if probability >= self._floor and cls not in found:
                score, margin = float(ranked.scores[place, rank]), float(ranked.margins[place, rank])
                found[cls] = GivenLabel(cls, probability, score, margin)
        return Given(tuple(found.values()), None if found else rejected or "probability")

    def _summed(self, ranked: Ranked) -> list[Given]:
        """Of each image the category whose labels' probabilities add up to the most."""
        decision = decide_categories(self.label_set, ranked, floor=self._floor)
        numbers = zip(decision.shares.tolist(), decision.scores.tolist(), decision.margins.tolist(), strict=True)
        return [
            Given((), reason) if reason else Given((GivenLabel(self._by_name[self._categories[place]], *told),), None)
            for place, reason, told in zip(decision.places.tolist(), decision.rejected, numbers, strict=True)
        ]


def _first(of_label: float | None, of_set: float | None, usual: float) -> float:
    if of_label is not None:
        return of_label
    return usual if of_set is None else of_set
