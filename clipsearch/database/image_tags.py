"""The labels that images bear, a person's before the model's, as they are told on every door."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from clipsearch.answers import TagInfo
from clipsearch.database.reviews import find_review
from clipsearch.database.standing_reviews import labels_by_people
from clipsearch.database.taggings import TaggingState, tagging_states
from clipsearch.database.tags import NO_FLOORS, Floors, kept_tags


def tags_of_images(
    connection: Connection, state: TaggingState, ids: Sequence[int], floors: Floors = NO_FLOORS
) -> dict[int, list[TagInfo]]:
    """What each of these images bears by a tagging that stands; empty for one that was rejected, missing for one that
    was neither tagged nor reviewed."""
    found = {
        number: [
            TagInfo(
                label_set=state.label_set,
                label_set_version=state.tagging.label_set_version,
                label=one.label,
                category=one.category,
                source="model",
                rank=one.rank,
                score=one.score,
                probability=one.probability,
                margin=one.margin,
            )
            for one in kept
            if one.accepted and one.label is not None
        ]
        for number, kept in kept_tags(connection, state, ids, floors).items()
    }
    for number, labels in labels_by_people(connection, state, ids).items():
        review = find_review(connection, state.tagging.label_set_id, number)
        version = review.label_set_version if review else state.version
        found[number] = [
            TagInfo(label_set=state.label_set, label_set_version=version, label=label, source="person")
            for label in labels
        ]
    return found


def tags_of_image(connection: Connection, collection_id: int, image_id: int) -> list[TagInfo]:
    """What an image bears by every tagging of its collection that stands, by the name of the set."""
    standing = [state for state in tagging_states(connection, collection_id) if state.why_stale is None]
    return [tag for state in standing for tag in tags_of_images(connection, state, [image_id]).get(image_id, ())]
