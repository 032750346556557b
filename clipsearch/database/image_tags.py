"""The labels that images bear, a person's before the model's, as they are told on every door."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from clipsearch.answers import TagInfo
from clipsearch.database.images import chunks
from clipsearch.database.schema import review as review_table
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
    by_people = labels_by_people(connection, state, ids)
    versions = _versions_seen(connection, state, list(by_people))
    for number, labels in by_people.items():
        version = versions.get(number, state.version)
        found[number] = [
            TagInfo(label_set=state.label_set, label_set_version=version, label=label, source="person")
            for label in labels
        ]
    return found


def _versions_seen(connection: Connection, state: TaggingState, ids: Sequence[int]) -> dict[int, int]:
    """Of these images that people decided on, the version of the set that they saw."""
    query = select(review_table.c.image_id, review_table.c.label_set_version).where(
        review_table.c.label_set_id == state.tagging.label_set_id
    )
    return {
        number: version
        for part in chunks(ids)
        for number, version in connection.execute(query.where(review_table.c.image_id.in_(part)))
    }


def tags_of_image(connection: Connection, collection_id: int, image_id: int) -> list[TagInfo]:
    """What an image bears by every tagging of its collection that stands, by the name of the set."""
    standing = [state for state in tagging_states(connection, collection_id) if state.why_stale is None]
    return [tag for state in standing for tag in tags_of_images(connection, state, [image_id]).get(image_id, ())]
