"""Two models for one collection, without weights: fixed random projections of a picture's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from library_fixtures import CountingEncoder
from store_workers import PixelEncoder

from clipsearch.config import Settings
from clipsearch.encoder import Encoded
from clipsearch.library import Library

OLD, NEW = "/models/old", "/models/new"


class WordEncoder(PixelEncoder):
    """A projection that also takes words: each text a vector of its own, the same in every process."""

    def __init__(self, name: str, dimension: int, seed: int, *, fingerprint: str | None = None) -> None:
        super().__init__(dimension)
        self.model = replace(self.model, name=name, fingerprint=fingerprint or f"{seed:064x}")
        self._projection = np.random.default_rng(seed).standard_normal((192, dimension)).astype(np.float32)

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        rows = np.stack([
            np.random.default_rng(list(f"{self.model.name} {text}".encode())).standard_normal(self.model.dimension)
            for text in texts
        ]).astype(np.float32)  # fmt: skip
        norms = np.linalg.norm(rows, axis=1)
        return Encoded(rows / norms[:, None], norms)


def old_encoder() -> CountingEncoder:
    return CountingEncoder(WordEncoder(OLD, 32, 1))


def new_encoder(dimension: int = 48, **options: Any) -> CountingEncoder:
    return CountingEncoder(WordEncoder(NEW, dimension, 2, **options))


def library_of_two(data_dir: Path, *, dimension: int = 48, **settings: Any) -> Library:
    """A library whose collections are of OLD, and that has NEW at hand."""
    chosen: dict[str, Any] = {"decode_threads": 2, "lease_seconds": 5, "model": OLD}
    library = Library.open(Settings(data_dir=data_dir, **chosen | settings))
    library._encoders |= {OLD: old_encoder(), NEW: new_encoder(dimension)}
    return library


def counting(library: Library, name: str) -> CountingEncoder:
    """The encoder that the library holds under this name."""
    found = library._encoders[name]
    assert isinstance(found, CountingEncoder)
    return found
