"""The views beside the search: classify, labels, review and folders, as shells that their modules bring to life.

What can be read without JavaScript is in the shell: which label sets there are, what is tagged and waits for a
review, which collections and jobs there are, and what could not be indexed.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from flask import Blueprint, render_template, request

from clipsearch.answers import FailureInfo, TaggingInfo
from clipsearch.errors import ClipSearchError
from clipsearch.following import failures_page, list_runs
from clipsearch.labelling import list_built_in, list_label_sets
from clipsearch.tagging import list_taggings
from clipsearch.web.context import context
from clipsearch.web.shell import shell

routes = Blueprint("panels", __name__)

FAILURES = 200
JOBS = 12
ADVANCED = ("min_probability", "min_margin", "min_score", "mode", "background", "template")


@routes.get("/classify")
def classify() -> str:
    """Classify pictures with a label set or with one's own labels."""
    return _page(
        shell("classify"),
        label_sets=list_label_sets(context().library),
        built_in=list_built_in(),
        # As its module will show them: the page must not jump when that has come.
        sets="set" in request.args,
        stored=request.args.getlist("image")[:64],
        advanced=any(name in request.args for name in ADVANCED),
    )


@routes.get("/labels")
def labels() -> str:
    """The label sets, and the editor of one of them."""
    return _page(
        shell("labels"),
        label_sets=list_label_sets(context().library),
        built_in=list_built_in(),
        opened=any(request.args.get(name) for name in ("new", "set")),
    )


@routes.get("/review")
def review() -> str:
    """The queue of images whose tags nobody has looked at."""
    common = shell("review")
    return _page(common, taggings=_taggings(common["chosen"]), label_set=request.args.get("set", "")[:200])


@routes.get("/folders")
def folders() -> str:
    """Collections, indexing and what could not be indexed."""
    held = context()
    common = shell("folders")
    chosen = common["chosen"]
    info = next((one for one in common["collections"] if one.name == chosen), None)
    failures, failed = _failures(chosen)
    return _page(
        common,
        roots=[str(root) for root in held.settings.roots],
        jobs=list_runs(held.library, limit=JOBS, collection=chosen) if info is not None else [],
        failures=[(PurePath(one.uri).name, one) for one in failures],
        failures_in_all=failed,
        info=info,
    )


def _page(common: dict[str, Any], **values: Any) -> str:
    return render_template(f"{common['view']}.html", **common, **values)


def _taggings(collection: str) -> list[TaggingInfo]:
    try:
        return list_taggings(context().library, collection=collection)
    except ClipSearchError:  # no collection yet: the view says so
        return []


def _failures(collection: str) -> tuple[list[FailureInfo], int]:
    try:
        return failures_page(context().library, collection=collection, limit=FAILURES)
    except ClipSearchError:
        return [], 0
