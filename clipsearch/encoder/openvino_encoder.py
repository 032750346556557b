"""The encoder that runs a converted model in OpenVINO; alone compiles it, and compares its rows with torch's."""

from __future__ import annotations

import logging
import queue
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from clipsearch.encoder import factory
from clipsearch.encoder.batching import Turns
from clipsearch.encoder.kept_files import NotBelieved
from clipsearch.encoder.loading import LoadedModel, vocabulary_of
from clipsearch.encoder.names import ModelSource
from clipsearch.encoder.openvino_guard import core
from clipsearch.encoder.openvino_models import (
    COMPILED,
    PICTURES,
    TEXTS,
    Check,
    KeptModel,
    NotConvertible,
    NotNow,
    convert,
    find_kept,
    first_line,
    folder_for,
    weight_states,
)
from clipsearch.encoder.pictures import PictureReader
from clipsearch.encoder.precision import DType
from clipsearch.encoder.protocol import Encoded
from clipsearch.encoder.runtime_encoder import RuntimeEncoder
from clipsearch.encoder.text_batcher import TextBatcher
from clipsearch.encoder.texts import TextReader
from clipsearch.stages import stage

if TYPE_CHECKING:
    import PIL.Image

# What bfloat16 leaves of a ViT-B/32 in either runtime is .99995; float32 leaves more.
LEAST_COSINE = 0.9999
_PRECISIONS: dict[DType, str] = {"float32": "f32", "bfloat16": "bf16"}
_IMAGE_BATCH = 32
_TEXT_BATCH = 64
_TOKENS = 512  # enough to keep a processor busy, few enough that a query behind them waits for some 0.1 s
_TEXT_REQUESTS = 2
_log = logging.getLogger(__name__)


