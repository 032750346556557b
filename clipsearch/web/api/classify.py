"""Routes of classification: of uploaded images, and of stored ones."""

from __future__ import annotations

from collections.abc import Sequence

from apiflask import APIBlueprint

from clipsearch.answers import ClassifyAnswer
from clipsearch.browsing import list_images
from clipsearch.classifying import PictureSource, classify_pictures, classify_stored
from clipsearch.errors import ImageNotFound, TooLarge
from clipsearch.queries import Labels
from clipsearch.web.context import context
from clipsearch.web.messages import ClassifyBody, ClassifyForm, ClassifyStoredBody, LabelSetForm, Upload
from clipsearch.web.replies import ClassifyPage

routes = APIBlueprint("classify", __name__, tag="Classification", url_prefix="/api/v1")

TRIES = 3


@routes.post("/classify")
@routes.input(ClassifyForm, location="files")
@routes.output(ClassifyAnswer)
def classify_images(files_data: ClassifyForm | ClassifyBody) -> ClassifyAnswer:
    """Label images that come with the request, with a stored label set or with labels that are given."""
    if isinstance(files_data, ClassifyForm):
        uploads = list(files_data.image)
    else:
        limit = context().settings.max_upload_bytes
        if any(len(one) > limit for one in files_data.images):
            raise TooLarge(f"an image may have {limit:,} bytes at most", limit=limit)
        uploads = [Upload(f"image {position}", one) for position, one in enumerate(files_data.images, start=1)]
    return _classify(uploads, _labels(files_data), files_data.collection, files_data.top)


@routes.post("/label-sets/<name:name>/classify")
@routes.input(LabelSetForm, location="files")
@routes.output(ClassifyAnswer)
def classify_with_label_set(name: str, files_data: LabelSetForm) -> ClassifyAnswer:
    """Label uploaded images with this label set."""
    return _classify(files_data.image, Labels(label_set=name), files_data.collection, files_data.top)


@routes.post("/collections/<name:name>/classify")
@routes.input(ClassifyStoredBody, location="json")
@routes.output(ClassifyPage)
def classify_collection(name: str, json_data: ClassifyStoredBody) -> ClassifyPage:
    """Label stored images, up to 1,000 a call; no image is opened for it."""
    held = context()
    with held.slots.taken():
        for attempt in range(TRIES):
            ids, following = _page(name, json_data)
            try:
                answer = classify_stored(held.library, _labels(json_data), collection=name, ids=ids, top=json_data.top)
            except ImageNotFound:
                # An image of the page left in between; one that was asked for by its id is missed by the asker.
                if json_data.image_ids is not None or attempt == TRIES - 1:
                    raise
            else:
                return ClassifyPage(**dict(answer), next=following)
    raise AssertionError("unreachable")


def _page(name: str, asked: ClassifyStoredBody) -> tuple[list[int], int | None]:
    if asked.image_ids is not None:
        return list(asked.image_ids), None
    found = list_images(
        context().library, collection=name, filters=asked.filters, after=asked.after, limit=asked.limit + 1
    )
    page = [one.id for one in found[: asked.limit]]
    return page, page[-1] if len(found) > len(page) else None


def _labels(asked: Labels) -> Labels:
    return Labels(label_set=asked.label_set, labels=asked.labels, templates=asked.templates)


def _classify(uploads: Sequence[Upload], labels: Labels, collection: str | None, top: int) -> ClassifyAnswer:
    held = context()
    sources = [PictureSource(one.name, one.data) for one in uploads]
    with held.slots.taken():
        return classify_pictures(held.library, sources, labels, collection=collection, top=top)
