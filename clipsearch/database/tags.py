"""Tags as they are read: thresholds are applied here, in SQL, from the set as it is now; a person's word comes first.

A tag answers while its tagging stands and its image is as it was when it was tagged. A review stands while the
image's content is the one that was reviewed, and while the set has one of its labels, if it has any.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, select

from clipsearch.database.images import chunks
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import label as label_table
from clipsearch.database.schema import label_set as label_set_table
from clipsearch.database.schema import review as review_table
from clipsearch.database.schema import review_label as review_label_table
from clipsearch.database.schema import tag as table
from clipsearch.database.standing_reviews import reviewed_with, shot, standing_images
from clipsearch.database.taggings import TaggingState, standing_tagging
from clipsearch.errors import InvalidFilter, LabelSetNotFound
from clipsearch.label_set import BACKGROUND

REJECTED = "-"  # in a filter: those to which no label applies
# Of labels that are looked at each on its own, where neither set nor label says otherwise.
LEAST_PROBABILITY = 0.5
# Of more labels at once the tags are read through.
MANY = 500


@dataclass(frozen=True)
class Floors:
    """Thresholds given with a question, in the place of those of the set and its labels."""

    score: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class KeptTag:
    """One of the best labels of an image; ``label`` is None for the background."""

    image_id: int
    rank: int
    position: int
    label: str | None
    category: str | None
    score: float
    probability: float
    margin: float
    accepted: bool


@dataclass(frozen=True)
class TagCounts:
    """How many images bear each label (position, name, category, images) and each category, and how many none."""

    labels: list[tuple[int, str, str | None, int]]
    categories: dict[str, int]
    rejected: int


NO_FLOORS = Floors()


def tag_condition(connection: Connection, collection_id: int, wanted: str, floors: Floors) -> ColumnElement[bool]:
    """The images to which ``SET:LABEL``, ``SET:CATEGORY``, ``SET`` (any label) or ``SET:-`` (none) applies.

    Raises LabelSetNotFound, InvalidFilter for a label that the set has not, Conflict for tags that do not stand.
    """
    name, label = _split(connection, wanted)
    state = standing_tagging(connection, collection_id, name)
    reviewed = standing_images(state)
    if label == REJECTED and not _has(connection, state, label_table.c.name, label):
        by_model = select(table.c.image_id).select_from(_FRESH).where(
            *_fresh(state), table.c.rank == 1, table.c.image_id.not_in(_accepted_images(state, floors))
        )  # fmt: skip
        by_person = reviewed.where(review_table.c.image_id.not_in(reviewed_with(state, [])))
    else:
        of_label = [] if label is None else [_chosen(connection, state, label)]
        by_model = _accepted_images(state, floors).where(*of_label, *_at(connection, state, of_label))
        by_person = reviewed.where(review_table.c.image_id.in_(reviewed_with(state, of_label)))
    # One set of ids, so that few images with a tag are found from the tags and not by looking at every image.
    return image_table.c.id.in_(by_model.where(table.c.image_id.not_in(reviewed)).union_all(by_person))


def _split(connection: Connection, wanted: str) -> tuple[str, str | None]:
    """The set and the label; a set's name may hold a colon, too."""
    places = [place for place, letter in enumerate(wanted) if letter == ":"]
    candidates = [(wanted[:place], wanted[place + 1 :]) for place in places]
    for name, label in (*candidates, (wanted, None)):
        known = select(label_set_table.c.id).where(label_set_table.c.name == name)
        if name and connection.execute(known).first() is not None:
            if label == "":
                raise InvalidFilter(f"the tag {wanted!r} lacks its label; leave the colon out for any label")
            return name, label
    first = candidates[0][0] if candidates else wanted
    raise LabelSetNotFound(f"there is no label set {first!r}; a tag is written SET:LABEL")


