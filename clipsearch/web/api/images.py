"""Routes of stored images: list, add, show, describe, remove, thumbnail, original."""

from __future__ import annotations

import urllib.parse
from pathlib import PurePath

from apiflask import APIBlueprint
from flask import Response, request

from clipsearch.adding import add_pictures
from clipsearch.answers import ImageDetails
from clipsearch.answers.additions import ImagesAdded
from clipsearch.browsing import change_attributes, image_details, list_page, original, remove_images, show_image
from clipsearch.media_types import MEDIA_TYPES, UNKNOWN_TYPE
from clipsearch.tagging import refresh_tags
from clipsearch.web.context import context
from clipsearch.web.document import a_file
from clipsearch.web.image_messages import (
    AttributesBody,
    ImagesBody,
    ImagesForm,
    ImagesRemoved,
    ListArgs,
    RemovalBody,
    ThumbnailArgs,
)
from clipsearch.web.replies import ImagePage
from clipsearch.web.sent_pictures import pictures_of
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("images", __name__, tag="Images", url_prefix="/api/v1/collections/<name:name>/images")

NOT_CHANGED = 304


@routes.get("")
@routes.input(ListArgs, location="query")
@routes.output(ImagePage)
def images(name: str, query_data: ListArgs) -> ImagePage:
    """The images of a collection that pass the filters, by id or by date."""
    page, following = list_page(
        context().library,
        collection=name,
        filters=query_data.filters(),
        order=query_data.sort,
        after=query_data.after,
        limit=query_data.limit,
    )
    return ImagePage(images=page, next=following)


@routes.post("")
@routes.input(ImagesForm, location="files")
@routes.output(ImagesAdded, status_code=201)
def add_images(name: str, files_data: ImagesForm | ImagesBody) -> tuple[ImagesAdded, int]:
    """Add images to a collection; a bad one costs itself only, and the answer says why.

    The collection is made if it is not there, and goes again where no image could be added.
    """
    held = context()
    added = add_pictures(held.library, pictures_of(files_data), collection=name, make_collection=True,
                         working=held.slots.taken)  # fmt: skip
    if any(one.outcome != "failed" for one in added.images):
        refresh_tags(held.library, name)
    return added, 201


@routes.post("/delete")
@routes.input(RemovalBody, location="json")
@routes.output(ImagesRemoved)
def delete_images(name: str, json_data: RemovalBody) -> ImagesRemoved:
    """Take images out of the collection, all or none; files that were uploaded are deleted, others stay."""
    return ImagesRemoved(removed=remove_images(context().library, list(json_data.ids), collection=name))


@routes.get("/<id:image_id>")
@routes.output(ImageDetails)
def image(name: str, image_id: int) -> ImageDetails:
    """One image, with the labels that it bears."""
    return image_details(context().library, image_id, collection=name)


@routes.patch("/<id:image_id>")
@routes.input(AttributesBody, location="json")
@routes.output(ImageDetails)
def describe_image(name: str, image_id: int, json_data: AttributesBody) -> ImageDetails:
    """Change what is said of an image: its attributes."""
    return change_attributes(context().library, image_id, json_data.attributes, collection=name)


@routes.delete("/<id:image_id>")
@routes.doc(responses={204: "It is gone; the file stays, unless it was uploaded"})
def remove_image(name: str, image_id: int) -> tuple[str, int]:
    """Take an image out of the collection; the file stays, and indexing finds it again, unless it was uploaded."""
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
@routes.doc(responses=a_file("image/*", "The file, from the folders in CLIPSEARCH_ROOTS and the uploads only"))
@takes_slot_for("pictures")
def original_file(name: str, image_id: int) -> Response:
    """The image's file as it was indexed, from the folders in CLIPSEARCH_ROOTS and the uploads only."""
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
