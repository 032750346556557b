"""Say what a collection holds, in numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass

from clipsearch.answers.statistics import (
    CollectionStatistics,
    Extent,
    FolderCount,
    FormatCount,
    TaggedCount,
    UploadCount,
    YearCount,
)
from clipsearch.database import Connection
from clipsearch.database import collections as collection_rows
from clipsearch.database import failures as failure_rows
from clipsearch.database import statistics as numbers
from clipsearch.database import taggings as tagging_rows
from clipsearch.database.collections import CollectionState
from clipsearch.images import uploads_folder, uri_of
from clipsearch.library import Library

# Of a remembered count: some hundred formats, years and folders.
_ABOUT_BYTES = 20_000


@dataclass(frozen=True)
class _Counted:
    images: numbers.ImageNumbers
    folders: list[tuple[str, int]]


def count_collection(library: Library, name: str | None = None) -> CollectionStatistics:
    """The numbers of a collection, by a few questions to the database; no file is looked at, and no index.

    Raises CollectionNotFound.
    """
    row = library.collection(name)
    with library.database.read() as connection:
        state = collection_rows.state_of_id(connection, row.id)
        row = state.row
        found, folders = _counted(library, connection, state)
        failures = failure_rows.count_failures(connection, row.id)
        tags = _tagged(connection, row.id)
    return CollectionStatistics(
        collection=row.name,
        model=row.model_name,
        revision=row.revision,
        images=found.images,
        failures=failures,
        bytes=found.size,
        formats=[
            FormatCount(format=one, images=images, bytes=found.format_sizes[one])
            for one, images in sorted(found.formats.items(), key=lambda pair: (-pair[1], pair[0] or ""))
        ],
        years=[
            YearCount(year=year, images=images)
            for year, images in sorted(found.years.items(), key=lambda pair: (pair[0] is None, pair[0] or 0))
        ],
        folders=[FolderCount(folder=folder, images=images) for folder, images in folders],
        widths=_extent(found.widths),
        heights=_extent(found.heights),
        first_taken=found.first,
        last_taken=found.last,
        tags=tags,
        uploads=UploadCount(images=found.uploads, bytes=found.uploads_size),
    )


def _counted(
    library: Library, connection: Connection, state: CollectionState
) -> tuple[numbers.ImageNumbers, list[tuple[str, int]]]:
    """What is counted of the images, remembered for as long as none of them changes."""
    key = ("statistics", state.row.id, state.row.revision, state.token)
    kept = library.recent.get(key)
    if isinstance(kept, _Counted):
        return kept.images, kept.folders
    uploads = uri_of(uploads_folder(library.settings.data_dir, state.row.id)) + os.sep
    counted = _Counted(
        numbers.image_numbers(connection, state.row.id, uploads), numbers.largest_folders(connection, state.row.id)
    )
    library.recent.keep(key, counted, _ABOUT_BYTES)
    return counted.images, counted.folders


def _tagged(connection: Connection, collection_id: int) -> list[TaggedCount]:
    found = []
    for state in tagging_rows.tagging_states(connection, collection_id):
        there, waiting = tagging_rows.count_images(connection, state.tagging)
        stale = state.why_stale is not None
        found.append(TaggedCount(label_set=state.label_set, images=0 if stale else there - waiting, stale=stale))
    return found


def _extent(extent: tuple[int, int] | None) -> Extent | None:
    return None if extent is None else Extent(smallest=extent[0], largest=extent[1])
