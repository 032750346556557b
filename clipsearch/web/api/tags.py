"""Routes of tags and reviews: apply, list, count, remove; look and decide."""

from __future__ import annotations

from apiflask import APIBlueprint

from clipsearch import reviewing
from clipsearch.answers import ReviewInfo, ReviewQueue, TagCountsInfo, TaggingReport
from clipsearch.tagging import list_taggings, show_tags, tag_collection, untag
from clipsearch.web.context import context
from clipsearch.web.slots import takes_slot_for
from clipsearch.web.tag_messages import ReviewArgs, ReviewBody, TagCountArgs, TaggingBody, TaggingList

routes = APIBlueprint("tags", __name__, tag="Tags", url_prefix="/api/v1/collections/<name:name>")

# Seconds of work; whoever has more of it has a command line, which shows how far it has come.
IMAGES_A_CALL = 100_000


@routes.get("/tags")
@routes.output(TaggingList)
def taggings(name: str) -> TaggingList:
    """The label sets that are applied to a collection."""
    return TaggingList(taggings=list_taggings(context().library, collection=name))


@routes.post("/tags")
@routes.input(TaggingBody, location="json")
@routes.output(TaggingReport)
@takes_slot_for("pictures")
def apply_label_set(name: str, json_data: TaggingBody) -> TaggingReport:
    """Tag every image that waits for it, up to 100,000 a call; the answer comes when they are tagged."""
    held = context()
    with held.slots.taken():
        return tag_collection(
            held.library,
            json_data.label_set,
            collection=name,
            top=json_data.top,
            automatic=json_data.automatic,
            at_most=IMAGES_A_CALL,
        )


@routes.get("/tags/<name:label_set>")
@routes.input(TagCountArgs, location="query")
@routes.output(TagCountsInfo)
def tag_counts(name: str, label_set: str, query_data: TagCountArgs) -> TagCountsInfo:
    """How many images bear each label of a set that is applied."""
    return show_tags(
        context().library,
        label_set,
        collection=name,
        min_score=query_data.min_tag_score,
        min_probability=query_data.min_tag_probability,
    )


@routes.delete("/tags/<name:label_set>")
@routes.doc(responses={204: "They are gone; reviews stay"})
def remove_tags(name: str, label_set: str) -> tuple[str, int]:
    """Remove the tags of a label set from a collection, and stop applying it."""
    untag(context().library, label_set, collection=name)
    return "", 204


@routes.get("/review/<name:label_set>")
@routes.input(ReviewArgs, location="query")
@routes.output(ReviewQueue)
def review_queue(name: str, label_set: str, query_data: ReviewArgs) -> ReviewQueue:
    """Images that wait for a decision, the least certain first."""
    return reviewing.queue(
        context().library, label_set, collection=name, limit=query_data.limit, after=query_data.after
    )


@routes.post("/review/<name:label_set>/<id:image_id>")
@routes.input(ReviewBody, location="json")
@routes.output(ReviewInfo)
def decide(name: str, label_set: str, image_id: int, json_data: ReviewBody) -> ReviewInfo:
    """Decide on an image; with undo the answer says what was taken back."""
    library = context().library
    if json_data.decision == "accept":
        return reviewing.accept(library, label_set, image_id, collection=name)
    if json_data.decision == "skip":
        return reviewing.skip(library, label_set, image_id, collection=name)
    if json_data.decision == "undo":
        return reviewing.undo(library, label_set, image_id, collection=name)
    return reviewing.correct(library, label_set, image_id, json_data.labels, collection=name)
