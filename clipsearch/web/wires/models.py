"""Which model a client means; knows under which names other systems speak of the same weights."""

from __future__ import annotations

from clipsearch.compat import model_names
from clipsearch.encoder.names import HUB_PREFIX, parse_model_name
from clipsearch.encoding import ChosenModel, choose_model
from clipsearch.errors import ModelNotFound
from clipsearch.library import Library
from clipsearch.web.context import context

# Weights by OpenAI, under the names of Roboflow and of the Hugging Face hub.
_OF_OPENAI = {
    "RN50": "RN50",
    "RN101": "RN101",
    "RN50x4": "RN50x4",
    "RN50x16": "RN50x16",
    "RN50x64": "RN50x64",
    "ViT-B-16": "ViT-B-16",
    "ViT-B-32": "ViT-B-32",
    "ViT-L-14": "ViT-L-14",
    "ViT-L-14-336px": "ViT-L-14-336",
    "openai/clip-vit-base-patch16": "ViT-B-16",
    "openai/clip-vit-base-patch32": "ViT-B-32",
    "openai/clip-vit-large-patch14": "ViT-L-14",
    "openai/clip-vit-large-patch14-336": "ViT-L-14-336",
}
_BY_OPENAI = "/openai"
# open_clip gives OpenAI's weights their activation whether or not the architecture's name asks for it.
_ACTIVATION = "-quickgelu/openai"
_SHOWN = 100


def model_answering(named: str | None = None) -> ChosenModel:
    """The model that answers a client who names this one, or none; looked up once for all that a request encodes.

    Raises ModelNotFound for one that is neither served nor mapped.
    """
    library = context().library
    served = choose_model(library)
    other = model_meant(named, served=served.name)
    return served if other is None else choose_model(library, model=other)


def model_meant(named: str | None, *, served: str | None = None) -> str | None:
    """The model to encode with: None for the one that is served, a name for another one that the settings map to.

    ``served`` is that of the settings' collection, if not given. A client that names none means it. Raises
    ModelNotFound for one that is neither served nor mapped.
    """
    if not named:
        return None
    held = context()
    served = served or served_model(held.library)
    mapped = model_names(held.settings.compat_models).get(named)
    if mapped is not None:
        model = held.library.model_name(mapped)
        return None if _same(model, served) else model
    if any(_same(name, served) for name in _spellings(named)):
        return None
    shown = named if len(named) <= _SHOWN else f"{named[:_SHOWN]}…"
    raise ModelNotFound(
        f"the model {shown!r} is not served here, {served} is, and vectors of two models do not compare; where the "
        f"served one shall answer for it, set CLIPSEARCH_COMPAT_MODELS={shown}={served}",
        model=shown,
    )


def served_model(library: Library) -> str:
    """The name of the model that answers who names none: that of the settings' collection, else the settings'."""
    return choose_model(library).name


def _spellings(named: str) -> list[str]:
    """The names here that may be meant by a client's name."""
    found = [named, HUB_PREFIX + named]
    if named in _OF_OPENAI:
        found.append(_OF_OPENAI[named] + _BY_OPENAI)
    architecture, _, tag = named.partition("__")  # immich
    if tag:
        found.append(f"{architecture}/{tag}")
    return [name for one in found if (name := _canonical(one)) is not None]


def _canonical(name: str) -> str | None:
    try:
        return parse_model_name(name).name
    except ModelNotFound:
        return None


def _same(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return name.removesuffix(_ACTIVATION) + _BY_OPENAI if name.endswith(_ACTIVATION) else name
