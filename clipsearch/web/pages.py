"""The search view at ``/``: a shell that its modules bring to life, with the same results for who has no JavaScript."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request

from clipsearch.answers import CollectionInfo, ImageInfo, SearchAnswer
from clipsearch.browsing import list_page
from clipsearch.config import Settings
from clipsearch.errors import ClipSearchError
from clipsearch.images import all_uploads_folder
from clipsearch.web.addresses import NO_QUERY, read_filters, read_query
from clipsearch.web.api.search import answer
from clipsearch.web.context import context
from clipsearch.web.greeting import greeting
from clipsearch.web.shell import shell

routes = Blueprint("pages", __name__)

PAGE_HITS = 60
THUMBNAIL = 320
# Fetched with the page: each would be found only when the one before it has come.
MODULES = ("address", "chips", "elements", "examples", "feed", "filters", "grid", "histogram", "justify", "outcomes",
           "pictures", "place", "query", "search", "server", "tiles", "viewer")  # fmt: skip


@routes.get("/")
def index() -> Response | tuple[str, int] | str:
    """The page, with the results of its address; a few words in JSON for programs."""
    if (words := greeting()) is not None:
        return words
    common = shell("search")
    found, tiles, error = _results(common["chosen"], common["collections"])
    return render_template(
        "index.html",
        **common,
        text=request.args.get("q", "").strip(),
        answer=found,
        tiles=tiles,
        error=error,
        everything="/?" + urlencode(request.args.to_dict(flat=False) | {"all": ["1"]}, doseq=True),
        page_hits=PAGE_HITS,
        roots=_roots(context().settings),
        modules=MODULES,
    )


@routes.get("/favicon.ico")
def favicon() -> Response:
    """None; the page has its own."""
    return Response(status=204)


def _roots(settings: Settings) -> list[str]:
    """How the uris of images begin whose files may be fetched."""
    return [f"{Path(root)}/" for root in (*settings.roots, all_uploads_folder(settings.data_dir))]


def _results(
    collection: str, collections: list[CollectionInfo]
) -> tuple[SearchAnswer | None, list[dict[str, Any]], str]:
    """The answer, if something is looked for, the images to show, and what went wrong."""
    try:
        query = read_query(request.args, PAGE_HITS)
        if query is not None:
            found = answer(collection, query)
            return found, [_tile(hit.image, hit.score) for hit in found.hits], ""
        if collection not in [one.name for one in collections]:
            return None, [], ""
        library, filters = context().library, read_filters(request.args)
        images, _ = list_page(library, collection=collection, filters=filters, order="newest", limit=PAGE_HITS)
        return None, [_tile(image, None) for image in images], ""
    except ClipSearchError as error:
        return None, [], error.message
    except ValueError:
        return None, [], NO_QUERY


def _tile(image: ImageInfo, score: float | None) -> dict[str, Any]:
    width, height = fitted(image.width, image.height)
    return {"image": image, "score": score, "name": PurePath(image.uri).name, "width": width, "height": height,
            "version": (image.content_hash or "")[:16]}  # fmt: skip


def fitted(width: int | None, height: int | None) -> tuple[int, int]:
    """The size of the thumbnail, so that the page does not jump when it comes."""
    if not width or not height:
        return THUMBNAIL, THUMBNAIL
    scale = min(1.0, THUMBNAIL / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
