"""Routes of collections: list, make, show, rename, delete, and what could not be indexed."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import url_for

from clipsearch.answers import CollectionInfo
from clipsearch.answers.statistics import CollectionStatistics
from clipsearch.counting import count_collection
from clipsearch.following import failures_page
from clipsearch.inspecting import list_collections, show_collection
from clipsearch.web.context import context
from clipsearch.web.known_models import check_model
from clipsearch.web.messages import CollectionBody, PageArgs, RenameBody
from clipsearch.web.replies import CollectionList, FailurePage
from clipsearch.web.scopes import needs
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("collections", __name__, tag="Collections", url_prefix="/api/v1/collections")


@routes.get("")
@routes.output(CollectionList)
def collections() -> CollectionList:
    """Every collection."""
    return CollectionList(collections=list_collections(context().library))


@routes.post("")
@routes.input(CollectionBody, location="json")
@routes.output(CollectionInfo, status_code=201)
def create_collection(json_data: CollectionBody) -> tuple[CollectionInfo, int, dict[str, str]]:
    """Make a collection."""
    library = context().library
    check_model(library, json_data.model)
    library.create_collection(json_data.name, json_data.model)
    where = url_for("collections.collection", name=json_data.name)
    return show_collection(library, json_data.name, with_index=False), 201, {"Location": where}


@routes.get("/<name:name>")
@routes.output(CollectionInfo)
def collection(name: str) -> CollectionInfo:
    """One collection, with its index."""
    return show_collection(context().library, name)


@routes.get("/<name:name>/statistics")
@routes.output(CollectionStatistics)
@takes_slot_for("searches")
def statistics(name: str) -> CollectionStatistics:
    """What a collection holds, in numbers."""
    held = context()
    with held.search_slots.taken():
        return count_collection(held.library, name)


@routes.patch("/<name:name>")
@routes.input(RenameBody, location="json")
@routes.output(CollectionInfo)
def rename_collection(name: str, json_data: RenameBody) -> CollectionInfo:
    """Give a collection another name."""
    library = context().library
    library.rename_collection(name, json_data.name)
    return show_collection(library, json_data.name, with_index=False)


@routes.delete("/<name:name>")
@routes.doc(responses={204: "It is gone; indexed files stay, uploads are deleted"})
@needs("admin")
def delete_collection(name: str) -> tuple[str, int]:
    """Delete a collection with all that belongs to it, uploads too; indexed files stay."""
    context().library.delete_collection(name)
    return "", 204


@routes.get("/<name:name>/failures")
@routes.input(PageArgs, location="query")
@routes.output(FailurePage)
def failures(name: str, query_data: PageArgs) -> FailurePage:
    """The files that could not be indexed, and why."""
    asked = query_data
    found, total = failures_page(context().library, collection=name, offset=asked.offset, limit=asked.limit)
    return FailurePage(failures=found, total=total)
