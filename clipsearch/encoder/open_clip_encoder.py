"""The encoder that runs an open_clip model; alone moves its inputs to the device and its rows back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.batching import Batches, Turns
from clipsearch.encoder.loading import LoadedModel
from clipsearch.encoder.precision import DType, torch_dtype
from clipsearch.encoder.protocol import Encoded
from clipsearch.encoder.runtime_encoder import RuntimeEncoder
from clipsearch.encoder.text_batcher import TextBatcher
from clipsearch.encoder.texts import TextReader
from clipsearch.errors import ModelUnavailable
from clipsearch.stages import stage

if TYPE_CHECKING:
    import PIL.Image
    import torch

_CPU_TOKENS = 512  # enough to keep a CPU busy, few enough that a query behind them waits for some 0.1 s


class OpenClipEncoder(RuntimeEncoder):
    """An Encoder (see protocol.py) over one loaded model on one device."""

    def __init__(self, loaded: LoadedModel, device: str, dtype: DType, batch_size: int | None = None) -> None:
        import torch

        from clipsearch.encoder.staging import staging_for
        from clipsearch.encoder.text_tower import text_tower

        self._model = loaded.facts
        self._vocabulary = loaded.vocabulary
        self._pictures = loaded.pictures
        self._reader = TextReader(loaded.tokenizer, loaded.vocabulary)
        self._device = device
        self._dtype = dtype
        # The weights themselves are cast, once: autocast would cast them again at every call.
        layout = torch.contiguous_format if device == "cpu" else torch.channels_last
        self._network: Any = _place(loaded.network, device, dtype, layout)
        self._staging = staging_for(device, torch_dtype(dtype), layout)
        images = batch_size or _image_batch(device, loaded.facts.image_size or 224)
        self._image_batches = Batches(images)
        self._turns = Turns()
        # torch runs two forwards side by side on a CPU: a query need not wait for a batch of pictures. A GPU has
        # one queue, and one memory to be full.
        self._text_turns = Turns() if device == "cpu" else self._turns
        self._text_tower = text_tower(self._network)
        texts = batch_size or (64 if device == "cpu" else 512)
        self._text_batches = Batches(texts)
        self._texts = TextBatcher(
            self._read,
            self._text_tower.cut,
            loaded.facts.dimension,
            texts=texts,
            tokens=_CPU_TOKENS if device == "cpu" else texts * (loaded.facts.context_length or 77),
        )

    @property
    def device(self) -> str:
        """Where it computes: "cpu", "cuda:0"."""
        return self._device

    @property
    def runtime(self) -> str:
        """Which software computes: "torch"."""
        return "torch"

    @property
    def batch_size(self) -> int:
        """How many pictures to hand over at a time; falls when the GPU's memory proved too small."""
        return self._image_batches.size

    def encode_prepared(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> Encoded:
        """Embed what ``prepare`` made: n arrays of float32 [3, height, width], or one [n, 3, h, w].

        Raises InvalidVector, with ``positions``, for inputs whose row is zero or not finite.
        """
        return self._encode(len(pixels), lambda a, b: self._see(pixels[a:b]))

    def encode_images(self, pictures: Sequence[PIL.Image.Image]) -> Encoded:
        """Prepare and embed upright pictures; raises as ``encode_prepared``."""
        return self._encode(
            len(pictures),
            lambda start, stop: self._see([self.prepare(picture) for picture in pictures[start:stop]]),
        )

    def _see(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            placed = self._staging.place(pixels)
            with self._turns.taken():
                # Rows are fetched when all batches were launched: fetching waits for the GPU.
                rows: torch.Tensor = self._network.encode_image(self._staging.ready(placed), normalize=False).float()
                self._staging.launched()
                return rows

    def _read(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = self._text_batches.run(len(tokens), lambda start, stop: self._read_batch(tokens[start:stop]))
        rows: NDArray[np.float32] = np.concatenate([part.numpy() for part in parts])
        return rows

    def _read_batch(self, tokens: NDArray[np.int64]) -> torch.Tensor:
        import torch

        with torch.inference_mode(), self._text_turns.taken():
            return _float32_on_cpu(self._text_tower(torch.from_numpy(tokens).to(self._device)))

    def _encode(self, count: int, compute: Callable[[int, int], torch.Tensor]) -> Encoded:
        with stage("embed_image"):
            return self._embeddings(count, [part.cpu().numpy() for part in self._image_batches.run(count, compute)])


def _place(network: Any, device: str, dtype: DType, layout: torch.memory_format) -> Any:
    import torch

    try:
        return network.requires_grad_(False).to(device, torch_dtype(dtype), memory_format=layout)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(f"This model does not fit into the memory of {device}: use cpu.") from error


def _image_batch(device: str, image_size: int) -> int:
    # A GPU is kept busy by some 12 million pixels; on a CPU larger batches only take memory.
    return 32 if device == "cpu" else max(8, min(256, 256 * 224 * 224 // (image_size * image_size)))


def _float32_on_cpu(rows: torch.Tensor) -> torch.Tensor:
    return rows.float().cpu()
