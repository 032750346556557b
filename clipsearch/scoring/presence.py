"""Whether a label is there, each on its own; knows the backgrounds that labels are held against.

A model with a bias tells it by itself: the sigmoid of its logit. For CLIP, which was only ever asked which of several
texts fits, a label has to stand out among many others: its score is compared with those of background texts on the
same image. What those texts have in common says nothing about an image, and is damped in both beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import InvalidLabelSet
from clipsearch.label_set import Aggregate
from clipsearch.model import Model
from clipsearch.scoring.probabilities import Numbers, log_sum_exp
from clipsearch.scoring.targets import WIDE, Targets, multiply

# A direction keeps the share r / (r + v) of itself, where v is the background's mean square along it and r this many
# times the mean over all directions: a ridge, so that few texts of many dimensions do no harm.
RIDGE = 3.0
# About so many of the background texts are taken to hold for an image, too: a label is as likely there as not when it
# stands where the next of them would.
HOLDING = 5
# How fast the probability rises, in natural logarithms of the odds for each standard deviation of the background.
STEEPNESS = 3.0
LEAST_TEXTS = 12

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Presence:
    """What the labels of a set are held against: float32 rows of ``background`` texts [b, d], None for a model that
    needs none, and of some labels, by position, the rows of what is written as their opposite.

    Raises InvalidLabelSet for fewer than twelve background texts.
    """

    targets: Targets
    aggregate: Aggregate
    model: Model
    background: Rows | None
    opposites: dict[int, Rows]

    def __post_init__(self) -> None:
        if self.background is not None and len(self.background) < LEAST_TEXTS:
            raise InvalidLabelSet(
                f"the model has words for {len(self.background)} background texts, and a label needs {LEAST_TEXTS} to "
                "stand out from: ask in the mode single, write negatives and ask in the mode binary, or give the set "
                "a background in words that the model knows"
            )

    @property
    def memory_bytes(self) -> int:
        """Bytes of what is held beside the targets."""
        rows = self.targets.rows
        copies = 1 if rows.size > WIDE else 3
        own = 0 if self.background is None else self.background.nbytes + copies * rows.nbytes
        return int(own + sum(rows.nbytes for rows in self.opposites.values()))

    def evidence(self, images: Rows, logits: Numbers, *, quick: bool = False) -> Numbers:
        """What the sigmoid of is the probability, float64 [n, labels], of unit rows [n, d] and the labels' logits
        [n, labels]; with ``quick`` products are summed in float32.

        Against written opposites: the label's logit less theirs, so that the two make a softmax. Against background
        texts: STEEPNESS * (z - z0), z being the score, freed of what the texts have in common, in standard deviations
        above their mean on this image, and z0 what the share HOLDING / b of a normal distribution exceeds. For a
        model with a bias: the logit. Several rows of a label are joined as their logits are.
        """
        found = logits.copy() if self.background is None else self._against_texts(images, quick=quick)
        wide = images.astype(np.float64)
        for label, rows in self.opposites.items():
            others = Targets.of([rows]).joined(multiply(wide, rows.astype(np.float64)), self.aggregate, self.model)
            found[:, label] = logits[:, label] - others[1][:, 0]
        return found

    def _against_texts(self, images: Rows, *, quick: bool) -> Numbers:
        damped, texts, exact = self._damped
        wide = images.astype(np.float64)
        others = multiply(wide, texts)
        middle, spread = others.mean(axis=1, keepdims=True), others.std(axis=1, keepdims=True)
        expected = NormalDist().inv_cdf(1.0 - min(0.5, HOLDING / len(texts)))
        evidence = (images @ damped.T).astype(np.float64) if quick or exact is None else multiply(wide, exact)
        factor = STEEPNESS / np.maximum(spread, 1e-9)
        evidence *= factor  # in place: there may be eight million of them
        evidence -= middle * factor + STEEPNESS * expected
        if self.targets.plain:
            return evidence
        if self.aggregate == "sum_probability":
            return log_sum_exp(evidence, self.targets.starts)
        joined: Numbers = np.maximum.reduceat(evidence, self.targets.starts, axis=1)
        return joined

    @cached_property
    def _damped(self) -> tuple[Rows, Numbers, Numbers | None]:
        """The rows of the labels, float32 [m, d], and of the texts, float64 [b, d], so that a product with an image
        is its score freed of what the texts have in common: a matched filter, of length one against its own text.
        Of few labels a second time as float64."""
        texts = np.empty((0, 0)) if self.background is None else self.background.astype(np.float64)
        second = texts.T @ texts / len(texts)
        dimension = len(second)
        inverse = np.linalg.inv(second + RIDGE * np.trace(second) / dimension * np.eye(dimension))

        def damp(rows: Numbers) -> Numbers:
            filtered = rows @ inverse
            filtered /= np.sqrt(np.einsum("nd,nd->n", filtered, rows))[:, None]
            return filtered

        rows = self.targets.rows
        if rows.size <= WIDE:
            exact = damp(rows.astype(np.float64))
            return exact.astype(np.float32), damp(texts), exact
        damped = np.empty_like(rows)
        step = max(1, WIDE // dimension)
        for start in range(0, len(rows), step):
            damped[start : start + step] = damp(rows[start : start + step].astype(np.float64))
        return damped, damp(texts), None
