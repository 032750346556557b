"""Routes of label sets: list, make, show as they are or were, change, delete; and those that are built in."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import url_for

from clipsearch.answers import LabelSetInfo
from clipsearch.errors import LabelSetNotFound
from clipsearch.labelling import (
    ExampleSource,
    add_examples,
    label_set_history,
    list_built_in,
    list_label_sets,
    save_label_set,
    set_thresholds,
    show_label_set,
)
from clipsearch.labelling import delete_label_set as delete
from clipsearch.web.context import context
from clipsearch.web.document import also
from clipsearch.web.label_messages import (
    ExamplesBody,
    ExamplesForm,
    LabelSetBody,
    NewLabelSetBody,
    ThresholdsBody,
    VersionArgs,
)
from clipsearch.web.replies import LabelSetList, LabelSetVersions
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("labels", __name__, tag="Label sets", url_prefix="/api/v1")


@routes.get("/label-sets")
@routes.output(LabelSetList)
def label_sets() -> LabelSetList:
    """Every label set."""
    return LabelSetList(label_sets=list_label_sets(context().library))


@routes.get("/built-in-label-sets")
@routes.output(LabelSetList)
def built_in_label_sets() -> LabelSetList:
    """The label sets that come with clipsearch, used by their names as they stand here."""
    return LabelSetList(label_sets=list_built_in())


@routes.post("/label-sets")
@routes.input(NewLabelSetBody, location="json")
@routes.output(LabelSetInfo, status_code=201)
def create_label_set(json_data: NewLabelSetBody) -> tuple[LabelSetInfo, int, dict[str, str]]:
    """Make a label set."""
    info = _save(json_data.name, json_data, replace=False)
    return info, 201, {"Location": url_for("labels.label_set", name=info.name)}


@routes.get("/label-sets/<name:name>")
@routes.input(VersionArgs, location="query")
@routes.output(LabelSetInfo)
def label_set(name: str, query_data: VersionArgs) -> LabelSetInfo:
    """One label set, as it is or as it was in a version."""
    return show_label_set(context().library, name, query_data.version)


@routes.get("/label-sets/<name:name>/versions")
@routes.output(LabelSetVersions)
def label_set_versions(name: str) -> LabelSetVersions:
    """The versions of a label set, the newest first, with what each changed."""
    return LabelSetVersions(versions=label_set_history(context().library, name))


@routes.put("/label-sets/<name:name>")
@routes.input(LabelSetBody, location="json")
@routes.output(LabelSetInfo)
@routes.doc(responses=also(201, "It was not there before", LabelSetInfo))
def put_label_set(name: str, json_data: LabelSetBody) -> tuple[LabelSetInfo, int]:
    """Put a label set under this name; one that is there counts up its version."""
    try:
        show_label_set(context().library, name)
        status = 200
    except LabelSetNotFound:
        status = 201
    return _save(name, json_data, replace=True), status


@routes.patch("/label-sets/<name:name>/thresholds")
@routes.input(ThresholdsBody, location="json")
@routes.output(LabelSetInfo)
def change_thresholds(name: str, json_data: ThresholdsBody) -> LabelSetInfo:
    """Change thresholds of a set or of its labels; nothing is embedded anew."""
    return set_thresholds(context().library, name, json_data.of_set(), labels=json_data.of_labels())


@routes.post("/label-sets/<name:name>/labels/<path:label>/examples")
@routes.input(ExamplesForm, location="files")
@routes.output(LabelSetInfo)
@takes_slot_for("pictures")
def add_label_examples(name: str, label: str, files_data: ExamplesForm | ExamplesBody) -> LabelSetInfo:
    """Let images stand for a label: uploaded ones, or images of a collection by their ids."""
    if isinstance(files_data, ExamplesForm):
        sources = [ExampleSource(one.name, one.data) for one in files_data.image]
    else:
        sources = [ExampleSource(image_id=one) for one in files_data.image_ids]
    held = context()
    with held.slots.taken():
        return add_examples(
            held.library,
            name,
            label,
            sources,
            words_weight=files_data.words_weight,
            collection=files_data.collection,
        )


@routes.delete("/label-sets/<name:name>")
@routes.doc(responses={204: "It is gone"})
def delete_label_set(name: str) -> tuple[str, int]:
    """Delete a label set."""
    delete(context().library, name)
    return "", 204


def _save(name: str, asked: LabelSetBody, *, replace: bool) -> LabelSetInfo:
    return save_label_set(context().library, name, asked.label_set(), replace=replace, may_read_files=False)
