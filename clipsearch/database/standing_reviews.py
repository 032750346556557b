"""The decisions of people that hold: of the content an image has now, with a label that the set has now."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, literal, or_, select

from clipsearch.database.images import chunks
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import label as label_table
from clipsearch.database.schema import review as review_table
from clipsearch.database.schema import review_label as review_label_table
from clipsearch.database.taggings import TaggingState

DECIDED = ("accepted", "corrected")
# The filter's own table of images encloses these queries: they look at the images under another name.
shot = image_table.alias("shot")

_REVIEWED = review_table.join(shot, shot.c.id == review_table.c.image_id)
_LABELLED = and_(
    review_label_table.c.label_set_id == review_table.c.label_set_id,
    review_label_table.c.image_id == review_table.c.image_id,
)
_KNOWN_LABEL = and_(
    label_table.c.label_set_id == review_label_table.c.label_set_id, label_table.c.name == review_label_table.c.label
)


def standing_images(state: TaggingState) -> Select[int]:
    """The images that a person decided on, and whose decision holds."""
    any_label = select(literal(1)).select_from(review_label_table).where(_LABELLED)
    known_label = select(literal(1)).select_from(review_label_table.join(label_table, _KNOWN_LABEL)).where(_LABELLED)
    return select(review_table.c.image_id).select_from(_REVIEWED).where(
        *_of_this_content(state),
        review_table.c.verdict.in_(DECIDED),
        or_(known_label.correlate(review_table).exists(), ~any_label.correlate(review_table).exists()),
    )  # fmt: skip


def _of_this_content(state: TaggingState) -> list[ColumnElement[bool]]:
    return [
        review_table.c.label_set_id == state.tagging.label_set_id,
        shot.c.collection_id == state.tagging.collection_id,
        shot.c.gone == 0,
        review_table.c.content_hash.is_not_distinct_from(shot.c.content_hash),
    ]


def reviewed_with(state: TaggingState, of_label: Sequence[ColumnElement[bool]]) -> Select[int]:
    """The images that a person gave a label which the set has, whatever else speaks against the review."""
    return (
        select(review_label_table.c.image_id)
        .select_from(review_label_table.join(label_table, _KNOWN_LABEL))
        .where(review_label_table.c.label_set_id == state.tagging.label_set_id, *of_label)
    )


def settled_images(state: TaggingState) -> Select[int]:
    """The images that need no review: one stands, or they were skipped as they are."""
    skipped = select(review_table.c.image_id).select_from(_REVIEWED).where(
        *_of_this_content(state), review_table.c.verdict == "skipped"
    )  # fmt: skip
    return standing_images(state).union_all(skipped)  # type: ignore[return-value]


def labels_by_people(connection: Connection, state: TaggingState, ids: Sequence[int]) -> dict[int, list[str]]:
    """Of these images those that a person decided on, each with the labels it got, in the order of the set."""
    found: dict[int, list[str]] = {}
    for part in chunks(ids):
        rows = connection.execute(standing_images(state).where(review_table.c.image_id.in_(part)))
        for number in rows.scalars():
            found[number] = []
        given = (
            select(review_label_table.c.image_id, label_table.c.name)
            .select_from(review_label_table.join(label_table, _KNOWN_LABEL))
            .where(review_label_table.c.label_set_id == state.tagging.label_set_id,
                   review_label_table.c.image_id.in_(part))
            .order_by(review_label_table.c.image_id, label_table.c.position)
        )  # fmt: skip
        for number, name in connection.execute(given):
            if number in found and name not in found[number]:
                found[number].append(name)
    return found
