"""What encoders of every runtime share: they read pictures and texts the same way, and differ in who computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.protocol import Encoded
from clipsearch.encoder.unit_rows import unit_rows
from clipsearch.errors import InvalidVector
from clipsearch.model import Model
from clipsearch.stages import stage

if TYPE_CHECKING:
    import PIL.Image

    from clipsearch.encoder.pictures import PictureReader
    from clipsearch.encoder.text_batcher import TextBatcher
    from clipsearch.encoder.texts import TextReader


class RuntimeEncoder:
    """The part of an Encoder (see protocol.py) that no runtime does otherwise.

    A runtime sets the attributes in its ``__init__``.
    """

    _model: Model
    _vocabulary: frozenset[str] | None
    _pictures: PictureReader
    _reader: TextReader
    _texts: TextBatcher
    _dtype: str

    @property
    def model(self) -> Model:
        """The facts of the model that are kept with its embeddings."""
        return self._model

    @property
    def dtype(self) -> str:
        """What it computes in: "float32", "bfloat16", "float16", "int8"."""
        return self._dtype

    @property
    def vocabulary(self) -> frozenset[str] | None:
        """The words that a small model was taught, or None for a model that knows language at large."""
        return self._vocabulary

    def prepare(self, picture: PIL.Image.Image) -> NDArray[np.float32]:
        """The model's own preprocessing of one upright picture: float32 [3, height, width]."""
        return self._pictures.prepare(picture)

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        """Embed texts as they stand, cut at the model's context, together with those of other threads.

        Raises InvalidVector as ``encode_prepared``, and Busy when too many texts of others wait.
        """
        with stage("embed_text"):
            rows = self._texts.rows(self._reader.tokens(texts))
        return unit_rows(rows, f"texts by {self._model.name} in {self._dtype}")

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether it is longer than the model's context and would lose its end."""
        return self._reader.truncated(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens the model reads of each text, the marks of its beginning and end among them."""
        return self._reader.counts(texts)

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` outside the vocabulary, lower-cased, each once; [] without a vocabulary."""
        return self._reader.unknown_words(text)

    def _embeddings(self, count: int, parts: Sequence[NDArray[np.float32]]) -> Encoded:
        """The rows of ``count`` images that came in ``parts``. Raises InvalidVector, also for another shape."""
        rows = np.concatenate(parts) if parts else np.zeros((0, self._model.dimension), dtype=np.float32)
        if rows.shape != (count, self._model.dimension):
            raise InvalidVector(
                f"{self._model.name} gave {rows.shape} for {count} images, not {self._model.dimension} wide."
            )
        return unit_rows(rows, f"images by {self._model.name} in {self._dtype}")
