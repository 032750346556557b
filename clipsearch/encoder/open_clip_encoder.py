"""The encoder that runs an open_clip model; alone moves its inputs to the device and its rows back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.batching import Batches, Turns
from clipsearch.encoder.loading import LoadedModel, load_model
from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.precision import DType, choose_device, choose_dtype, torch_dtype
from clipsearch.encoder.protocol import Encoded
from clipsearch.encoder.texts import TextReader
from clipsearch.errors import ConfigError, InvalidVector, ModelUnavailable
from clipsearch.model import Model

if TYPE_CHECKING:
    import PIL.Image
    import torch

_LONGEST_STRIP = 16  # sides longer than this many times the other are cut before they are resized


class OpenClipEncoder:
    """An Encoder (see protocol.py) over one loaded model on one device."""

    def __init__(self, loaded: LoadedModel, device: str, dtype: DType, batch_size: int | None = None) -> None:
        import torch

        self._model = loaded.facts
        self._vocabulary = loaded.vocabulary
        self._preprocess = loaded.preprocess
        self._reader = TextReader(loaded.tokenizer, loaded.vocabulary)
        self._device = device
        self._dtype: DType = dtype
        # The weights themselves are cast, once: autocast would cast them again at every call.
        self._layout = torch.contiguous_format if device == "cpu" else torch.channels_last
        self._network: Any = _place(loaded.network, device, dtype, self._layout)
        images = batch_size or _image_batch(device, loaded.facts.image_size or 224)
        self._image_batches = Batches(images)
        self._text_batches = Batches(batch_size or (64 if device == "cpu" else 512))
        self._turns = Turns()

    @property
    def model(self) -> Model:
        """The facts of the model that are kept with its embeddings."""
        return self._model

    @property
    def device(self) -> str:
        """Where it computes: "cpu", "cuda:0"."""
        return self._device

    @property
    def dtype(self) -> str:
        """What it computes in: "float32", "bfloat16", "float16"."""
        return self._dtype

    @property
    def batch_size(self) -> int:
        """How many pictures to hand over at a time; falls when the GPU's memory proved too small."""
        return self._image_batches.size

    @property
    def vocabulary(self) -> frozenset[str] | None:
        """The words that a small model was taught, or None for a model that knows language at large."""
        return self._vocabulary

    def prepare(self, picture: PIL.Image.Image) -> NDArray[np.float32]:
        """The model's own preprocessing of one upright picture: float32 [3, height, width]."""
        # open_clip converts after resizing, which for palettes would resize colour numbers.
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        if self._model.preprocessing.get("resize_mode") == "shortest":
            picture = _without_far_ends(picture)
        pixels: NDArray[np.float32] = self._preprocess(picture).numpy()
        return pixels

    def encode_prepared(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> Encoded:
        """Embed what ``prepare`` made: n arrays of float32 [3, height, width], or one [n, 3, h, w].

        Raises InvalidVector, with ``positions``, for inputs whose row is zero or not finite.
        """
        return self._encode("image", len(pixels), self._image_batches, lambda a, b: self._see(pixels[a:b]))

    def encode_images(self, pictures: Sequence[PIL.Image.Image]) -> Encoded:
        """Prepare and embed upright pictures; raises as ``encode_prepared``."""
        return self._encode(
            "image",
            len(pictures),
            self._image_batches,
            lambda start, stop: self._see([self.prepare(picture) for picture in pictures[start:stop]]),
        )

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        """Embed texts as they stand, cut at the model's context; raises as ``encode_prepared``."""
        return self._encode("text", len(texts), self._text_batches, lambda a, b: self._read(texts[a:b]))

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether it is longer than the model's context and would lose its end."""
        return self._reader.truncated(texts)

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` outside the vocabulary, lower-cased, each once; [] without a vocabulary."""
        return self._reader.unknown_words(text)

    def _see(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> torch.Tensor:
        import torch

        stacked = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
        with torch.inference_mode(), self._turns.taken():
            placed = stacked.to(self._device).to(torch_dtype(self._dtype), memory_format=self._layout)
            return _float32_on_cpu(self._network.encode_image(placed, normalize=False))

    def _read(self, texts: Sequence[str]) -> torch.Tensor:
        import torch

        tokens = self._reader.tokens(texts)
        with torch.inference_mode(), self._turns.taken():
            return _float32_on_cpu(self._network.encode_text(tokens.to(self._device), normalize=False))

    def _encode(self, kind: str, count: int, batches: Batches, compute: Callable[[int, int], torch.Tensor]) -> Encoded:
        parts = [part.numpy() for part in batches.run(count, compute)]
        rows = np.concatenate(parts) if parts else np.zeros((0, self._model.dimension), dtype=np.float32)
        if rows.shape != (count, self._model.dimension):
            raise InvalidVector(
                f"{self._model.name} gave {rows.shape} for {count} {kind}s, not {self._model.dimension} wide."
            )
        return _normalised(rows, f"{kind}s by {self._model.name} in {self._dtype}")


def open_encoder(
    name: str, *, device: str = "auto", dtype: str = "auto", batch_size: int | None = None
) -> OpenClipEncoder:
    """Load the model called ``name`` (see names.py) and place it.

    Raises ModelNotFound, ModelMismatch, ModelUnavailable, or ConfigError for a device, dtype or batch size
    that cannot be.
    """
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"A batch holds at least one input, not {batch_size}.", batch_size=batch_size)
    source = parse_model_name(name)
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    return OpenClipEncoder(load_model(source), chosen_device, chosen_dtype, batch_size)


def _place(network: Any, device: str, dtype: DType, layout: torch.memory_format) -> Any:
    import torch

    try:
        return network.requires_grad_(False).to(device, torch_dtype(dtype), memory_format=layout)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(f"This model does not fit into the memory of {device}: use cpu.") from error


def _image_batch(device: str, image_size: int) -> int:
    # A GPU is kept busy by some 12 million pixels; on a CPU larger batches only take memory.
    return 32 if device == "cpu" else max(8, min(256, 256 * 224 * 224 // (image_size * image_size)))


def _without_far_ends(picture: PIL.Image.Image) -> PIL.Image.Image:
    # Where the short side is resized and the centre kept, a strip of 1 x 10,000 pixels would become one of
    # 224 x 2,240,000 first. Nothing so far from the centre is kept: cut it off while it is small.
    width, height = picture.size
    limit = _LONGEST_STRIP * min(width, height)
    if max(width, height) <= limit:
        return picture
    across, down = max(0, width - limit) // 2, max(0, height - limit) // 2
    return picture.crop((across, down, width - across, height - down))


def _float32_on_cpu(rows: torch.Tensor) -> torch.Tensor:
    return rows.float().cpu()


def _normalised(rows: NDArray[np.float32], described: str) -> Encoded:
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
