"""Probabilities of labels to those of categories; knows that they add up where labels exclude each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.label_set import LabelSet
from clipsearch.scoring.probabilities import Numbers


def categories_of(label_set: LabelSet) -> list[str]:
    """The categories in the order of their first labels; [] where no label has one.

    A label without a category in a set that has some is a category of its own.
    """
    if all(label.category is None for label in label_set.labels):
        return []
    return list(dict.fromkeys(label.category or label.name for label in label_set.labels))


def category_places(label_set: LabelSet) -> NDArray[np.int64]:
    """Of each label the place of its category among ``categories_of``, int64 [labels]."""
    places = {name: place for place, name in enumerate(categories_of(label_set))}
    return np.array([places[label.category or label.name] for label in label_set.labels], dtype=np.int64)


def category_shares(label_set: LabelSet, probabilities: Numbers) -> tuple[Numbers, NDArray[np.int64]]:
    """Of the probabilities [n, labels], in the order of the set and without the background: the probability of each
    category, float64 [n, categories], and the position of its most probable label, int64 [n, categories].

    In the mode ``single`` a category is the sum of its labels; in the others, where labels do not exclude each
    other, the largest.
    """
    places = category_places(label_set)
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(places.max() + 1))
    sorted_ = probabilities[:, order]
    largest = np.maximum.reduceat(sorted_, starts, axis=1)
    # The first label of the category that has its largest probability.
    sizes = np.diff(np.append(starts, len(order)))
    missed = np.where(sorted_ == np.repeat(largest, sizes, axis=1), np.arange(len(order)), len(order))
    best: NDArray[np.int64] = order[np.minimum.reduceat(missed, starts, axis=1)]
    if label_set.mode == "single":
        return np.add.reduceat(sorted_, starts, axis=1), best
    return largest, best
