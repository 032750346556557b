"""Brings a model from its name to a network with its facts; alone knows where each fact is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clipsearch.encoder.factory import architecture_of, create_network, open_clip
from clipsearch.encoder.fingerprint import fingerprint
from clipsearch.encoder.names import ModelSource
from clipsearch.encoder.pictures import PictureReader
from clipsearch.errors import ModelUnavailable
from clipsearch.model import Model

if TYPE_CHECKING:
    from torch import nn

VOCABULARY_FILE = "vocabulary.txt"

_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "open_clip": "open_clip_torch",
    "pillow": "pillow",
    "timm": "timm",
    "transformers": "transformers",
    "tokenizers": "tokenizers",
}


@dataclass(frozen=True)
class LoadedModel:
    """A network in float32 on the CPU, with what turns pictures and texts into its inputs."""

    network: nn.Module
    pictures: PictureReader
    tokenizer: Any
    facts: Model
    vocabulary: frozenset[str] | None


def load_model(source: ModelSource) -> LoadedModel:
    """Load the weights, their own preprocessing and tokenizer.

    Raises ModelNotFound, ModelMismatch or ModelUnavailable, each with what to do.
    """
    network, tokenizer = create_network(source)
    architecture = architecture_of(source)
    facts = _facts(source, network, tokenizer, architecture)
    return LoadedModel(
        network=network,
        pictures=PictureReader(facts.preprocessing),
        tokenizer=tokenizer,
        facts=facts,
        vocabulary=vocabulary_of(source),
    )


def vocabulary_of(source: ModelSource) -> frozenset[str] | None:
    """The words that the model was taught, lower-cased, or None where it comes with no list of them."""
    return read_vocabulary(source.path) if source.kind == "folder" and source.path else None


def read_vocabulary(folder: Path) -> frozenset[str] | None:
    """The words that the model in ``folder`` was taught, lower-cased, or None where no list is beside it."""
    try:
        text = (folder / VOCABULARY_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return frozenset(text.lower().split())


def versions_in_use() -> dict[str, str]:
    """The versions of the packages that have a say in an embedding, as far as they are installed."""
    found = {}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _facts(source: ModelSource, network: nn.Module, tokenizer: Any, architecture: Mapping[str, Any]) -> Model:
    preprocessing = _preprocessing_of(network)
    context_length = int(tokenizer.context_length)
    settings = {
        "preprocessing": preprocessing,
        "context_length": context_length,
        "quick_gelu": _has_quick_gelu(network),
        "tokenizer": _tokenizer_settings(architecture),
    }
    parameters: Any = network
    bias = getattr(parameters, "logit_bias", None)
    return Model(
        name=source.name,
        dimension=int(architecture["embed_dim"]),
        # Read while it is float32: bfloat16 would make a scale of 100 one of 98.9.
        logit_scale=_read(source, parameters.logit_scale.exp()),
        logit_bias=0.0 if bias is None else _read(source, bias),
        scoring="softmax" if bias is None else "sigmoid",
        fingerprint=fingerprint(network.state_dict(), settings),
        context_length=context_length,
        image_size=_largest_side(preprocessing["size"]),
        preprocessing=MappingProxyType(preprocessing),
        versions=MappingProxyType(versions_in_use()),
    )


def _read(source: ModelSource, parameter: Any) -> float:
    number = float(parameter.detach().reshape(()).item())
    if not math.isfinite(number):
        raise ModelUnavailable(f"The weights of {source.name} are damaged: a logit scale of {number}.")
    return number


def _preprocess_cfg(network: nn.Module) -> dict[str, Any]:
    return dict(open_clip().get_model_preprocess_cfg(network))


def _preprocessing_of(network: nn.Module) -> dict[str, Any]:
    # By way of JSON, so that what is stored and read back compares equal: lists, not tuples.
    plain: dict[str, Any] = json.loads(json.dumps(_preprocess_cfg(network)))
    return plain


def _has_quick_gelu(network: nn.Module) -> bool:
    from open_clip.transformer import QuickGELU

    return any(isinstance(module, QuickGELU) for module in network.modules())


def _tokenizer_settings(architecture: Mapping[str, Any]) -> dict[str, Any]:
    text = architecture.get("text_cfg", {})
    return {key: text.get(key) for key in ("hf_tokenizer_name", "tokenizer_kwargs", "tokenizer_mode") if text.get(key)}


def _largest_side(size: int | list[int]) -> int:
    return size if isinstance(size, int) else max(size)
