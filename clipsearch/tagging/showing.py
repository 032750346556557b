"""The taggings of a collection, and how many images bear each label."""

from __future__ import annotations

from clipsearch.answers import CategoryCount, LabelCount, TagCountsInfo, TaggingInfo
from clipsearch.database import Connection
from clipsearch.database import taggings as tagging_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.taggings import TaggingState
from clipsearch.database.tags import Floors, count_tags
from clipsearch.errors import NotFound
from clipsearch.library import Library


def list_taggings(library: Library, *, collection: str | None = None) -> list[TaggingInfo]:
    """The label sets that are applied to the collection, by name. Raises CollectionNotFound."""
    row = library.collection(collection)
    with library.database.read() as connection:
        return [_info(connection, state) for state in tagging_rows.tagging_states(connection, row.id)]


def show_tags(
    library: Library,
    label_set: str,
    *,
    collection: str | None = None,
    min_score: float | None = None,
    min_probability: float | None = None,
) -> TagCountsInfo:
    """How many images bear each label and each category, by the thresholds of the set as it is now, or by these.

    Raises CollectionNotFound, LabelSetNotFound, Conflict where the tags do not stand.
    """
    row = library.collection(collection)
    with library.database.read() as connection:
        state = tagging_rows.standing_tagging(connection, row.id, label_set)
        counts = count_tags(connection, state, Floors(min_score, min_probability))
        return TagCountsInfo(
            tagging=_info(connection, state),
            labels=[
                LabelCount(label=name, position=position, category=category, images=images)
                for position, name, category, images in counts.labels
            ],
            categories=[CategoryCount(category=name, images=images) for name, images in counts.categories.items()],
            rejected=counts.rejected,
        )


def named_tagging(connection: Connection, row: CollectionRow, label_set: str) -> TaggingState:
    """The tagging of a collection by this set, whether its tags hold or not. Raises NotFound."""
    found = tagging_rows.tagging_states(connection, row.id, label_set)
    if not found:
        raise NotFound(f"the label set {label_set!r} is not applied to the collection {row.name!r}; what is applied: "
                       "clipsearch tags list")  # fmt: skip
    return found[0]


def _info(connection: Connection, state: TaggingState) -> TaggingInfo:
    there, waiting = tagging_rows.count_images(connection, state.tagging)
    return TaggingInfo(
        collection=state.collection,
        label_set=state.label_set,
        mode=state.mode,
        top=state.tagging.top,
        automatic=state.tagging.automatic,
        version_made=state.tagging.label_set_version,
        version_now=state.version,
        stale=state.why_stale is not None,
        why_stale=state.why_stale,
        images=there,
        tagged=0 if state.why_stale is not None else there - waiting,
        created_at=state.tagging.created_at,
        updated_at=state.tagging.updated_at,
    )
