"""The views beside the search: classify, labels, review and folders, as shells that their modules bring to life.

What can be read without JavaScript is in the shell: which label sets there are, what is tagged and waits for a
review, which collections and jobs there are, and what could not be indexed.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from flask import Blueprint, render_template, request

from clipsearch import __version__
from clipsearch.answers import CollectionInfo, FailureInfo, TaggingInfo
from clipsearch.browsing import list_failures, list_runs
from clipsearch.errors import ClipSearchError
from clipsearch.inspecting import list_collections
from clipsearch.labelling import list_built_in, list_label_sets
from clipsearch.tagging import list_taggings
from clipsearch.web.context import context

routes = Blueprint("panels", __name__)

FAILURES = 200
JOBS = 30


@routes.get("/classify")
def classify() -> str:
    """Classify pictures with a label set or with one's own labels."""
    return _shell("classify", label_sets=list_label_sets(context().library), built_in=list_built_in())


@routes.get("/labels")
def labels() -> str:
    """The label sets, and the editor of one of them."""
    library = context().library
    return _shell("labels", label_sets=list_label_sets(library), built_in=list_built_in())


@routes.get("/review")
def review() -> str:
    """The queue of images whose tags nobody has looked at."""
    shown = _collections()
    return _shell("review", taggings=_taggings(_chosen(shown)), label_set=request.args.get("set", "")[:200])


@routes.get("/folders")
def folders() -> str:
    """Collections, indexing and what could not be indexed."""
    held = context()
    shown = _collections()
    chosen = _chosen(shown)
    failures = _failures(chosen)
    return _shell(
        "folders",
        roots=[str(root) for root in held.settings.roots],
        jobs=list_runs(held.library, limit=JOBS),
        failures=[(PurePath(one.uri).name, one) for one in failures[:FAILURES]],
        failures_in_all=len(failures),
        info=next((one for one in shown if one.name == chosen), None),
    )


def _shell(view: str, **values: Any) -> str:
    held = context()
    shown = _collections()
    return render_template(
        f"{view}.html",
        view=view,
        version=__version__,
        collections=shown,
        chosen=_chosen(shown),
        max_upload_bytes=held.settings.max_upload_bytes,
        **values,
    )


def _collections() -> list[CollectionInfo]:
    return list_collections(context().library)


def _chosen(collections: list[CollectionInfo]) -> str:
    names = [one.name for one in collections]
    usual = context().settings.collection
    wanted = request.args.get("collection", "")
    return next((name for name in (wanted, usual) if name in names), names[0] if names else usual)


def _taggings(collection: str) -> list[TaggingInfo]:
    try:
        return list_taggings(context().library, collection=collection)
    except ClipSearchError:  # no collection yet: the view says so
        return []


def _failures(collection: str) -> list[FailureInfo]:
    try:
        return list_failures(context().library, collection=collection)
    except ClipSearchError:
        return []
