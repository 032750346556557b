"""Routes of label sets that are not saved yet: what they would say of a collection, and label files both ways."""

from __future__ import annotations

import dataclasses
import urllib.parse

from apiflask import APIBlueprint
from flask import Response

from clipsearch.answers import ExampleInfo
from clipsearch.answers.previews import KeptExamples, LabelFileInfo, LabelSetPreview
from clipsearch.classifying import preview_label_set
from clipsearch.label_files import parse_labels, write_labels
from clipsearch.label_set import Label, LabelSet
from clipsearch.labelling import ExampleSource, as_saved, describe_draft, keep_as_examples, stored_label_set
from clipsearch.web.context import context
from clipsearch.web.document import Responses
from clipsearch.web.preview_messages import (
    ExampleImagesBody,
    ExampleImagesForm,
    LabelFileArgs,
    LabelFileBody,
    PreviewBody,
)
from clipsearch.web.scopes import needs
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("drafts", __name__, tag="Label sets", url_prefix="/api/v1")

MEDIA_TYPES = {"yaml": "application/yaml", "json": "application/json", "csv": "text/csv"}
_FILE: Responses = {
    200: {"description": "The label file", "content": {one: {"schema": {}} for one in MEDIA_TYPES.values()}}
}


@routes.post("/collections/<name:name>/preview")
@routes.input(PreviewBody, location="json")
@routes.output(LabelSetPreview)
@needs("read")
@takes_slot_for("pictures")
def preview(name: str, json_data: PreviewBody) -> LabelSetPreview:
    """What a label set that is not saved would say of a sample of the collection's images."""
    held = context()
    with held.slots.taken():
        draft = as_saved(held.library, json_data.label_set(), collection=name, may_read_files=False)
        return preview_label_set(
            held.library,
            draft,
            collection=name,
            filters=json_data.filters,
            sample=json_data.sample,
            best=json_data.best,
            shown=json_data.shown,
        )


@routes.post("/examples")
@routes.input(ExampleImagesForm, location="files")
@routes.output(KeptExamples)
@takes_slot_for("pictures")
def keep_examples(files_data: ExampleImagesForm | ExampleImagesBody) -> KeptExamples:
    """Make images known as examples, uploaded ones or those of a collection, for a label set that is not saved yet."""
    if isinstance(files_data, ExampleImagesForm):
        sources = [ExampleSource(one.name, one.data) for one in files_data.image]
    else:
        sources = [ExampleSource(image_id=one) for one in files_data.image_ids]
    held = context()
    with held.slots.taken():
        found = keep_as_examples(held.library, sources, collection=files_data.collection)
    return KeptExamples(examples=[ExampleInfo(uri=one.uri, digest=one.digest) for one in found])


@routes.get("/label-sets/<name:name>/file")
@routes.input(LabelFileArgs, location="query")
@routes.doc(responses=_FILE)
def label_file(name: str, query_data: LabelFileArgs) -> Response:
    """A label set as a file, to be kept, changed and read back."""
    found = stored_label_set(context().library, name, query_data.version)
    text = write_labels(found, query_data.form)
    response = Response(text, content_type=f"{MEDIA_TYPES[query_data.form]}; charset=utf-8")
    quoted = urllib.parse.quote(f"{name.replace('/', '_').replace(':', '_')}.{query_data.form}", safe="")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quoted}"
    return response


@routes.post("/label-files")
@routes.input(LabelFileBody, location="json")
@routes.output(LabelFileInfo)
@needs("read")
def read_label_file(json_data: LabelFileBody) -> LabelFileInfo:
    """The label set that a file holds; nothing is saved, and no file that it names is opened."""
    found = parse_labels(json_data.text, json_data.form, json_data.name)
    kept, left_out = _with_digests(found)
    return LabelFileInfo(label_set=describe_draft(kept), left_out=left_out)


def _with_digests(label_set: LabelSet) -> tuple[LabelSet, list[str]]:
    """Without the examples that are told by a file's name alone, and their names."""
    left_out = [example.uri for label in label_set.labels for example in label.examples if not example.digest]
    labels = tuple(map(_label_with_digests, label_set.labels))
    return dataclasses.replace(label_set, labels=labels), left_out


def _label_with_digests(label: Label) -> Label:
    return dataclasses.replace(label, examples=tuple(one for one in label.examples if one.digest))
