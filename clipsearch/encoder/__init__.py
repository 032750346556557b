"""Turns pictures and texts into embeddings; the only room with open_clip and torch models.

Importing it imports neither, and of its own modules only what the asked name needs: a search by words takes its
text runtime from here and nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from clipsearch.encoder.protocol import Encoded, Encoder, TextEncoder

if TYPE_CHECKING:
    from clipsearch.encoder.catalogue import ModelListing, describe_model, download_model, list_models
    from clipsearch.encoder.names import ModelSource, parse_model_name
    from clipsearch.encoder.open_clip_encoder import OpenClipEncoder
    from clipsearch.encoder.runtimes import open_encoder

__all__ = [
    "Encoded",
    "Encoder",
    "ModelListing",
    "ModelSource",
    "OpenClipEncoder",
    "TextEncoder",
    "describe_model",
    "download_model",
    "list_models",
    "open_encoder",
    "parse_model_name",
]

_HOME: Final = {
    "ModelListing": "catalogue",
    "describe_model": "catalogue",
    "download_model": "catalogue",
    "list_models": "catalogue",
    "ModelSource": "names",
    "parse_model_name": "names",
    "OpenClipEncoder": "open_clip_encoder",
    "open_encoder": "runtimes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
