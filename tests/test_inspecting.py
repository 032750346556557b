"""What is said of the library at a glance."""

from __future__ import annotations

from pathlib import Path

from library_fixtures import draw_many, index

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
