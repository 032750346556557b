"""Hits by folder, date, format or tag; knows what the group of an image is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipsearch.answers import HitGroup
from clipsearch.database import Connection
from clipsearch.database.image_tags import tags_of_images
from clipsearch.database.images import ImageRow
from clipsearch.database.taggings import standing_tagging
from clipsearch.queries import Query
from clipsearch.searching.duplicates import Found

# The group of images that have no date, no format or no tag; as a filter by tag has it.
NONE = "-"
_DATES = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
_TAG = "tag:"


def check_group(connection: Connection, collection_id: int, query: Query) -> None:
    """Raises LabelSetNotFound, Conflict where the query groups by tags that there are none of."""
    if query.group_by is not None and query.group_by.startswith(_TAG):
        standing_tagging(connection, collection_id, query.group_by.removeprefix(_TAG))


def grouped(
    connection: Connection, collection_id: int, ordered: Sequence[Found], query: Query
) -> tuple[list[Found], list[HitGroup]]:
    """The query's groups in the order of their first image, and the first ``group_size`` images of each.

    Raises as ``check_group``.
    """
    by = query.group_by or ""
    if by.startswith(_TAG):
        name_of = _by_tag(connection, collection_id, by.removeprefix(_TAG), [one.image.id for one in ordered])
    else:
        name_of = _KEYS[by]
    groups: dict[str, list[Found]] = {}
    for one in ordered:
        one.group = name_of(one.image)
        groups.setdefault(one.group, []).append(one)
    told = list(groups.items())[query.offset : query.offset + query.k]
    hits = [one for _, images in told for one in images[: query.group_size]]
    return hits, [
        HitGroup(key=key, images=len(images), hits=[one.image.id for one in images[: query.group_size]])
        for key, images in told
    ]


def _by_tag(
    connection: Connection, collection_id: int, label_set: str, ids: Sequence[int]
) -> Callable[[ImageRow], str]:
    tags = tags_of_images(connection, standing_tagging(connection, collection_id, label_set), ids)
    # Of several labels the first, which is the best: an image is in one group.
    first = {number: found[0].label for number, found in tags.items() if found}
    return lambda image: first.get(image.id, NONE)


def _by_date(form: str) -> Callable[[ImageRow], str]:
    def name_of(image: ImageRow) -> str:
        when = image.taken_at or image.modified_at
        return when.strftime(form) if when else NONE

    return name_of


_KEYS: dict[str, Callable[[ImageRow], str]] = {
    "folder": lambda image: image.uri.rpartition("/")[0] or NONE,
    "format": lambda image: image.format or NONE,
    **{name: _by_date(form) for name, form in _DATES.items()},
}
