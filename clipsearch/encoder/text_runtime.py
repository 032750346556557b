"""The folder that holds an exported text tower; knows its files, and whose they are.

::

    <data_dir>/runtimes/text-<hex>/    hex tells the model's name, its fingerprint and the format
        text.onnx, text.onnx.data      the tower in float32, as ONNX Runtime has optimised it
        merges.txt or tokenizer.json   the tokenizer
        manifest.json                  what is said below, and the files' checksums (see kept_files.py)
    <data_dir>/runtimes/text-<hex>.lock      held by the one who writes it
    <data_dir>/runtimes/text-<hex>.refused   why this model cannot be exported, and by which versions
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from clipsearch.encoder.kept_files import NotBelieved, read_kept, states_of
from clipsearch.encoder.names import ModelSource
from clipsearch.encoder.text_cut import TextCut

FORMAT = 1
MODEL_FILE = "text.onnx"
WEIGHTS_FILE = "text.onnx.data"
_MODEL_SUFFIXES = {".bin", ".json", ".model", ".pt", ".pth", ".safetensors", ".txt"}


@dataclass(frozen=True)
class TextRuntime:
    """What is needed to run an exported text tower, but for the files themselves.

    ``tokenizer`` holds its rules (see light_tokens.py); ``padding`` is the id that fills a text up to
    ``context_length``; ``vocabulary`` the words that a small model was taught; ``sources`` the states of the files
    that the model was read from.
    """

    model: str
    fingerprint: str
    dimension: int
    context_length: int
    padding: int
    cut: TextCut
    tokenizer: Mapping[str, Any]
    vocabulary: Sequence[str] | None
    sources: Sequence[Mapping[str, Any]]
    onnxruntime: str

    def facts(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def runtime_folder(runtimes: Path, model: str, fingerprint: str) -> Path:
    """Where the text tower of these weights under this name is kept; the folder need not be there."""
    digest = hashlib.sha256(json.dumps([FORMAT, model, fingerprint]).encode()).hexdigest()
    return runtimes / f"text-{digest[:24]}"


def source_states(source: ModelSource) -> list[dict[str, Any]]:
    """The files of a model that lies in a folder or a checkpoint; none for published weights, which do not change.

    Raises OSError where they cannot be looked at.
    """
    if source.path is None:
        return []
    inside = sorted(source.path.iterdir()) if source.kind == "folder" else [source.path]
    return states_of([path for path in inside if path.suffix in _MODEL_SUFFIXES and path.is_file()])


def read_runtime(folder: Path, source: ModelSource, fingerprint: str) -> TextRuntime | None:
    """What stands in ``folder``, if it is whole, of these weights, and of this installation; None for nothing.

    Raises NotBelieved where it is damaged, foreign or outdated, or where the model's files have changed since.
    """
    facts = read_kept(folder)
    if facts is None:
        return None
    try:
        runtime = TextRuntime(**facts)
        runtime = replace(runtime, cut=TextCut(**facts["cut"]))
    except (TypeError, KeyError) as error:
        raise NotBelieved("its manifest is of another kind") from error
    if (runtime.model, runtime.fingerprint) != (source.name, fingerprint):
        raise NotBelieved("it is of another model")
    # What one version has optimised another need not understand.
    if runtime.onnxruntime != version("onnxruntime"):
        raise NotBelieved(f"it was made for ONNX Runtime {runtime.onnxruntime}")
    try:
        unchanged = runtime.sources == source_states(source)
    except OSError as error:
        raise NotBelieved(f"the model's files cannot be looked at: {error}") from error
    if not unchanged:
        raise NotBelieved("the model's files have changed since")
    return runtime


def stands(folder: Path, source: ModelSource, fingerprint: str) -> bool:
    """Whether these weights need no export any more."""
    try:
        return read_runtime(folder, source, fingerprint) is not None
    except NotBelieved:
        return False


def refused(folder: Path) -> bool:
    """Whether the versions that are installed have found that this model cannot be exported."""
    try:
        noted: object = json.loads(folder.with_suffix(".refused").read_bytes())["versions"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return noted == _versions()


def note_refusal(folder: Path, reason: str) -> None:
    """Keep the next process from trying again. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"reason": reason, "versions": _versions()})
    folder.with_suffix(".refused").write_text(text, encoding="utf-8")


def _versions() -> dict[str, str | int]:
    found: dict[str, str | int] = {"format": FORMAT}
    for package in ("onnx", "onnxruntime", "open_clip_torch", "tokenizers", "torch", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
