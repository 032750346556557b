"""Brings a model's rows to unit length; alone knows which rows cannot be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.protocol import Encoded
from clipsearch.errors import InvalidVector


def unit_rows(rows: NDArray[np.float32], described: str) -> Encoded:
    """The rows float32 [n, d] at unit length, and the lengths that they had.

    Raises InvalidVector, with ``positions``, where one is zero or not finite; ``described`` says what they are of.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > np.finfo(np.float32).tiny)))
    if bad.size:
        positions = [int(position) for position in bad]
        raise InvalidVector(
            f"{len(positions)} of {len(rows)} {described} came out as zero or not a number, at"
            f" {', '.join(map(str, positions[:10]))}{', …' if len(positions) > 10 else ''}.",
            positions=positions,
        )
    return Encoded(rows / norms[:, None], norms)
