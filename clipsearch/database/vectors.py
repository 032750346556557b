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
    rows, sound = sound_rows(blobs, dimension)
    if not sound.all():
        raise InvalidVector("an embedding in the database is damaged; run: clipsearch doctor")
    return rows


def sound_rows(blobs: Sequence[bytes], dimension: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The rows of the blobs that are sound, as ``from_blobs`` gives them, and for each blob whether it is."""
    width = dimension * AT_REST.itemsize
    sound = np.array([len(blob) == width for blob in blobs], dtype=np.bool_)
    whole = [blob for blob in blobs if len(blob) == width]
    rows = np.frombuffer(b"".join(whole), dtype=AT_REST).reshape(len(whole), dimension).astype(np.float32)
    norms = np.linalg.norm(rows, axis=1)
    usable = np.isfinite(norms) & (norms > 0.5)
    sound[sound] = usable
    if not usable.all():
        rows, norms = rows[usable], norms[usable]
    rows /= norms[:, None]
    return rows, sound


def sound_halves(blobs: Sequence[bytes], dimension: int) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """The rows of the blobs that are sound as they rest, float16 [n, dimension], and for each blob whether it is.

    A row that is not of unit length is brought back to it, as ``from_blobs`` does with all.
    """
    width = dimension * AT_REST.itemsize
    sound = np.array([len(blob) == width for blob in blobs], dtype=np.bool_)
    whole = blobs if sound.all() else [blob for blob in blobs if len(blob) == width]
    rows = np.frombuffer(b"".join(whole), dtype=AT_REST).reshape(len(whole), dimension)
    wide = rows.astype(np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    usable = np.isfinite(norms) & (norms > 0.5)
    off = usable & (np.abs(norms - 1.0) > UNIT_TOLERANCE)
    if off.any():
        rows = rows.copy()
        rows[off] = wide[off] / norms[off, None]
    sound[sound] = usable
    return rows if usable.all() else rows[usable], sound
