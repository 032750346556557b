"""What every encoder offers to the rest of the house; knows arrays and pictures, and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.model import Model

if TYPE_CHECKING:
    import PIL.Image


@dataclass(frozen=True)
class Encoded:
    """Embeddings of ``n`` inputs in their order.

    ``vectors`` is float32 [n, dimension], each row of unit length; ``norms`` is float32 [n], the length
    that each row had as it came from the model.
    """

    vectors: NDArray[np.float32]
    norms: NDArray[np.float32]


class TextEncoder(Protocol):
    """Turns texts into embeddings by one model; the half of an Encoder that a search by words needs.

    Safe to share between threads.
    """

    @property
    def model(self) -> Model:
        """The facts of the model that are kept with its embeddings."""

    @property
    def vocabulary(self) -> frozenset[str] | None:
        """The words that a small model was taught, or None for a model that knows language at large."""

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        """Embed texts as they stand, cut at the model's context.

        Raises InvalidVector, with ``positions``, for inputs whose row is zero or not finite.
        """

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether it is longer than the model's context and would lose its end."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens the model reads of each text, the marks of its beginning and end among them."""

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` outside the vocabulary, lower-cased, each once; [] without a vocabulary."""


class Encoder(TextEncoder, Protocol):
    """Turns pictures and texts into embeddings: one row per input, in order, never fewer.

    Safe to share between threads: forwards take turns, and ``prepare`` runs in parallel.
    """

    @property
    def device(self) -> str:
        """Where it computes: "cpu", "cuda:0"."""

    @property
    def runtime(self) -> str:
        """Which software computes: "torch", "openvino"."""

    @property
    def dtype(self) -> str:
        """What it computes in: "float32", "bfloat16", "float16", "int8"."""

    @property
    def batch_size(self) -> int:
        """How many pictures to hand over at a time; falls when the GPU's memory proved too small."""

    def prepare(self, picture: PIL.Image.Image) -> NDArray[np.float32]:
        """The model's own preprocessing of one upright picture: float32 [3, height, width]."""

    def encode_prepared(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> Encoded:
        """Embed what ``prepare`` made.

        Raises InvalidVector, with ``positions``, for inputs whose row is zero or not finite.
        """

    def encode_images(self, pictures: Sequence[PIL.Image.Image]) -> Encoded:
        """Prepare and embed upright pictures; raises as ``encode_prepared``."""
