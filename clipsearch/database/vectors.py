"""Unit vectors to bytes and back; knows that they rest as little-endian float16."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import InvalidVector

AT_REST = np.dtype("<f2")
UNIT_TOLERANCE = 1e-3


def to_blobs(vectors: NDArray[np.floating]) -> list[bytes]:
    """One value of bytes for each row of a float array [n, d].

    Raises InvalidVector when a row is not finite or not of unit length: such a row could never be found again.
    """
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    norms = np.linalg.norm(rows, axis=1)
    faulty = np.flatnonzero(~(np.abs(norms - 1.0) <= UNIT_TOLERANCE))
    if faulty.size:
        raise InvalidVector(
            f"{faulty.size} of {len(rows)} embeddings are not of unit length; the first is row {faulty[0]} "
            f"of length {norms[faulty[0]]:.4g}",
            positions=faulty.tolist(),
        )
    return [row.tobytes() for row in rows.astype(AT_REST)]


def from_blobs(blobs: Sequence[bytes], dimension: int) -> NDArray[np.float32]:
    """The rows [n, dimension] as float32, brought back to unit length. Raises InvalidVector for damaged bytes."""
    if any(len(blob) != dimension * AT_REST.itemsize for blob in blobs):
        raise InvalidVector(f"an embedding in the database has not {dimension} dimensions; run: clipsearch doctor")
    rows = np.frombuffer(b"".join(blobs), dtype=AT_REST).reshape(len(blobs), dimension).astype(np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(norms) & (norms > 0.5)):
        raise InvalidVector("an embedding in the database is damaged; run: clipsearch doctor")
    rows /= norms
    return rows
