"""What every view of the page has in common: the collections, and which of them the address means."""

from __future__ import annotations

from typing import Any

from flask import request

from clipsearch import __version__
from clipsearch.answers import CollectionInfo
from clipsearch.inspecting import list_collections
from clipsearch.web.context import context


def shell(view: str) -> dict[str, Any]:
    """What ``base.html`` needs for the view with this name. Asks the database: once for a page is enough.

    A collection that the address names and that is not there stays the one that is meant, as ``missing``: no other
    takes its place, least of all for what is written.
    """
    held = context()
    collections = list_collections(held.library)
    usual, wanted = _usual(collections, held.settings.collection), request.args.get("collection", "")
    names = [one.name for one in collections]
    # A library without collections is none yet, which the usual one will be: the views say how to begin.
    missing = bool(wanted) and wanted not in names and bool(names or wanted != usual)
    return {
        "view": view,
        "version": __version__,
        "collections": collections,
        "chosen": wanted if missing or wanted in names else usual,
        "missing": missing,
        "usual": usual,
        "max_upload_bytes": held.settings.max_upload_bytes,
    }


def _usual(collections: list[CollectionInfo], wanted: str) -> str:
    """The collection of an address that names none."""
    names = [one.name for one in collections]
    return wanted if wanted in names or not names else names[0]
