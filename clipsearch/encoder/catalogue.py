"""Lists, describes and downloads models; alone knows what can be said of one before its weights are here."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clipsearch.encoder import factory
from clipsearch.encoder.hub import HubFile, is_cached
from clipsearch.encoder.names import ModelSource, demo_names, parse_model_name
from clipsearch.errors import ClipSearchError


@dataclass(frozen=True)
class ModelListing:
    """One model that can be named; ``source`` is its hub entry or folder."""

    name: str
    downloaded: bool
    dimension: int
    image_size: int | None
    quick_gelu: bool
    source: str


def list_models(pattern: str | None = None) -> list[ModelListing]:
    """The shipped models and every published one of open_clip whose name contains or matches ``pattern``.

    ``pattern`` is a part of the name, or has the wildcards * and ?; case does not count. Asks no network.
    """
    listings = [_shipped_listing(name) for name in demo_names() if _matches(name, pattern)]
    library = factory.open_clip()
    for architecture, tag in library.list_pretrained():
        name = f"{architecture}/{tag}"
        if _matches(name, pattern):
            published = library.get_pretrained_cfg(architecture, tag)
            listings.append(_listing(name, library.get_model_config(architecture), published))
    return [listing for listing in listings if listing is not None]


def describe_model(name: str) -> dict[str, Any]:
    """What is known of a model without its weights, as JSON values.

    Asks the hub only for the configuration of an ``hf-hub:`` name that is not on this machine. Raises
    ModelNotFound, or ModelUnavailable where a configuration cannot be had.
    """
    source = parse_model_name(name)
    architecture = factory.architecture_of(source)
    published = factory.pretrained_cfg(source) if source.kind == "pretrained" else {}
    text = architecture.get("text_cfg", {})
    needed = factory.needed_files(source)
    return {
        "name": source.name,
        "kind": source.kind,
        "source": _origin(source, published),
        "downloaded": _has_weights(source, needed),
        "dimension": architecture["embed_dim"],
        "image_size": architecture.get("vision_cfg", {}).get("image_size"),
        "context_length": text.get("context_length", 77),
        "scoring": "softmax" if architecture.get("init_logit_bias") is None else "sigmoid",
        "quick_gelu": bool(published.get("quick_gelu") or architecture.get("quick_gelu")),
        "preprocessing": {key: _plain(published[key]) for key in factory.PREPROCESSING if key in published},
        "files": [f"{file.repository}/{file.names[0]}" for file in needed],
        "architecture": architecture,
    }


def download_model(name: str, progress: Callable[[str], None] = lambda message: None) -> ModelSource:
    """Fetch weights, configuration and tokenizer, and make sure that they load.

    The hub's own progress bar goes to stderr; ``progress`` is told each step. Raises as ``open_encoder``.
    """
    source = parse_model_name(name)
    needed = factory.needed_files(source)
    if _has_weights(source, needed):
        progress(f"{source.name} is on this machine already: checking that it loads.")
    else:
        progress(f"Downloading {source.name} from {needed[0].repository}.")
    factory.create_network(source, ask_hub=source.kind in ("pretrained", "hub"))
    progress(f"{source.name} is ready.")
    return source


def _shipped_listing(name: str) -> ModelListing | None:
    source = parse_model_name(name)
    try:
        architecture = factory.architecture_of(source)
    except ClipSearchError:
        return None  # an installation without this model: there is nothing to list
    return ModelListing(
        name,
        downloaded=True,
        dimension=architecture["embed_dim"],
        image_size=architecture["vision_cfg"].get("image_size"),
        quick_gelu=bool(architecture.get("quick_gelu")),
        source=str(source.path),
    )


def _listing(name: str, architecture: Mapping[str, Any], published: Mapping[str, Any]) -> ModelListing:
    return ModelListing(
        name,
        downloaded=_cached(factory.weights_of(published)),
        dimension=architecture["embed_dim"],
        image_size=architecture["vision_cfg"].get("image_size"),
        quick_gelu=bool(published.get("quick_gelu")),
        source=published["hf_hub"] or published["url"],
    )


def _has_weights(source: ModelSource, needed: list[HubFile]) -> bool:
    return source.kind in ("folder", "checkpoint") or _cached(needed)


def _cached(needed: list[HubFile]) -> bool:
    return bool(needed) and all(is_cached(file) for file in needed)


def _origin(source: ModelSource, published: Mapping[str, Any]) -> str:
    return str(published.get("hf_hub") or source.repository or source.path)


def _matches(name: str, pattern: str | None) -> bool:
    if not pattern:
        return True
    if set(pattern) & {"*", "?"}:
        return fnmatch.fnmatchcase(name.lower(), pattern.lower())
    return pattern.lower() in name.lower()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
