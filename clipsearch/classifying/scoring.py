"""Scores to logits to probabilities; alone knows the arithmetic of a choice.

probability = softmax(scale * cosine + bias) over the labels of one image, with the scale and the bias of the
model (Radford et al. 2021, section 2.3). A softmax says which of these, never whether any of them is there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Prediction
from clipsearch.model import Model


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of float64 [n, labels] that each add up to one."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = shifted.sum(axis=1, keepdims=True)
    probabilities: NDArray[np.float64] = shifted / total
    return probabilities


def predict(
    images: NDArray[np.float32], labels: NDArray[np.float32], names: Sequence[str], model: Model, top: int | None
) -> list[list[Prediction]]:
    """For each unit row [n, d] of ``images`` its labels, most probable first; ``top`` of them, or all.

    Labels of equal probability keep their order in the set.
    """
    scores = images.astype(np.float64) @ labels.astype(np.float64).T
    logits = model.logit_scale * scores + model.logit_bias
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : top or len(names)]
    return [
        [
            Prediction(
                label=names[position],
                position=int(position),
                score=float(scores[row, position]),
                logit=float(logits[row, position]),
                probability=float(probabilities[row, position]),
            )
            for position in order[row]
        ]
        for row in range(len(images))
    ]
