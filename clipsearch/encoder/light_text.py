"""The encoder of texts that is ready in a third of a second; runs an exported tower, and loads neither torch nor
open_clip."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.kept_files import NotBelieved
from clipsearch.encoder.light_tokens import (
    FAST_FILE,
    MERGES_FILE,
    FastTokens,
    LightReader,
    LightTokens,
    MergedTokens,
)
from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.protocol import Encoded
from clipsearch.encoder.text_batcher import TextBatcher
from clipsearch.encoder.text_runtime import MODEL_FILE, TextRuntime, read_runtime, runtime_folder
from clipsearch.encoder.texts import unknown_words
from clipsearch.encoder.unit_rows import unit_rows
from clipsearch.model import Model
from clipsearch.stages import stage

_log = logging.getLogger(__name__)

_TEXTS = 64
_TOKENS = 512
_ERRORS_ONLY = 3  # ONNX Runtime's severity


class LightTextEncoder:
    """A TextEncoder (see protocol.py) over an exported tower, in float32 on the CPU.

    Raises whatever ONNX Runtime raises for a folder that it cannot read.
    """

    def __init__(self, folder: Path, runtime: TextRuntime, model: Model) -> None:
        self._model = model
        self._vocabulary = None if runtime.vocabulary is None else frozenset(runtime.vocabulary)
        self._reader = LightReader(_tokenizer(folder, runtime), runtime.context_length, runtime.padding)
        self._session = _session(folder / MODEL_FILE)
        self._texts = TextBatcher(self._read, runtime.cut, runtime.dimension, texts=_TEXTS, tokens=_TOKENS)

    @property
    def model(self) -> Model:
        """The facts of the model that are kept with its embeddings."""
        return self._model

    @property
    def vocabulary(self) -> frozenset[str] | None:
        """The words that a small model was taught, or None for a model that knows language at large."""
        return self._vocabulary

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        """Embed texts as they stand, cut at the model's context, together with those of other threads.

        Raises InvalidVector, with ``positions``, for inputs whose row is zero or not finite, and Busy when too
        many texts of others wait.
        """
        with stage("embed_text"):
            rows = self._texts.rows(self._reader.tokens(texts))
        return unit_rows(rows, f"texts by {self._model.name} in float32")

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether it is longer than the model's context and would lose its end."""
        return self._reader.truncated(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens the model reads of each text, the marks of its beginning and end among them."""
        return self._reader.counts(texts)

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` outside the vocabulary, lower-cased, each once; [] without a vocabulary."""
        return unknown_words(text, self._vocabulary)

    def _read(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(None, {"tokens": tokens})[0], dtype=np.float32)


def open_light_text(runtimes: Path, model: Model) -> LightTextEncoder | None:
    """The exported text tower of ``model`` among those in ``runtimes``; None where there is none to be believed."""
    if model.fingerprint is None:
        return None
    source = parse_model_name(model.name)
    folder = runtime_folder(runtimes, source.name, model.fingerprint)
    try:
        runtime = read_runtime(folder, source, model.fingerprint)
        return None if runtime is None else LightTextEncoder(folder, runtime, model)
    except NotBelieved as error:
        _log.debug("The text runtime of %s in %s is not used: %s.", model.name, folder, error)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime, tokenizers and regex have errors of their own
        _log.warning("The text runtime of %s in %s cannot be loaded: %s", model.name, folder, error)
    return None


def _tokenizer(folder: Path, runtime: TextRuntime) -> LightTokens:
    rules = runtime.tokenizer
    if rules["kind"] == "fast":
        return FastTokens(rules, folder / FAST_FILE, runtime.context_length)
    return MergedTokens(rules, (folder / MERGES_FILE).read_text(encoding="utf-8"), runtime.context_length)


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = _cpus()
    # It is optimised already, and packing the weights anew would read them all before the first text.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
