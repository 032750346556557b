"""What is said of the library at a glance."""

from __future__ import annotations

from pathlib import Path

from library_fixtures import draw_many, index, statements_of

from clipsearch.inspecting import list_collections, show_collection, status
from clipsearch.library import Library


def test_status_counts_what_is_there(library: Library, photos: Path) -> None:
    draw_many(photos, 12)
    (photos / "damaged.png").write_bytes(b"no picture")
    index(library, photos)
    report = status(library)
    assert [(one.name, one.images, one.failures) for one in report.collections] == [("default", 12, 1)]
    assert [(one.name, one.embeddings) for one in report.models] == [(library.settings.model, 12)]
    assert report.schema_revision == "0003"
    assert report.collections == list_collections(library)
    shown = show_collection(library)
    assert shown.index is not None
    assert (shown.index.images, shown.index.kind, shown.dimension) == (12, "flat_fp16", 24)


def test_many_collections_are_listed_by_as_few_statements_as_one(any_library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    (photos / "damaged.png").write_bytes(b"no picture")
    index(any_library, photos)
    with statements_of(any_library.database) as before:
        list_collections(any_library)
    rows = [any_library.create_collection(f"more {number}", any_library.settings.model) for number in range(5)]
    with any_library.lease(rows[0], "a test"):
        with statements_of(any_library.database) as after:
            listed = list_collections(any_library)
        assert len(after) <= len(before) + 1, "the time, where there are leases"
        assert listed == [show_collection(any_library, one.name, with_index=False) for one in listed]
        assert [one.name for one in listed if one.lease is not None] == [rows[0].name]
    assert [(one.images, one.failures) for one in listed if one.name == "default"] == [(3, 1)]