class OpenVinoEncoder(RuntimeEncoder):
    """An Encoder (see protocol.py) over a converted model on this machine's processor."""

    def __init__(
        self,
        kept: KeptModel,
        tokenizer: Any,
        vocabulary: frozenset[str] | None,
        dtype: DType,
        batch_size: int | None,
        *,
        quantised: str | None = None,
    ) -> None:
        self._model = kept.facts
        self._vocabulary = vocabulary
        self._dtype = "int8" if quantised else dtype
        self._batch_size = batch_size or _IMAGE_BATCH
        self._pictures = PictureReader(kept.facts.preprocessing)
        self._reader = TextReader(tokenizer, vocabulary)
        threads = _threads()
        # A stream for each thread: they need not wait for each other within a layer, nor for a core that decodes.
        self._image_half = _Half(kept.folder, quantised or PICTURES, dtype, threads, streams=min(threads, 4))
        self._text_half = _Half(kept.folder, TEXTS, dtype, threads, streams=1)
        self._turns = Turns()
        self._texts = TextBatcher(
            self._text_half.rows, kept.cut, kept.facts.dimension, texts=batch_size or _TEXT_BATCH, tokens=_TOKENS
        )

    @property
    def device(self) -> str:
        """Where it computes: "cpu"."""
        return "cpu"

    @property
    def runtime(self) -> str:
        """Which software computes: "openvino"."""
        return "openvino"

    @property
    def batch_size(self) -> int:
        """How many pictures to hand over at a time."""
        return self._batch_size

    def encode_prepared(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> Encoded:
        """Embed what ``prepare`` made: n arrays of float32 [3, height, width], or one [n, 3, h, w].

        Raises InvalidVector, with ``positions``, for inputs whose row is zero or not finite.
        """
        return self._encode(len(pixels), lambda start, stop: self._see(pixels[start:stop]))

    def encode_images(self, pictures: Sequence[PIL.Image.Image]) -> Encoded:
        """Prepare and embed upright pictures; raises as ``encode_prepared``."""
        return self._encode(
            len(pictures),
            lambda start, stop: self._see([self.prepare(picture) for picture in pictures[start:stop]]),
        )

    def cosines(self, check: Check) -> tuple[float, float]:
        """The lowest cosine between its rows and those of the check, for pictures and for texts."""
        texts = self._texts.rows(check.tokens)
        return _least_cosine(self._see(check.pixels), check.picture_rows), _least_cosine(texts, check.text_rows)

    def _see(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> NDArray[np.float32]:
        stacked = np.ascontiguousarray(pixels, dtype=np.float32)
        with self._turns.taken():
            return self._image_half.rows(stacked)

    def _encode(self, count: int, see: Callable[[int, int], NDArray[np.float32]]) -> Encoded:
        size = self._batch_size
        with stage("embed_image"):
            parts = [see(start, min(start + size, count)) for start in range(0, count, size)]
        return self._embeddings(count, parts)


class _Half:
    """One half of a model, compiled; its requests are its own, so that neither half waits for the other."""

    def __init__(self, folder: Path, name: str, dtype: DType, threads: int, streams: int) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "CACHE_DIR": str(folder / COMPILED),
        }
        compiled = core().compile_model(folder / name, "CPU", settings)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._streams = streams
        for _ in range(max(streams, _TEXT_REQUESTS)):
            self._requests.put(compiled.create_infer_request())

    def rows(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The rows for these inputs [n, …], in order: float32 [n, d], as they come."""
        parts = [part for part in np.array_split(inputs, self._streams) if len(part)]
        running: list[Any] = []
        try:
            for part in parts:
                request = self._requests.get()
                running.append(request)
                request.start_async({0: part}, share_inputs=True)
            for request in running:
                request.wait()
            return np.concatenate([request.get_output_tensor(0).data for request in running]).astype(np.float32)
        finally:
            for request in running:
                with suppress(RuntimeError):  # told above; a request that failed can be used again
                    request.wait()
                self._requests.put(request)


def open_openvino(
    source: ModelSource,
    load: Callable[[], LoadedModel],
    dtype: DType,
    *,
    batch_size: int | None,
    cache: Path | None,
) -> OpenVinoEncoder:
    """The model in OpenVINO: its conversion that is kept in ``cache``, or a new one of what ``load`` gives.

    Raises NotConvertible where it cannot be converted or computes something else than torch does, and says so again
    without a new try as long as neither weights nor versions change; and where OpenVINO itself is broken or cannot
    run it this time. Raises what ``load`` raises.
    """
    with nullcontext(str(cache)) if cache else tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = folder_for(Path(place), source)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                return _open_in(folder, source, load, dtype, batch_size)
        except ImportError as error:
            raise NotConvertible(
                f"its installation is broken, or another than this was written for ({error})"
            ) from error
        except (OSError, NotBelieved) as error:
            raise NotConvertible(f"its conversion cannot be kept in {folder.parent} ({error})") from error


def _open_in(
    folder: Path, source: ModelSource, load: Callable[[], LoadedModel], dtype: DType, batch_size: int | None
) -> OpenVinoEncoder:
    kept = kept_model(folder, source, load)
    refusal = kept.refusal(dtype)
    if refusal:
        raise NotConvertible(refusal)
    try:
        return _compiled(kept, source, dtype, batch_size)
    except NotNow:
        raise
    except NotConvertible as error:
        kept.noted(refusals={**kept.notes["refusals"], dtype: str(error)})
        raise


def kept_model(folder: Path, source: ModelSource, load: Callable[[], LoadedModel]) -> KeptModel:
    """The conversion in ``folder``, made now where there is none. Hold the folder's lock.

    Raises NotConvertible, OSError, and what ``load`` raises.
    """
    states = weight_states(source)  # before they are read, so that a change meanwhile is seen the next time
    kept = find_kept(folder, source, states=states)
    if kept is not None:
        return kept
    loaded = load()
    states = states or weight_states(source)  # which may have been downloaded just now
    kept = find_kept(folder, source, fingerprint=loaded.facts.fingerprint)
    return kept.noted(weights=states) if kept is not None else convert(folder, loaded, states)


def _compiled(kept: KeptModel, source: ModelSource, dtype: DType, batch_size: int | None) -> OpenVinoEncoder:
    tokenizer = factory.create_tokenizer(source)
    try:
        check = kept.check()
    except NotBelieved as error:
        raise NotNow(str(error)) from error
    reason: NotConvertible = NotNow("it was not compiled")
    for attempt in ("as it is", "compiled anew"):
        try:
            encoder = OpenVinoEncoder(kept, tokenizer, vocabulary_of(source), dtype, batch_size)
            cosines = encoder.cosines(check)
        except RuntimeError as error:
            reason = NotNow(f"it could not be compiled ({first_line(error)})")
        else:
            if min(cosines) >= LEAST_COSINE:
                return encoder
            reason = NotConvertible(
                f"its rows differ from torch's: a cosine of {min(cosines):.5f} in {dtype}, not {LEAST_COSINE}"
            )
        _log.debug("%s in OpenVINO, %s: %s", source.name, attempt, reason)
        shutil.rmtree(kept.folder / COMPILED, ignore_errors=True)
    raise reason


def _least_cosine(rows: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    if rows.shape != expected.shape:
        return 0.0
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (rows * expected).sum(axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)
    return float(np.nan_to_num(cosines, nan=0.0).min())


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())  # which follows the cores that this process may use, and OMP_NUM_THREADS
