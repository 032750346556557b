"""Routes of classification: of uploaded images, and of stored ones."""

from __future__ import annotations

from collections.abc import Sequence

from apiflask import APIBlueprint

from clipsearch.answers import ClassifyAnswer, ClassifyAnswers, FailedFile
from clipsearch.browsing import list_images
from clipsearch.classifying import PictureSource, classify_stored, classify_with_sets
from clipsearch.errors import ImageNotFound
from clipsearch.queries import Labels
from clipsearch.web.classify_messages import SetsBody, SetsForm
from clipsearch.web.context import context
from clipsearch.web.messages import ClassifyBody, ClassifyForm, ClassifyStoredBody, LabelSetForm, Upload
from clipsearch.web.replies import ClassifyPage
from clipsearch.web.scopes import needs
from clipsearch.web.sent_pictures import sent_pictures
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("classify", __name__, tag="Classification", url_prefix="/api/v1")

TRIES = 3


@routes.post("/classify")
@routes.input(ClassifyForm, location="files")
@routes.output(ClassifyAnswer)
@needs("read")
@takes_slot_for("pictures", may_fetch=True)
def classify_images(files_data: ClassifyForm | ClassifyBody) -> ClassifyAnswer:
    """Label images that come with the request, with a stored label set or with labels that are given."""
    return _classify(sent_pictures(files_data), [_labels(files_data)], files_data.collection, files_data.top)[0]


@routes.post("/classify/sets")
@routes.input(SetsForm, location="files")
@routes.output(ClassifyAnswers)
@needs("read")
@takes_slot_for("pictures", may_fetch=True)
def classify_images_with_sets(files_data: SetsForm | SetsBody) -> ClassifyAnswers:
    """Label images with several label sets at once; every image is looked at once."""
    sets = [Labels(label_set=name) for name in dict.fromkeys(files_data.label_sets)]
    answers = _classify(sent_pictures(files_data), sets, files_data.collection, files_data.top)
    return ClassifyAnswers(answers=answers)


@routes.post("/label-sets/<name:name>/classify")
@routes.input(LabelSetForm, location="files")
@routes.output(ClassifyAnswer)
@needs("read")
@takes_slot_for("pictures")
def classify_with_label_set(name: str, files_data: LabelSetForm) -> ClassifyAnswer:
    """Label uploaded images with this label set."""
    return _classify(([*files_data.image], []), [Labels(label_set=name)], files_data.collection, files_data.top)[0]


@routes.post("/collections/<name:name>/classify")
@routes.input(ClassifyStoredBody, location="json")
@routes.output(ClassifyPage)
@needs("read")
@takes_slot_for("pictures")
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
    return Labels(**{name: getattr(asked, name) for name in Labels.model_fields})


def _classify(
    sent: tuple[Sequence[Upload], Sequence[FailedFile]], sets: Sequence[Labels], collection: str | None, top: int
) -> list[ClassifyAnswer]:
    held = context()
    uploads, failed = sent
    sources = [PictureSource(one.name, one.data) for one in uploads]
    with held.slots.taken():
        answers = classify_with_sets(held.library, sources, sets, collection=collection, top=top)
    return [one.model_copy(update={"failed": [*one.failed, *failed]}) for one in answers] if failed else answers
