"""Search a collection by text, image, stored image, vector or a weighted mix, one query or several at once."""

from __future__ import annotations

from clipsearch.searching.search import search, search_many

__all__ = ["search", "search_many"]
