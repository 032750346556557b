"""Routes of collections: list, make, show, rename, delete, and what could not be indexed."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import url_for

from clipsearch.answers import CollectionInfo
from clipsearch.browsing import list_failures
from clipsearch.encoder.names import demo_names
from clipsearch.errors import NotAllowed
from clipsearch.inspecting import list_collections, show_collection, status
from clipsearch.library import Library
from clipsearch.web.context import context
from clipsearch.web.messages import CollectionBody, PageArgs, RenameBody
from clipsearch.web.replies import CollectionList, FailurePage

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
    _check_model(library, json_data.model)
    library.create_collection(json_data.name, json_data.model)
    where = url_for("collections.collection", name=json_data.name)
    return show_collection(library, json_data.name, with_index=False), 201, {"Location": where}


@routes.get("/<name:name>")
@routes.output(CollectionInfo)
def collection(name: str) -> CollectionInfo:
    """One collection, with its index."""
    return show_collection(context().library, name)


@routes.patch("/<name:name>")
@routes.input(RenameBody, location="json")
@routes.output(CollectionInfo)
def rename_collection(name: str, json_data: RenameBody) -> CollectionInfo:
    """Give a collection another name."""
    library = context().library
    library.rename_collection(name, json_data.name)
    return show_collection(library, json_data.name, with_index=False)


@routes.delete("/<name:name>")
@routes.doc(responses={204: "It is gone; the image files stay"})
def delete_collection(name: str) -> tuple[str, int]:
    """Delete a collection with all that belongs to it; the image files stay."""
    context().library.delete_collection(name)
    return "", 204


@routes.get("/<name:name>/failures")
@routes.input(PageArgs, location="query")
@routes.output(FailurePage)
def failures(name: str, query_data: PageArgs) -> FailurePage:
    """The files that could not be indexed, and why."""
    found = list_failures(context().library, collection=name)
    return FailurePage(failures=found[query_data.offset : query_data.offset + query_data.limit], total=len(found))


def _check_model(library: Library, name: str | None) -> None:
    """Raises NotAllowed for a model that nobody chose for this library: its name may be a path, or stand for a
    download."""
    if name is None:
        return
    chosen = {library.model_name(), *demo_names(), *(model.name for model in status(library).models)}
    if library.model_name(name) not in chosen:
        raise NotAllowed(
            f"over HTTP a collection has one of the models {', '.join(sorted(chosen))}; make one of another model "
            "with: clipsearch collections create NAME --model MODEL"
        )
