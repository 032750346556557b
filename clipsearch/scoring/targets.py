"""What stands for the labels of a set in a model's space, and how several rows of one label become one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsearch.label_set import Aggregate
from clipsearch.model import Model
from clipsearch.scoring.probabilities import Numbers, log_sum_exp

# Of so many numbers at once labels are brought to float64: 64 million bytes.
WIDE = 8_000_000
# Up to so many products numpy multiplies by itself: the threads of a BLAS would go on turning for a while, and take
# a core from the model that embeds the next picture.
FEW_PRODUCTS = 100_000


@dataclass(frozen=True, eq=False)
class Targets:
    """Unit rows float32 [m, d] in groups: those of one label lie together, in the order of the set, and those of the
    background come last. ``starts`` int64 [groups] are the first rows of the groups; none is empty."""

    rows: NDArray[np.float32]
    starts: NDArray[np.int64]
    background: bool = False

    @staticmethod
    def of(groups: Sequence[NDArray[np.float32]], background: NDArray[np.float32] | None = None) -> Targets:
        """The rows [k, d] of each label, and those of the background where there is one."""
        every = [*groups, *([] if background is None else [background])]
        starts = np.cumsum([0, *(len(group) for group in every[:-1])], dtype=np.int64)
        rows = np.concatenate(every)
        rows.setflags(write=False)
        return Targets(rows, starts, background is not None)

    @property
    def plain(self) -> bool:
        """Whether every label has one row."""
        return len(self.rows) == len(self.starts)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the rows."""
        return int(self.rows.nbytes)

    @cached_property
    def _wide(self) -> NDArray[np.float64] | None:
        return self.rows.astype(np.float64) if self.rows.size <= WIDE else None

    def products(self, images: NDArray[np.float32], *, quick: bool = False) -> Numbers:
        """Cosines float64 [n, m] of unit rows [n, d] with every row; with ``quick`` summed in float32."""
        if quick:
            return (images @ self.rows.T).astype(np.float64)
        wide = images.astype(np.float64)
        if self._wide is not None:
            return multiply(wide, self._wide)
        found = np.empty((len(images), len(self.rows)))
        step = max(1, WIDE // self.rows.shape[1])
        for start in range(0, len(self.rows), step):
            part = slice(start, start + step)
            found[:, part] = wide @ self.rows[part].astype(np.float64).T
        return found

    def joined(self, products: Numbers, aggregate: Aggregate, model: Model) -> tuple[Numbers, Numbers]:
        """Scores and logits float64 [n, groups] of cosines [n, m].

        A label's score is that of its best row. Its logit is scale * score + bias, and for ``sum_probability``
        log(sum(exp(logit))) over its rows, whose softmax over labels is the sum of a softmax over rows.
        """
        if self.plain:
            return products, model.logit_scale * products + model.logit_bias
        scores: Numbers = np.maximum.reduceat(products, self.starts, axis=1)
        if aggregate == "sum_probability":
            return scores, log_sum_exp(model.logit_scale * products + model.logit_bias, self.starts)
        return scores, model.logit_scale * scores + model.logit_bias


def multiply(images: Numbers, rows: Numbers) -> Numbers:
    """Inner products float64 [n, m] of rows [n, d] and rows [m, d]."""
    if len(images) * len(rows) <= FEW_PRODUCTS:
        few: Numbers = np.einsum("nd,md->nm", images, rows)
        return few
    products: Numbers = images @ rows.T
    return products
