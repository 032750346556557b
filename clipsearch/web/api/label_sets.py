"""Routes of label sets: list, make, show, replace, delete."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import url_for

from clipsearch.answers import LabelSetInfo
from clipsearch.errors import LabelSetNotFound
from clipsearch.label_files import draft_of
from clipsearch.labelling import delete_label_set as delete
from clipsearch.labelling import list_label_sets, save_label_set, show_label_set
from clipsearch.web.context import context
from clipsearch.web.document import also
from clipsearch.web.messages import LabelSetBody, NewLabelSetBody
from clipsearch.web.replies import LabelSetList

routes = APIBlueprint("labels", __name__, tag="Label sets", url_prefix="/api/v1/label-sets")


@routes.get("")
@routes.output(LabelSetList)
def label_sets() -> LabelSetList:
    """Every label set."""
    return LabelSetList(label_sets=list_label_sets(context().library))


@routes.post("")
@routes.input(NewLabelSetBody, location="json")
@routes.output(LabelSetInfo, status_code=201)
def create_label_set(json_data: NewLabelSetBody) -> tuple[LabelSetInfo, int, dict[str, str]]:
    """Make a label set."""
    info = _save(json_data.name, json_data, replace=False)
    return info, 201, {"Location": url_for("labels.label_set", name=info.name)}


@routes.get("/<name:name>")
@routes.output(LabelSetInfo)
def label_set(name: str) -> LabelSetInfo:
    """One label set."""
    return show_label_set(context().library, name)


@routes.put("/<name:name>")
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


@routes.delete("/<name:name>")
@routes.doc(responses={204: "It is gone"})
def delete_label_set(name: str) -> tuple[str, int]:
    """Delete a label set."""
    delete(context().library, name)
    return "", 204


def _save(name: str, asked: LabelSetBody, *, replace: bool) -> LabelSetInfo:
    draft = draft_of(asked.pairs(), asked.templates)
    return save_label_set(context().library, name, draft, replace=replace)
