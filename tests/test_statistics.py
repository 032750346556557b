"""A collection in numbers: as Python counts them, on both databases."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import pytest
from library_fixtures import draw, index, picture, unit_rows

from clipsearch.adding import NewPicture, add_pictures
from clipsearch.answers.statistics import Extent, FolderCount, FormatCount, YearCount
from clipsearch.counting import count_collection
from clipsearch.database import collections as collection_rows
from clipsearch.database.images import NewImage, mark_gone, save_images
from clipsearch.database.models import keep_model
from clipsearch.errors import CollectionNotFound
from clipsearch.label_set import LabelSet
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.tagging import tag_collection


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to a server whose time zone is not ours."""
    monkeypatch.setenv("PGTZ", "America/New_York")


def day(year: int, month: int = 1) -> dt.datetime:
    """A moment at the very beginning or end of a year, which another time zone would count to another."""
    moment = dt.datetime(year, 1, 1, 0, 30, tzinfo=dt.UTC)
    return moment if month == 1 else moment.replace(month=12, day=31, hour=23)


def fill(library: Library) -> None:
    """Rows of all kinds, two of which are gone."""
    row, _ = library.ensure_collection()
    kinds = [
        ("/photos/2019/a.jpg", "JPEG", day(2019), 100, (40, 30)),
        ("/photos/2019/b.jpg", "JPEG", day(2019, 12), 200, (400, 300)),
        ("/photos/2020/c.png", "PNG", day(2020), 300, (20, 900)),
        ("/photos/d.jpg", "JPEG", None, 400, (50, 50)),
        ("/top.png", "PNG", day(1999), 500, (60, 60)),
        ("imported-1", None, None, None, None),
        ("/photos/ä ü/e%_.jpg", "JPEG", day(2020), 600, (70, 70)),
        ("s3://bucket/f.jpg", "JPEG", None, 700, (80, 80)),
        ("/gone/g.jpg", "GIF", day(1950), 10**9, (1, 10**6)),
        ("/gone/h.jpg", "GIF", day(2050), 10**9, (1, 10**6)),
    ]
    dimension = library.encoder(row.model_name).model.dimension
    images = [
        NewImage(uri=uri, vector=vector, content_hash=uri if size else None, size=size, format=kind, taken_at=when,
                 width=extent[0] if extent else None, height=extent[1] if extent else None)
        for (uri, kind, when, size, extent), vector in zip(kinds, unit_rows(len(kinds), dimension), strict=True)
    ]  # fmt: skip
    with library.database.write() as connection:
        model = keep_model(connection, library.encoder(row.model_name).model)
        revision = collection_rows.advance(connection, row.id)
        save_images(connection, row.id, revision, model.id, images)
        mark_gone(connection, revision, [9, 10])


def test_every_number_is_what_python_counts(any_library: Library) -> None:
    fill(any_library)
    found = count_collection(any_library)
    assert (found.images, found.bytes, found.failures) == (8, 2_800, 0)
    assert found.formats == [
        FormatCount(format="JPEG", images=5, bytes=2_000),
        FormatCount(format="PNG", images=2, bytes=800),
        FormatCount(format=None, images=1, bytes=0),
    ]
    assert found.years == [
        YearCount(year=1999, images=1),
        YearCount(year=2019, images=2),
        YearCount(year=2020, images=2),
        YearCount(year=None, images=3),
    ]
    assert found.folders == [
        FolderCount(folder="/photos/2019", images=2),
        FolderCount(folder="/photos", images=1),
        FolderCount(folder="/photos/2020", images=1),
        FolderCount(folder="/photos/ä ü", images=1),
        FolderCount(folder="s3://bucket", images=1),
    ]
    assert found.widths == Extent(smallest=20, largest=400)
    assert found.heights == Extent(smallest=30, largest=900)
    assert found.first_taken == day(1999)
    assert found.last_taken == day(2020)
    assert (found.uploads.images, found.tags) == (0, [])


def test_an_empty_collection_has_numbers_too(any_library: Library) -> None:
    any_library.ensure_collection()
    found = count_collection(any_library)
    assert (found.images, found.bytes, found.formats, found.folders, found.widths) == (0, 0, [], [], None)
    assert found.first_taken is None
    with pytest.raises(CollectionNotFound):
        count_collection(any_library, "nothing")


def test_uploads_failures_and_tags_are_counted(library: Library, photos: Path) -> None:
    for seed in range(3):
        draw(photos / f"{seed}.png", seed)
    (photos / "bad.png").write_bytes(b"nothing")
    index(library, photos)
    file = io.BytesIO()
    picture(9).save(file, "PNG")
    add_pictures(library, [NewPicture("a.png", file.getvalue())])
    save_label_set(library, "things", LabelSet.of([("a", ["a"]), ("b", ["b"])], ["{}"]))
    tag_collection(library, "things")
    found = count_collection(library)
    assert (found.images, found.failures) == (4, 1)
    assert (found.uploads.images, found.uploads.bytes) == (1, len(file.getvalue()))
    assert [(one.label_set, one.images, one.stale) for one in found.tags] == [("things", 4, False)]


def test_only_the_largest_folders_are_named(library: Library, photos: Path) -> None:
    for number in range(25):
        draw(photos / f"{number:02}" / "a.png", number)
    draw(photos / "24" / "b.png", 99)
    index(library, photos)
    folders = count_collection(library).folders
    assert len(folders) == 20
    assert folders[0] == FolderCount(folder=str(photos / "24"), images=2)
    assert folders[1].folder == str(photos / "00")


def test_numbers_are_those_of_this_moment(library: Library, photos: Path) -> None:
    draw(photos / "a.png", 1)
    index(library, photos)
    assert count_collection(library).images == count_collection(library).images == 1
    draw(photos / "b.png", 2)
    index(library, photos)
    again = count_collection(library)
    assert (again.images, again.folders[0].images, again.revision) == (2, 2, 2)
