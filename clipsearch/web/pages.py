"""The page at ``/``: a shell that works without JavaScript for searches by text and by a stored image."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from flask import Blueprint, Response, render_template, request

from clipsearch import __version__
from clipsearch.answers import CollectionInfo, Hit, SearchAnswer
from clipsearch.errors import ClipSearchError
from clipsearch.inspecting import list_collections
from clipsearch.labelling import list_label_sets
from clipsearch.queries import Query, Term
from clipsearch.web.api.search import answer
from clipsearch.web.context import context

routes = Blueprint("pages", __name__)

PAGE_HITS = 60
LONGEST_TEXT = 10_000
THUMBNAIL = 320
# As many digits as an id can have and SQL still takes.
ID_DIGITS = 18


@routes.get("/")
def index() -> tuple[str, int] | str:
    """The page, with the results of its address."""
    held = context()
    collections = list_collections(held.library)
    chosen = _chosen(collections, request.args.get("collection", ""), held.settings.collection)
    text = request.args.get("q", "").strip()
    similar = request.args.get("similar", "")
    everything = request.args.get("all") == "1"
    found, error = _search(chosen, text, similar, everything)
    return render_template(
        "index.html",
        version=__version__,
        collections=collections,
        chosen=chosen,
        label_sets=[one.name for one in list_label_sets(held.library)],
        text=text,
        similar=similar if similar.isdigit() else "",
        everything=everything,
        answer=found,
        tiles=[_tile(chosen, hit) for hit in found.hits] if found else [],
        error=error,
        max_upload_bytes=held.settings.max_upload_bytes,
        page_hits=PAGE_HITS,
    )


@routes.get("/favicon.ico")
def favicon() -> Response:
    """None; the page has its own."""
    return Response(status=204)


def _chosen(collections: list[CollectionInfo], wanted: str, usual: str) -> str:
    names = [one.name for one in collections]
    return next((name for name in (wanted, usual) if name in names), names[0] if names else usual)


def _search(collection: str, text: str, similar: str, everything: bool) -> tuple[SearchAnswer | None, str]:
    def asked(term: Term) -> SearchAnswer:
        return answer(collection, Query(terms=(term,), k=PAGE_HITS, auto_cut=not everything, relevance=True))

    try:
        if similar.isdecimal() and similar.isascii() and len(similar) <= ID_DIGITS and int(similar) > 0:
            return asked(Term(image_id=int(similar))), ""
        if text and len(text) <= LONGEST_TEXT and "\x00" not in text:
            return asked(Term(text=text)), ""
    except ClipSearchError as error:
        return None, error.message
    return None, "That cannot be looked for: it is too long or no text." if text else ""


def _tile(collection: str, hit: Hit) -> dict[str, Any]:
    width, height = fitted(hit.image.width, hit.image.height)
    return {"hit": hit, "name": PurePath(hit.image.uri).name, "width": width, "height": height,
            "version": (hit.image.content_hash or "")[:16], "collection": collection}  # fmt: skip


def fitted(width: int | None, height: int | None) -> tuple[int, int]:
    """The size of the thumbnail, so that the page does not jump when it comes."""
    if not width or not height:
        return THUMBNAIL, THUMBNAIL
    scale = min(1.0, THUMBNAIL / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
