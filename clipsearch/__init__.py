"""clipsearch: find, sort and label a pile of images by meaning.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsearch.api import OpenLibrary as OpenLibrary
    from clipsearch.api import open_library as open_library
    from clipsearch.errors import ClipSearchError as ClipSearchError
    from clipsearch.label_set import Example as Example
    from clipsearch.label_set import Label as Label
    from clipsearch.label_set import LabelSet as LabelSet
    from clipsearch.queries import Filters as Filters
    from clipsearch.queries import Query as Query
    from clipsearch.queries import Term as Term

__version__ = "0.1.0"

_HOMES = {
    "ClipSearchError": "clipsearch.errors",
    "Example": "clipsearch.label_set",
    "Filters": "clipsearch.queries",
    "Label": "clipsearch.label_set",
    "LabelSet": "clipsearch.label_set",
    "OpenLibrary": "clipsearch.api",
    "Query": "clipsearch.queries",
    "Term": "clipsearch.queries",
    "open_library": "clipsearch.api",
}

__all__ = [
    "ClipSearchError",
    "Example",
    "Filters",
    "Label",
    "LabelSet",
    "OpenLibrary",
    "Query",
    "Term",
    "__version__",
    "open_library",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'clipsearch' has no attribute {name!r}")