def _chosen(connection: Connection, state: TaggingState, label: str) -> ColumnElement[bool]:
    for column in (label_table.c.name, label_table.c.category):
        if _has(connection, state, column, label):
            return column == label
    names = connection.execute(
        select(label_table.c.name).where(label_table.c.label_set_id == state.tagging.label_set_id).limit(5_000)
    ).scalars()
    close = difflib.get_close_matches(label, list(names), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; to see them: clipsearch labels show {state.label_set}"
    raise InvalidFilter(f"the label set {state.label_set!r} has no label {label!r}{hint}")


def _at(
    connection: Connection, state: TaggingState, of_label: Sequence[ColumnElement[bool]]
) -> list[ColumnElement[bool]]:
    """The same by the places of the labels, which the index of tags knows; nothing where they are many."""
    places = select(label_table.c.position).where(label_table.c.label_set_id == state.tagging.label_set_id, *of_label)
    found = list(connection.execute(places.limit(MANY + 1)).scalars()) if of_label else []
    return [table.c.position.in_(found)] if 0 < len(found) <= MANY else []


def _has(connection: Connection, state: TaggingState, column: ColumnElement[str], value: str) -> bool:
    query = select(label_table.c.id).where(label_table.c.label_set_id == state.tagging.label_set_id, column == value)
    return connection.execute(query.limit(1)).first() is not None


_FRESH = table.join(shot, shot.c.id == table.c.image_id)


def _fresh(state: TaggingState) -> list[ColumnElement[bool]]:
    """Of images that are there, and as they were when they were tagged."""
    return [
        table.c.tagging_id == state.tagging.id,
        shot.c.collection_id == state.tagging.collection_id,
        shot.c.gone == 0,
        table.c.revision >= shot.c.revision,
    ]


def _label_of(state: TaggingState) -> ColumnElement[bool]:
    return and_(label_table.c.label_set_id == state.tagging.label_set_id, label_table.c.position == table.c.position)


def probability_floor(state: TaggingState, floors: Floors = NO_FLOORS) -> ColumnElement[float]:
    """The least probability of the label of a tag; below zero where any will do."""
    usual = -1.0 if state.mode == "single" else LEAST_PROBABILITY
    return _floor(label_table.c.min_probability, state.min_probability, floors.probability, usual)


def _floor(
    of_label: ColumnElement[float | None], of_set: float | None, given: float | None, usual: float
) -> ColumnElement[float]:
    if given is not None:
        return literal(given)
    return func.coalesce(of_label, literal(usual if of_set is None else of_set))


def _accepted(state: TaggingState, floors: Floors) -> ColumnElement[bool]:
    """Whether a tag holds: in the mode single the first alone may, in the others each on its own."""
    conditions = [
        table.c.position != BACKGROUND,
        table.c.probability >= probability_floor(state, floors),
        table.c.score >= _floor(label_table.c.min_score, state.min_score, floors.score, -2.0),
    ]
    if state.mode == "single":
        conditions.append(table.c.rank == 1)
        if state.min_margin is not None:
            conditions.append(table.c.margin >= state.min_margin)
    return and_(*conditions)


def _accepted_images(state: TaggingState, floors: Floors) -> Select[int]:
    return (
        select(table.c.image_id)
        .select_from(_FRESH.join(label_table, _label_of(state)))
        .where(*_fresh(state), _accepted(state, floors))
    )


def kept_tags(
    connection: Connection, state: TaggingState, ids: Sequence[int], floors: Floors = NO_FLOORS
) -> dict[int, list[KeptTag]]:
    """The best labels of these images, best first, and which of them hold; images not tagged are not in it."""
    found: dict[int, list[KeptTag]] = {}
    columns = (table.c.image_id, table.c.rank, table.c.position, label_table.c.name, label_table.c.category,
               table.c.score, table.c.probability, table.c.margin)  # fmt: skip
    query = (
        select(*columns, case((_accepted(state, floors), 1), else_=0))
        .select_from(_FRESH.outerjoin(label_table, _label_of(state)))
        .order_by(table.c.image_id, table.c.rank)
    )
    for part in chunks(ids):
        for row in connection.execute(query.where(*_fresh(state), table.c.image_id.in_(part))):
            found.setdefault(row[0], []).append(KeptTag(*row[:-1], accepted=bool(row[-1])))
    return found


def count_tags(connection: Connection, state: TaggingState, floors: Floors = NO_FLOORS) -> TagCounts:
    """How many images bear each label and each category as they would be read now, and how many are rejected."""
    by_model = _accepted_images(state, floors).where(table.c.image_id.not_in(standing_images(state)))
    by_person = reviewed_with(state, []).where(review_label_table.c.image_id.in_(standing_images(state)))
    pairs = [
        query.with_only_columns(number.label("image_id"), label_table.c.id.label("label_id"))
        for query, number in ((by_model, table.c.image_id), (by_person, review_label_table.c.image_id))
    ]
    both = pairs[0].union_all(pairs[1]).subquery()
    of_label = label_table.outerjoin(both, both.c.label_id == label_table.c.id)
    columns = (label_table.c.position, label_table.c.name, label_table.c.category)
    labels = connection.execute(
        select(*columns, func.count(both.c.image_id))
        .select_from(of_label)
        .where(label_table.c.label_set_id == state.tagging.label_set_id)
        .group_by(*columns)
        .order_by(label_table.c.position)
    ).all()
    categories = connection.execute(
        select(label_table.c.category, func.count(both.c.image_id.distinct()))
        .select_from(of_label)
        .where(label_table.c.label_set_id == state.tagging.label_set_id, label_table.c.category.is_not(None))
        .group_by(label_table.c.category)
    ).all()
    return TagCounts(
        labels=[(row[0], row[1], row[2], int(row[3])) for row in labels],
        categories={name: int(count) for name, count in sorted(categories)},
        rejected=_count_rejected(connection, state, both.c.image_id),
    )


def _count_rejected(connection: Connection, state: TaggingState, labelled: ColumnElement[int]) -> int:
    tagged = select(table.c.image_id).select_from(_FRESH).where(*_fresh(state), table.c.rank == 1)
    whole = tagged.union(standing_images(state)).subquery()
    decided = connection.execute(select(func.count()).select_from(whole)).scalar_one()
    with_label = connection.execute(select(func.count(labelled.distinct()))).scalar_one()
    return int(decided) - int(with_label)
