"""Routes of stored images: list, show, remove, thumbnail, original."""

from __future__ import annotations

import urllib.parse
from pathlib import PurePath

from apiflask import APIBlueprint
from flask import Response, request

from clipsearch.answers import ImageDetails
from clipsearch.browsing import image_details, list_images, original, remove_images, show_image
from clipsearch.media_types import MEDIA_TYPES, UNKNOWN_TYPE
from clipsearch.web.context import context
from clipsearch.web.document import a_file
from clipsearch.web.messages import ListArgs, ThumbnailArgs
from clipsearch.web.replies import ImagePage

routes = APIBlueprint("images", __name__, tag="Images", url_prefix="/api/v1/collections/<name:name>/images")

NOT_CHANGED = 304


@routes.get("")
@routes.input(ListArgs, location="query")
@routes.output(ImagePage)
def images(name: str, query_data: ListArgs) -> ImagePage:
    """The images of a collection that pass the filters, by id."""
    found = list_images(
        context().library,
        collection=name,
        filters=query_data.filters(),
        after=query_data.after,
        limit=query_data.limit + 1,
    )
    page = found[: query_data.limit]
    return ImagePage(images=page, next=page[-1].id if len(found) > len(page) else None)


@routes.get("/<id:image_id>")
@routes.output(ImageDetails)
def image(name: str, image_id: int) -> ImageDetails:
    """One image, with the labels that it bears."""
    return image_details(context().library, image_id, collection=name)


@routes.delete("/<id:image_id>")
@routes.doc(responses={204: "It is gone; the file stays"})
def remove_image(name: str, image_id: int) -> tuple[str, int]:
    """Take an image out of the collection; the file stays, and indexing finds it again."""
    remove_images(context().library, [image_id], collection=name)
    return "", 204


@routes.get("/<id:image_id>/thumbnail")
@routes.input(ThumbnailArgs, location="query")
@routes.doc(responses=a_file("image/jpeg", "A small JPEG without metadata"))
def thumbnail(name: str, image_id: int, query_data: ThumbnailArgs) -> Response:
    """A small JPEG of the image, as it was indexed."""
    held = context()
    info = show_image(held.library, image_id, collection=name)
    tag = f"{info.content_hash or 'none'}-{query_data.size}"
    response = Response(content_type="image/jpeg")
    if info.content_hash is not None:
        response.set_etag(tag)
        # An address with the content hash in it never shows anything else.
        forever = query_data.v != "" and info.content_hash.startswith(query_data.v)
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable" if forever else "private, no-cache"
        if request.if_none_match.contains(tag):
            response.status_code = NOT_CHANGED
            return response
    data = held.thumbnails.find(info, query_data.size)
    if data is None:
        with held.slots.taken():
            data = held.thumbnails.make(info, name, query_data.size)
    response.set_data(data)
    return response


@routes.get("/<id:image_id>/original")
@routes.doc(responses=a_file("image/*", "The file, from the folders in CLIPSEARCH_ROOTS only"))
def original_file(name: str, image_id: int) -> Response:
    """The image's file as it was indexed, from the folders in CLIPSEARCH_ROOTS only."""
    held = context()
    with held.slots.taken():
        data, info = original(held.library, image_id, collection=name)
    response = Response(data, content_type=MEDIA_TYPES.get(info.format or "", UNKNOWN_TYPE))
    response.headers["Content-Disposition"] = _attachment(info.uri)
    response.headers["Cache-Control"] = "private, no-cache"
    if info.content_hash is not None:
        response.set_etag(info.content_hash)
        response.make_conditional(request)
    return response


def _attachment(uri: str) -> str:
    name = urllib.parse.unquote(PurePath(uri).name, errors="replace") if uri.startswith("file:") else PurePath(uri).name
    plain = "".join(letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_"
                    for letter in name)  # fmt: skip
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{urllib.parse.quote(name, safe='', errors='replace')}"
