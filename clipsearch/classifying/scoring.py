"""Scores to logits to probabilities; alone knows the arithmetic of a choice.

probability = softmax(scale * cosine + bias) over the labels of one image, with the scale and the bias of the
model (Radford et al. 2021, section 2.3). A softmax says which of these, never whether any of them is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Prediction
from clipsearch.model import Model

# From so many products on, float32 and two cores save more time than it takes to load torch.
MANY_SCORES = 50_000_000
FEW_SCORES = 100_000


@dataclass(frozen=True, eq=False)
class Ranked:
    """The labels of n images, most probable first: position in the set int64 [n, top], cosine and probability
    float64 [n, top]."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def predictions(self, image: int, names: Sequence[str], model: Model) -> list[Prediction]:
        """The labels of one of the images as they are answered."""
        rows = (self.positions[image].tolist(), self.scores[image].tolist(), self.probabilities[image].tolist())
        return [
            Prediction(
                label=names[position],
                position=position,
                score=score,
                logit=model.logit_scale * score + model.logit_bias,
                probability=probability,
            )
            for position, score, probability in zip(*rows, strict=True)
        ]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of float64 [n, labels] that each add up to one."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = shifted.sum(axis=1, keepdims=True)
    probabilities: NDArray[np.float64] = shifted / total
    return probabilities


def rank(images: NDArray[np.float32], labels: NDArray[np.float32], model: Model, top: int | None) -> Ranked:
    """For each unit row [n, d] of ``images`` its ``top`` labels, or all; equal ones keep their order in the set."""
    scores = _products(images.astype(np.float64), labels.astype(np.float64))
    probabilities = softmax(model.logit_scale * scores + model.logit_bias)
    order = np.argsort(-scores, axis=1, kind="stable")[:, : top or len(labels)]
    return Ranked(order, np.take_along_axis(scores, order, axis=1), np.take_along_axis(probabilities, order, axis=1))


def _products(images: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    # Without BLAS where little is multiplied: its threads would go on turning for a while, and take a core from the
    # model that embeds the next picture.
    if len(images) * len(labels) <= FEW_SCORES:
        few: NDArray[np.float64] = np.einsum("nd,ld->nl", images, labels)
        return few
    products: NDArray[np.float64] = images @ labels.T
    return products


def ranker(
    labels: NDArray[np.float32], model: Model, top: int | None, images: int
) -> Callable[[NDArray[np.float32]], Ranked]:
    """What ranks ``labels`` for block after block of ``images`` unit rows in all, as ``rank`` does.

    For many images probabilities are right to 1e-4 of themselves, and the order is exact all the same.
    """
    if images * len(labels) < MANY_SCORES:
        return lambda rows: rank(rows, labels, model, top)
    from clipsearch.matrices import Choices

    choices = Choices(labels, model.logit_scale)

    def rank_block(rows: NDArray[np.float32]) -> Ranked:
        positions, scores, sums = choices.best(rows, top or len(labels))
        # The bias is the same in every label's logit, and falls out.
        return Ranked(positions, scores, np.exp(model.logit_scale * scores - sums[:, None]))

    return rank_block


def predict(
    images: NDArray[np.float32], labels: NDArray[np.float32], names: Sequence[str], model: Model, top: int | None
) -> list[list[Prediction]]:
    """For each unit row [n, d] of ``images`` its labels, most probable first; ``top`` of them, or all.

    Labels of equal probability keep their order in the set.
    """
    ranked = rank(images, labels, model, top)
    return [ranked.predictions(image, names, model) for image in range(len(images))]
