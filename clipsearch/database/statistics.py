"""A collection in numbers: two passes over its rows, whatever there is to count; by SQL but for folders on SQLite."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Connection, case, collate, extract, func, select

from clipsearch.database.schema import image as table

FOLDERS = 20
ROWS = 10_000


@dataclass
class ImageNumbers:
    """What is counted of the images that are there; sizes are in bytes, extents (least, most) in pixels."""

    images: int = 0
    size: int = 0
    uploads: int = 0
    uploads_size: int = 0
    formats: Counter[str | None] = field(default_factory=Counter)
    format_sizes: Counter[str | None] = field(default_factory=Counter)
    years: Counter[int | None] = field(default_factory=Counter)
    widths: tuple[int, int] | None = None
    heights: tuple[int, int] | None = None
    first: dt.datetime | None = None
    last: dt.datetime | None = None


def image_numbers(connection: Connection, collection_id: int, uploads: str) -> ImageNumbers:
    """The numbers of a collection's images; ``uploads`` is what the uris of those begin with that were uploaded."""
    when = func.coalesce(table.c.taken_at, table.c.modified_at, type_=table.c.taken_at.type)
    uploaded = func.substr(table.c.uri, 1, len(uploads)) == uploads
    # On a server a year begins where its time zone has it.
    year = extract("year", when if connection.dialect.name == "sqlite" else func.timezone("UTC", when))
    # One pass for all: by format and year there are few groups, and what is not of a group is added up here.
    query = (
        select(
            table.c.format, year, func.count(), func.sum(table.c.size),
            func.sum(case((uploaded, 1), else_=0)), func.sum(case((uploaded, table.c.size), else_=0)),
            func.min(table.c.width), func.max(table.c.width), func.min(table.c.height), func.max(table.c.height),
            func.min(when, type_=when.type), func.max(when, type_=when.type),
        )
        .where(table.c.collection_id == collection_id, table.c.gone == 0)
        .group_by(table.c.format, year)
    )  # fmt: skip
    numbers = ImageNumbers()
    for name, in_year, images, size, sent, sent_size, *extents in connection.execute(query):
        numbers.images += images
        numbers.size += int(size or 0)
        numbers.uploads += int(sent)
        numbers.uploads_size += int(sent_size or 0)
        numbers.formats[name] += images
        numbers.format_sizes[name] += int(size or 0)
        numbers.years[None if in_year is None else int(in_year)] += images
        least_width, most_width, least_height, most_height, first, last = extents
        numbers.widths = _joined(numbers.widths, least_width, most_width)
        numbers.heights = _joined(numbers.heights, least_height, most_height)
        numbers.first = min((one for one in (numbers.first, first) if one is not None), default=None)
        numbers.last = max((one for one in (numbers.last, last) if one is not None), default=None)
    return numbers


def largest_folders(connection: Connection, collection_id: int) -> list[tuple[str, int]]:
    """The folders with the most images right in them; a uri without a folder counts for none."""
    there = (table.c.collection_id == collection_id, table.c.gone == 0)
    if connection.dialect.name == "sqlite":
        # Which has no function that finds the last slash; by those that it has this takes four times as long.
        counts: Counter[str] = Counter()
        uris = connection.execute(select(table.c.uri).where(*there).execution_options(yield_per=ROWS)).scalars()
        for part in uris.partitions():
            counts.update(uri.rpartition("/")[0] for uri in part)
        del counts[""]
        return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:FOLDERS]
    behind = func.strpos(func.reverse(table.c.uri), "/")
    folder = case((behind == 0, ""), else_=func.left(table.c.uri, func.length(table.c.uri) - behind))
    images = func.count()
    query = select(folder, images).where(*there, folder != "").group_by(folder)
    # Ties in the order of the letters' codes, as above, and not of the server's language.
    query = query.order_by(images.desc(), collate(folder, "C")).limit(FOLDERS)
    return [(str(name), int(count)) for name, count in connection.execute(query)]


def _joined(extent: tuple[int, int] | None, least: int | None, most: int | None) -> tuple[int, int] | None:
    if least is None or most is None:
        return extent
    return (least, most) if extent is None else (min(extent[0], least), max(extent[1], most))
