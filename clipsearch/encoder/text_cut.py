"""Tells how many tokens of a text its row depends on; alone knows the rule for each way of pooling, and no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CutKind = Literal["whole", "first", "largest", "token", "padding"]


@dataclass(frozen=True)
class TextCut:
    """After which token nothing has a say in a text's row any more.

    - "whole": every token up to the context's end has one
    - "first": the row is that of the first token, which sees no other
    - "largest": that of the first token with the largest id, which sees those before it
    - "token": that of the first ``token``, which sees those before it; of the text's start where there is none
    - "padding": padding, which is ``token``, is seen by no one, but for the first ``spared`` behind the text
    """

    kind: CutKind
    token: int = 0
    spared: int = 0

    def lengths(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many tokens each text needs at least: int64 [n], each 1 to l, for tokens int64 [n, l]."""
        count, context = tokens.shape
        if self.kind == "first":
            return np.ones(count, dtype=np.int64)
        if self.kind in ("largest", "token"):
            sought = tokens if self.kind == "largest" else tokens == self.token
            return np.asarray(sought.argmax(axis=1) + 1, dtype=np.int64)
        whole = np.full(count, context, dtype=np.int64)
        if self.kind == "whole":
            return whole
        said = tokens != self.token
        last = context - said[:, ::-1].argmax(axis=1)
        # Where everything is padding, attention has nothing to go by but the padding itself.
        return np.where(said.any(axis=1), np.minimum(last + self.spared, context), whole)


WHOLE = TextCut("whole")
