"""A collection in numbers, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsearch.cli.printing import counted, path_shown, say, shown

if TYPE_CHECKING:
    from clipsearch.answers.statistics import CollectionStatistics, Extent


def tell_statistics(found: CollectionStatistics) -> None:
    """The numbers, the most general first; of folders those with the most images."""
    lines = [("collection", f"{shown(found.collection)!r}, model {shown(found.model)}")]
    lines.append(("images", f"{found.images:,} in {_size(found.bytes)}"))
    if found.uploads.images:
        lines.append(("added", f"{found.uploads.images:,} of them, {_size(found.uploads.bytes)}"))
    if found.failures:
        lines.append(("failed files", f"{found.failures:,}"))
    if found.first_taken and found.last_taken:
        lines.append(("taken", f"{found.first_taken:%Y-%m-%d} to {found.last_taken:%Y-%m-%d}"))
    lines += [("width", _pixels(found.widths))] if found.widths else []
    lines += [("height", _pixels(found.heights))] if found.heights else []
    lines += [("format", f"{one.format or 'unknown'}: {one.images:,}, {_size(one.bytes)}") for one in found.formats]
    lines += [("year", f"{one.year or 'unknown'}: {one.images:,}") for one in found.years]
    lines += [("folder", f"{path_shown(one.folder)}: {one.images:,}") for one in found.folders]
    for tags in found.tags:
        said = "tags that hold no more" if tags.stale else counted(tags.images, "image")
        lines.append(("tagged", f"{shown(tags.label_set)}: {said}"))
    before = ""
    for title, value in lines:
        say(f"{title + ':' if title != before else '':14}{value}")
        before = title


def _pixels(extent: Extent) -> str:
    return f"{extent.smallest:,} to {extent.largest:,} pixels"


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} bytes"
