"""Embeddings and names as files hold them; knows what must be refused of either."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import InvalidInput, NotFound

LEAST_NORM = 1e-6


def read_vectors(path: Path, *, empty: bool = False) -> NDArray[np.floating]:
    """The array [n, d] of an .npy file, mapped from disk; never unpickled. ``empty`` lets n be 0.

    Raises NotFound, InvalidInput.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    try:
        rows: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidInput(f"{path} is no .npy file of numbers: {error}") from error
    filled = rows.ndim == 2 and rows.shape[1] > 0 and (empty or rows.shape[0] > 0)
    if not filled or not np.issubdtype(rows.dtype, np.floating):
        raise InvalidInput(f"{path} must hold floating point numbers of shape [n, d], not {rows.dtype} {rows.shape}")
    return rows


def read_names(path: Path) -> list[str]:
    """The names in a file: a JSON list of texts, or one a line. Raises NotFound, InvalidInput."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the names in {path} cannot be read: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise InvalidInput(f"{path} must hold a list of names, none of them empty")
    if any("\x00" in name or any("\ud800" <= letter <= "\udfff" for letter in name) for name in names):
        raise InvalidInput(f"a name in {path} holds a NUL character or half of a surrogate pair")
    return names


def check_counts(rows: NDArray[np.floating], names: list[str], embeddings: Path, source: Path) -> None:
    """Raises InvalidInput unless there are as many names as rows."""
    if len(rows) != len(names):
        raise InvalidInput(f"{embeddings} holds {len(rows)} rows, but {source} {len(names)} names")


def to_unit(
    rows: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    """Unit rows in float32, the length of each before, and which of them have no direction."""
    wide = np.asarray(rows, dtype=np.float64)
    with np.errstate(all="ignore"):  # NaN and overflow are what is looked for
        norms = np.linalg.norm(wide, axis=1)
        faulty = ~(np.isfinite(norms) & (norms > LEAST_NORM))
        unit = np.where(faulty[:, None], 0.0, wide / np.where(faulty, 1.0, norms)[:, None])
    return unit.astype(np.float32), norms, faulty
