"""The web door: the HTTP API and the page, served from one process; imports nothing heavy until it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsearch.web.app import create_app as create_app
    from clipsearch.web.serving import serve as serve

_HOMES = {"create_app": "clipsearch.web.app", "serve": "clipsearch.web.serving"}

__all__ = ["create_app", "serve"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'clipsearch.web' has no attribute {name!r}")
