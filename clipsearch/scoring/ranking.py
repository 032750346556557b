"""The labels of many images, most probable first; knows blocks, and when float32 is exact enough.

probability = softmax(scale * cosine + bias) over the labels of one image in the mode ``single``, with the scale and
the bias of the model; a softmax says which of these, never whether any of them is there. In ``multi`` and ``binary``
it is the sigmoid of each label's evidence, on its own: see ``Presence``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import InvalidLabelSet
from clipsearch.label_set import BACKGROUND, LabelSet
from clipsearch.model import Model
from clipsearch.scoring.presence import Presence
from clipsearch.scoring.probabilities import Numbers, sigmoid, softmax
from clipsearch.scoring.shares import categories_of, category_shares
from clipsearch.scoring.targets import Targets

# From so many products on, float32 and two cores save more time than it takes to load torch.
MANY_SCORES = 50_000_000
# Scores in memory at once: 64 million bytes of float64, and a few times that while they become probabilities.
CELLS = 8_000_000


@dataclass(frozen=True, eq=False)
class Ranked:
    """The labels of n images, most probable first; equal ones keep the order of the set.

    ``positions`` int64 [n, k] in the set, BACKGROUND for the background; float64 [n, k]: ``scores`` (cosines),
    ``logits`` (scale * score + bias), ``probabilities``, ``margins`` (probability less the next one's, less zero
    where there is none). Of sets with categories also the ``categories`` float64 [n, categories], as
    ``category_shares`` gives them, the positions of their best labels, and the ``category_scores`` of these.
    """

    positions: NDArray[np.int64]
    scores: Numbers
    logits: Numbers
    probabilities: Numbers
    margins: Numbers
    categories: Numbers | None = None
    category_labels: NDArray[np.int64] | None = None
    category_scores: Numbers | None = None

    def only(self, rows: NDArray[np.bool_]) -> Ranked:
        """The same of those images, bool [n]."""
        if rows.all():
            return self
        return Ranked(
            positions=self.positions[rows],
            scores=self.scores[rows],
            logits=self.logits[rows],
            probabilities=self.probabilities[rows],
            margins=self.margins[rows],
            categories=None if self.categories is None else self.categories[rows],
            category_labels=None if self.category_labels is None else self.category_labels[rows],
            category_scores=None if self.category_scores is None else self.category_scores[rows],
        )


Ranker = Callable[[NDArray[np.float32]], Ranked]


def ranker(
    label_set: LabelSet,
    targets: Targets,
    model: Model,
    *,
    top: int | None,
    images: int,
    presence: Presence | None = None,
) -> Ranker:
    """What ranks the labels for block after block of ``images`` unit rows float32 [n, d] in all; ``top`` of them (the
    background among them), or all with None.

    ``presence`` is needed for the modes ``multi`` and ``binary``. For many images in all, probabilities are right to
    1e-4 of themselves. Raises InvalidLabelSet for a single label in the mode ``single``.
    """
    check_choice(label_set)
    top = min(top or len(targets.starts), len(targets.starts))
    many = images * len(targets.rows) >= MANY_SCORES
    if many and label_set.mode == "single" and targets.plain and not categories_of(label_set):
        return _by_matrices(targets, model, top)
    step = max(1, CELLS // len(targets.rows))

    def rank(rows: NDArray[np.float32]) -> Ranked:
        parts = [
            _rank(label_set, targets, model, top, rows[start : start + step], presence, quick=many)
            for start in range(0, len(rows), step)
        ]
        return parts[0] if len(parts) == 1 else _joined(parts, top)

    return rank


def check_choice(label_set: LabelSet) -> None:
    """Raises InvalidLabelSet for a set that leaves nothing to choose."""
    if label_set.mode == "single" and len(label_set.labels) == 1 and not label_set.background:
        raise InvalidLabelSet(
            "a choice in the mode single needs at least two labels: a single one would always get the probability 1; "
            "add what else it could be, or a background, or ask in the mode binary (this or not this) or multi"
        )


def _rank(
    label_set: LabelSet,
    targets: Targets,
    model: Model,
    top: int,
    images: NDArray[np.float32],
    presence: Presence | None,
    *,
    quick: bool,
) -> Ranked:
    products = targets.products(images, quick=quick)
    scores, logits = targets.joined(products, label_set.aggregate, model)
    if label_set.mode == "single":
        keys, probabilities = logits, softmax(logits)
    elif presence is None:
        raise ValueError(f"the mode {label_set.mode} needs what the labels are held against")
    else:
        keys = presence.evidence(images, logits, quick=quick)
        probabilities = None
    order = best(keys, min(top + 1, keys.shape[1]))
    ranked = _taken(probabilities, order) if probabilities is not None else sigmoid(_taken(keys, order))
    positions = order[:, :top]
    labels = len(label_set.labels)
    shares = best_labels = None
    if categories_of(label_set):
        every = sigmoid(keys) if probabilities is None else probabilities
        shares, best_labels = category_shares(label_set, every[:, :labels])
    return Ranked(
        positions=np.where(positions < labels, positions, BACKGROUND),
        scores=_taken(scores, positions),
        logits=_taken(logits, positions),
        probabilities=ranked[:, :top],
        margins=_margins(ranked, top),
        categories=shares,
        category_labels=best_labels,
        category_scores=None if best_labels is None else _taken(scores, best_labels),
    )


def _taken(values: Numbers, places: NDArray[np.int64]) -> Numbers:
    return np.take_along_axis(values, places, axis=1)


def best(keys: Numbers, count: int) -> NDArray[np.int64]:
    """The places of the ``count`` largest of each row [n, m], the largest first, equal ones in their order."""
    if keys.shape[1] <= 4 * count:
        return np.argsort(-keys, axis=1, kind="stable")[:, :count]
    found = np.sort(np.argpartition(keys, -count, axis=1)[:, -count:], axis=1)
    kept = _taken(keys, found)
    found = _taken_places(found, np.argsort(-kept, axis=1, kind="stable"))
    # Of several that are equal to the last one the first have to stay, not any.
    least = kept.min(axis=1, keepdims=True)
    for row in np.flatnonzero(np.count_nonzero(keys >= least, axis=1) > count).tolist():
        places = np.flatnonzero(keys[row] >= least[row])
        found[row] = places[np.argsort(-keys[row, places], kind="stable")[:count]]
    return found


def _taken_places(places: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.take_along_axis(places, order, axis=1)


def _margins(probabilities: Numbers, top: int) -> Numbers:
    beyond = probabilities[:, 1 : top + 1]
    following = np.pad(beyond, ((0, 0), (0, top - beyond.shape[1])))
    margins: Numbers = np.maximum(probabilities[:, :top] - following, 0.0)
    return margins


def _joined(parts: list[Ranked], top: int) -> Ranked:
    if not parts:
        none = np.empty((0, top))
        return Ranked(none.astype(np.int64), none, none, none, none)
    shares = [part.categories for part in parts if part.categories is not None]
    labels = [part.category_labels for part in parts if part.category_labels is not None]
    scores = [part.category_scores for part in parts if part.category_scores is not None]
    return Ranked(
        positions=np.concatenate([part.positions for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        margins=np.concatenate([part.margins for part in parts]),
        categories=np.concatenate(shares) if shares else None,
        category_labels=np.concatenate(labels) if labels else None,
        category_scores=np.concatenate(scores) if scores else None,
    )


def _by_matrices(targets: Targets, model: Model, top: int) -> Ranker:
    from clipsearch.matrices import Choices

    choices = Choices(targets.rows, model.logit_scale)
    labels = len(targets.starts) - targets.background
    step = max(1, 4 * CELLS // len(targets.rows))

    def rank(rows: NDArray[np.float32]) -> Ranked:
        parts = [rank_block(rows[start : start + step]) for start in range(0, len(rows), step)]
        return parts[0] if len(parts) == 1 else _joined(parts, top)

    def rank_block(rows: NDArray[np.float32]) -> Ranked:
        positions, scores, following, sums = choices.best(rows, top)
        # The bias is the same in every label's logit, and falls out.
        ranked = np.exp(model.logit_scale * np.column_stack([scores, following]) - sums[:, None])
        return Ranked(
            positions=np.where(positions < labels, positions, BACKGROUND),
            scores=scores,
            logits=model.logit_scale * scores + model.logit_bias,
            probabilities=ranked[:, :top],
            margins=_margins(ranked, top),
        )

    return rank
