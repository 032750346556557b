"""Routes of models: those that may be named, those of a collection, and switching between these."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import url_for

from clipsearch.answers import RunInfo
from clipsearch.answers.models import CollectionModels, MissingImages, ModelSwitch
from clipsearch.inspecting import status
from clipsearch.switching import list_models, missing_images, remove_model, switch_model
from clipsearch.web.context import context
from clipsearch.web.known_models import check_model, chosen_models
from clipsearch.web.model_messages import KnownModel, MissingArgs, ModelArgs, ModelBody, ModelList, SwitchBody
from clipsearch.web.scopes import needs
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("models", __name__, tag="Models", url_prefix="/api/v1")


@routes.get("/models")
@routes.output(ModelList)
def models() -> ModelList:
    """The models that may be named over HTTP: those of the library, of its settings, and those that come along."""
    library = context().library
    stored = {one.name: one for one in status(library).models}
    return ModelList(
        models=[
            KnownModel(name=name, loaded=library.loaded_encoder(name) is not None, stored=stored.get(name))
            for name in sorted(chosen_models(library))
        ]
    )


@routes.get("/collections/<name:name>/models")
@routes.output(CollectionModels)
def collection_models(name: str) -> CollectionModels:
    """The models of a collection, the one that answers first, and how far each has come."""
    return list_models(context().library, name)


@routes.post("/collections/<name:name>/models")
@routes.input(ModelBody, location="json")
@routes.output(RunInfo, status_code=202)
def add_model(name: str, json_data: ModelBody) -> tuple[RunInfo, int, dict[str, str]]:
    """Embed a collection by a further model, in the background; once more, only what lacks it."""
    held = context()
    check_model(held.library, json_data.model)
    run = held.jobs.submit_embedding(name, json_data.model)
    return run, 202, {"Location": url_for("jobs.job", job_id=run.id)}


@routes.put("/collections/<name:name>/model")
@routes.input(SwitchBody, location="json")
@routes.output(ModelSwitch)
@needs("admin")
@takes_slot_for("pictures")
def switch(name: str, json_data: SwitchBody) -> ModelSwitch:
    """Let another of its models answer in a collection, in one step; the one that did stays a further model.

    Refused while images lack an embedding by it, unless allow_missing is given.
    """
    held = context()
    check_model(held.library, json_data.model)
    with held.slots.taken():
        # The index is written and trained in the background, as after any change.
        return switch_model(
            held.library, json_data.model, collection=name, allow_missing=json_data.allow_missing, keep_snapshot=False
        )


@routes.delete("/collections/<name:name>/models")
@routes.input(ModelArgs, location="query")
@routes.doc(responses={204: "It is gone, with its embeddings of the collection"})
@needs("admin")
def remove(name: str, query_data: ModelArgs) -> tuple[str, int]:
    """Take a further model away from a collection, with its embeddings."""
    remove_model(context().library, query_data.model, collection=name)
    return "", 204


@routes.get("/collections/<name:name>/models/missing")
@routes.input(MissingArgs, location="query")
@routes.output(MissingImages)
def missing(name: str, query_data: MissingArgs) -> MissingImages:
    """The images of a collection that lack an embedding by one of its models."""
    return missing_images(
        context().library, query_data.model, collection=name, after=query_data.after, limit=query_data.limit
    )
