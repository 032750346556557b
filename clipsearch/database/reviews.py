"""Reviews as rows: what a person decided of an image under a label set, and what is still to be looked at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, or_, select

from clipsearch.database.clock import now
from clipsearch.database.images import ImageRow
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import label as label_table
from clipsearch.database.schema import review as table
from clipsearch.database.schema import review_label as review_label_table
from clipsearch.database.schema import tag as tag_table
from clipsearch.database.standing_reviews import settled_images
from clipsearch.database.taggings import TaggingState
from clipsearch.database.tags import probability_floor
from clipsearch.label_set import BACKGROUND


@dataclass(frozen=True)
class ReviewRow:
    """What a person decided of one image; ``labels`` in alphabetical order."""

    image_id: int
    verdict: str
    label_set_version: int
    content_hash: str | None
    decided_at: dt.datetime
    labels: tuple[str, ...] = ()


def save_review(
    connection: Connection, label_set_id: int, version: int, image: ImageRow, verdict: str, labels: Sequence[str]
) -> ReviewRow:
    """Write a decision down, in the place of an earlier one."""
    remove_review(connection, label_set_id, image.id)
    stamp = now(connection)
    values = {"label_set_id": label_set_id, "image_id": image.id, "verdict": verdict, "label_set_version": version,
              "content_hash": image.content_hash, "decided_at": stamp}  # fmt: skip
    connection.execute(insert(table).values(values))
    names = tuple(sorted(set(labels)))
    if names:
        rows = [{"label_set_id": label_set_id, "image_id": image.id, "label": name} for name in names]
        connection.execute(insert(review_label_table), rows)
    return ReviewRow(image.id, verdict, version, image.content_hash, stamp, names)


def remove_review(connection: Connection, label_set_id: int, image_id: int) -> bool:
    """Take a decision back; whether there was one."""
    own = and_(table.c.label_set_id == label_set_id, table.c.image_id == image_id)
    return bool(connection.execute(delete(table).where(own)).rowcount)


def find_review(connection: Connection, label_set_id: int, image_id: int) -> ReviewRow | None:
    """The decision on this image, or None."""
    return next(iter(_reviews(connection, _rows(label_set_id).where(table.c.image_id == image_id))), None)


def list_reviews(connection: Connection, collection_id: int, label_set_id: int) -> list[ReviewRow]:
    """What was decided of images of this collection that are there and still have the content they had, by id."""
    query = _rows(label_set_id).join(image_table, image_table.c.id == table.c.image_id)
    still = table.c.content_hash.is_not_distinct_from(image_table.c.content_hash)
    return _reviews(
        connection, query.where(image_table.c.collection_id == collection_id, image_table.c.gone == 0, still)
    )


def count_reviews(connection: Connection, collection_id: int, label_set_id: int) -> dict[str, int]:
    """How many decisions there are on images of this collection that are there, by verdict."""
    query = (
        select(table.c.verdict, func.count())
        .join(image_table, image_table.c.id == table.c.image_id)
        .where(table.c.label_set_id == label_set_id, image_table.c.collection_id == collection_id)
        .where(image_table.c.gone == 0, table.c.content_hash.is_not_distinct_from(image_table.c.content_hash))
        .group_by(table.c.verdict)
    )
    return {verdict: int(count) for verdict, count in connection.execute(query)}


def _rows(label_set_id: int) -> Select[*tuple[Any, ...]]:
    columns = (table.c.image_id, table.c.verdict, table.c.label_set_version, table.c.content_hash, table.c.decided_at)
    return select(*columns).where(table.c.label_set_id == label_set_id).order_by(table.c.image_id)


def _reviews(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[ReviewRow]:
    rows = connection.execute(query.add_columns(review_label_table.c.label).outerjoin(
        review_label_table,
        and_(review_label_table.c.label_set_id == table.c.label_set_id,
             review_label_table.c.image_id == table.c.image_id),
    ).order_by(review_label_table.c.label))  # fmt: skip
    found: dict[int, tuple[Row[Any], list[str]]] = {}
    for row in rows:
        labels = found.setdefault(row[0], (row, []))[1]
        if row[-1] is not None:
            labels.append(row[-1])
    return [
        ReviewRow(row.image_id, row.verdict, row.label_set_version, row.content_hash, row.decided_at, tuple(labels))
        for row, labels in found.values()
    ]


def uncertain_images(
    connection: Connection, state: TaggingState, *, after: int | None, limit: int
) -> list[tuple[int, float]]:
    """Images that nobody decided on, the least certain first, each with how far it is from another decision.

    In the mode single that is the difference of the first two probabilities, in the others the distance of the
    nearest label from its threshold. ``after`` is the image after which to go on.
    """
    distances = _distances(state).subquery()
    columns = (distances.c.image_id, distances.c.distance)
    query = select(*columns).where(distances.c.image_id.not_in(settled_images(state)))
    if after is not None:
        own = _distances(state).where(tag_table.c.image_id == after)
        before = connection.execute(own).first()
        if before is not None:
            query = query.where(or_(
                distances.c.distance > before.distance,
                and_(distances.c.distance == before.distance, distances.c.image_id > after),
            ))  # fmt: skip
    rows = connection.execute(query.order_by(distances.c.distance, distances.c.image_id).limit(limit))
    return [(row.image_id, float(row.distance)) for row in rows]


def count_uncertain(connection: Connection, state: TaggingState) -> int:
    """How many images nobody decided on."""
    distances = _distances(state).subquery()
    query = select(func.count()).select_from(distances).where(distances.c.image_id.not_in(settled_images(state)))
    return int(connection.execute(query).scalar_one())


def _distances(state: TaggingState) -> Select[int, float]:
    fresh = [
        tag_table.c.tagging_id == state.tagging.id,
        image_table.c.collection_id == state.tagging.collection_id,
        image_table.c.gone == 0,
        tag_table.c.revision >= image_table.c.revision,
    ]
    joined = tag_table.join(image_table, image_table.c.id == tag_table.c.image_id)
    if state.mode == "single":
        return (
            select(tag_table.c.image_id, tag_table.c.margin.label("distance"))
            .select_from(joined)
            .where(*fresh, tag_table.c.rank == 1)
        )
    label_of = and_(
        label_table.c.label_set_id == state.tagging.label_set_id, label_table.c.position == tag_table.c.position
    )
    nearest = func.min(func.abs(tag_table.c.probability - probability_floor(state)))
    return (
        select(tag_table.c.image_id, nearest.label("distance"))
        .select_from(joined.join(label_table, label_of))
        .where(*fresh, tag_table.c.position != BACKGROUND)
        .group_by(tag_table.c.image_id)
    )
