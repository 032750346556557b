"""Calls open_clip's factory without its traps; alone knows how it fails, and says so in our errors.

The traps: a wrong activation is only a warning, missing weights of a hub model only a log line, pickled
checkpoints are read, and its logging sets up the root logger of whoever calls it.
"""

from __future__ import annotations

import logging
import os
import pickle
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any

from clipsearch.encoder.hub import (
    CONFIG_FILE,
    HubFile,
    cache_only,
    check_reachable,
    is_cached,
    unavailable,
    weights_in,
)
from clipsearch.encoder.names import ModelSource, check_known
from clipsearch.encoder.torchvision_guard import ensure_torchvision
from clipsearch.errors import ClipSearchError, ModelMismatch, ModelNotFound, ModelUnavailable

if TYPE_CHECKING:
    from torch import nn

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")

_UNSAFE_LOADING = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
_loading = threading.Lock()  # warning filters and the hub's offline switch belong to the whole process
_log = logging.getLogger(__name__)


def open_clip() -> ModuleType:
    """The library itself, imported on first use."""
    ensure_torchvision()
    import open_clip

    library: ModuleType = open_clip
    return library


def registry() -> dict[str, list[str]]:
    """Every architecture that open_clip knows, and the tags of its published weights."""
    library = open_clip()
    tags: dict[str, list[str]] = {name: [] for name in library.list_models()}
    for architecture, tag in library.list_pretrained():
        tags.setdefault(architecture, []).append(tag)
    return tags


def pretrained_cfg(source: ModelSource) -> Mapping[str, Any]:
    """What open_clip publishes with the weights of a tag: hub entry, activation, preprocessing."""
    found: Mapping[str, Any] = open_clip().get_pretrained_cfg(source.architecture, source.tag)
    return found


def weights_of(published: Mapping[str, Any]) -> list[HubFile]:
    """The hub's file behind a published entry; none for one that comes from elsewhere."""
    return [weights_in(published["hf_hub"])] if published.get("hf_hub") else []


def needed_files(source: ModelSource) -> list[HubFile]:
    """What has to come from the hub, as far as it can be told before looking there."""
    needed: list[HubFile] = []
    if source.kind == "hub":
        needed += [HubFile(str(source.repository), (CONFIG_FILE,)), weights_in(f"{source.repository}/")]
        if not is_cached(needed[0]):
            return needed
    elif source.kind == "pretrained":
        needed += weights_of(pretrained_cfg(source))
    text = architecture_of(source).get("text_cfg", {})
    if source.kind != "folder" and text.get("hf_tokenizer_name"):
        needed.append(HubFile(text["hf_tokenizer_name"], ("tokenizer_config.json",)))
    if text.get("hf_model_name"):
        needed.append(HubFile(text["hf_model_name"], ("config.json",)))
    return needed


def architecture_of(source: ModelSource) -> dict[str, Any]:
    """open_clip's configuration of the architecture (embed_dim, vision_cfg, text_cfg, …).

    For a "hub" source this may ask the hub. Raises ModelNotFound for an unknown name or a path where
    nothing is, ModelUnavailable for what cannot be had or is not such a configuration.
    """
    _check_there(source)
    config_file = [HubFile(str(source.repository), (CONFIG_FILE,))] if source.kind == "hub" else []
    with _guarded(source, config_file):
        config: dict[str, Any] = open_clip().get_model_config(source.factory_name)
    return config


def create_network(source: ModelSource, *, ask_hub: bool = False) -> tuple[nn.Module, Any]:
    """The network in float32 on the CPU, in evaluation mode, and open_clip's tokenizer for it.

    Downloads what is not on this machine; with ``ask_hub`` also completes what is there in part. Raises
    ModelNotFound, ModelMismatch (weights and architecture differ) or ModelUnavailable.
    """
    _check_there(source)
    library = open_clip()
    from clipsearch.encoder.sparing import sparing_memory

    with _guarded(source, needed_files(source), ask_hub=ask_hub):
        with sparing_memory():
            network: nn.Module = library.create_model(
                source.factory_name,
                pretrained=_weights_argument(source),
                force_quick_gelu=source.kind == "pretrained" and bool(pretrained_cfg(source).get("quick_gelu")),
                force_preprocess_cfg=_published_preprocessing(source),
                require_pretrained=True,
                weights_only=True,
            )
        tokenizer = library.get_tokenizer(source.factory_name)
    return network.eval(), tokenizer


def create_tokenizer(source: ModelSource) -> Any:
    """open_clip's tokenizer for the model, without its network; raises as ``create_network``."""
    _check_there(source)
    library = open_clip()
    with _guarded(source, needed_files(source)):
        return library.get_tokenizer(source.factory_name)


def _weights_argument(source: ModelSource) -> str | None:
    return str(source.path) if source.kind == "checkpoint" else source.tag


def _published_preprocessing(source: ModelSource) -> dict[str, Any] | None:
    # A bare checkpoint does not say how its pictures are prepared, and open_clip falls back on OpenAI's way:
    # wrong for SigLIP. Where all published weights of the architecture agree, theirs is the better guess.
    if source.kind != "checkpoint":
        return None
    library = open_clip()
    published = [
        {key: library.get_pretrained_cfg(source.architecture, tag)[key] for key in PREPROCESSING}
        for tag in library.list_pretrained_tags_by_model(source.architecture)
    ]
    return published[0] if published and all(one == published[0] for one in published) else None


def _check_there(source: ModelSource) -> None:
    check_known(source, registry() if source.architecture else {})
    if source.kind == "folder" and not (source.path and (source.path / CONFIG_FILE).is_file()):
        if source.shipped:
            raise ModelUnavailable(
                f"The model {source.name} should be in {source.path} and is not: install clipsearch again, or in"
                " a checkout run scripts/train_demo_model.py.",
                model=source.name,
            )
        raise ModelNotFound(f"There is no {CONFIG_FILE} in {source.path}.", model=source.name)
    if source.kind == "checkpoint" and source.path:
        if not source.path.is_file():
            raise ModelNotFound(f"There is no checkpoint file {source.path}.", model=source.name)
        if source.path.suffix not in CHECKPOINT_SUFFIXES:
            reason = f"a checkpoint is a {', '.join(CHECKPOINT_SUFFIXES)} file, not {source.path.name}"
            raise unavailable(source.name, reason)


@contextmanager
def _guarded(source: ModelSource, needed: Sequence[HubFile], *, ask_hub: bool = False) -> Iterator[None]:
    with _loading, _translated(source), _logging_contained(), _wrong_activation_raises(), _never_unpickling():
        missing = [file for file in needed if not is_cached(file)]
        for file in missing:
            check_reachable(source.name, file)
        with nullcontext() if missing or ask_hub else cache_only():
            yield


@contextmanager
def _translated(source: ModelSource) -> Iterator[None]:
    try:
        yield
    except ClipSearchError:
        raise
    except Exception as error:  # every library below has errors of its own, and the message says which it was
        raise _in_our_words(source, error) from error


@contextmanager
def _wrong_activation_raises() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="QuickGELU mismatch")
        yield


@contextmanager
def _never_unpickling() -> Iterator[None]:
    # open_clip repeats a load that ended in a TypeError, which a checkpoint can bring about, and forgets its
    # weights_only the second time; with this variable set the checkpoint could then run code.
    set_by_user = os.environ.pop(_UNSAFE_LOADING, None)
    try:
        yield
    finally:
        if set_by_user is not None:
            os.environ[_UNSAFE_LOADING] = set_by_user


def _in_our_words(source: ModelSource, error: Exception) -> ClipSearchError:
    said = str(error).strip()
    if isinstance(error, UserWarning) and "QuickGELU" in said:
        return ModelMismatch(
            f"{source.name} would be built with another activation than its weights were trained with: {said}"
            " Use its hf-hub: name, whose configuration states the activation.",
            model=source.name,
        )
    if isinstance(error, RuntimeError) and said.startswith("Error(s) in loading state_dict"):
        first = " ".join(said.split())[:300]
        return ModelMismatch(f"The weights do not fit the architecture of {source.name}: {first}", model=source.name)
    if isinstance(error, pickle.UnpicklingError):
        return unavailable(
            source.name,
            "the checkpoint holds pickled objects besides its weights, and those could run any code; it was"
            " not opened. Convert it to .safetensors where you trust it",
        )
    if isinstance(error, ImportError) or "transformers" in said:
        reason = f"it needs a further package, transformers perhaps ({_first_line(said)})"
        return unavailable(source.name, reason)
    return unavailable(source.name, _first_line(said) or type(error).__name__)


def _first_line(said: str) -> str:
    return said.partition("\n")[0][:300].rstrip(". ")


@contextmanager
def _logging_contained() -> Iterator[None]:
    # open_clip logs through the root logger's functions: with no handler there, the first call would set up
    # logging for the whole process. Its lines go to our own logger instead, below warning.
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addFilter(_redirect_open_clip)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.removeFilter(_redirect_open_clip)


def _redirect_open_clip(record: logging.LogRecord) -> bool:
    if f"{os.sep}open_clip{os.sep}" not in record.pathname:
        return True
    _log.debug("open_clip: %s", record.getMessage())
    return False
