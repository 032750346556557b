"""Images one by one: what may be shown, and that no path leads out of the roots."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest
from library_fixtures import CountingEncoder, draw, draw_many, groups, index, library_with, sqlite_url, statements_of

from clipsearch import browsing, following
from clipsearch.database import failures as failure_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.failures import NewFailure
from clipsearch.errors import ClipSearchError, ImageNotFound, InvalidInput, NotAllowed, RunNotFound
from clipsearch.library import Library
from clipsearch.queries import Filters, Query, Term
from clipsearch.searching import search


@pytest.fixture
def rooted(tmp_path: Path, migrated_file: Path, encoder: CountingEncoder, photos: Path) -> Iterator[Library]:
    """A library whose server may show what lies under ``photos``."""
    sqlite_url(tmp_path / "data", migrated_file)
    with library_with(encoder, tmp_path / "data", roots=(photos,)) as library:
        yield library


def number_of(library: Library, path: Path) -> int:
    return browsing.show_image(library, str(path)).id


def test_a_list_goes_on_where_it_ended(any_library: Library, photos: Path) -> None:
    draw_many(photos, 7)
    index(any_library, photos)
    first = browsing.list_images(any_library, limit=4)
    rest = browsing.list_images(any_library, after=first[-1].id, limit=4)
    assert [Path(one.uri).name for one in [*first, *rest]] == [f"{n:04}.png" for n in range(7)]
    assert browsing.list_images(any_library, after=rest[-1].id) == []
    found = browsing.list_images(any_library, filters=Filters(path_glob="*000[25].png"), limit=1)
    assert [Path(one.uri).name for one in found] == ["0002.png"]


def test_an_image_is_known_by_number_uri_and_path(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = draw(photos / "a.png", seed=1)
    index(any_library, photos)
    monkeypatch.chdir(photos)
    shown = browsing.show_image(any_library, 1)
    assert shown == browsing.show_image(any_library, str(path)) == browsing.show_image(any_library, "a.png")
    assert (shown.width, shown.height, shown.format, shown.size) == (24, 20, "PNG", path.stat().st_size)
    for missing in (2, "b.png", "/etc/passwd"):
        with pytest.raises(ImageNotFound):
            browsing.show_image(any_library, missing)


def test_removing_is_all_or_nothing_and_the_next_run_brings_the_images_back(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    with pytest.raises(ImageNotFound):
        browsing.remove_images(any_library, [str(paths[0]), 999])
    assert len(browsing.list_images(any_library)) == 3
    removed = browsing.remove_images(any_library, [str(paths[0]), 2])
    assert [Path(one.uri).name for one in removed] == ["0000.png", "0001.png"]
    assert [Path(one.uri).name for one in browsing.list_images(any_library)] == ["0002.png"]
    assert len(search(any_library, Query(terms=(Term(vector=(1.0,) * 24),))).hits) == 1
    report = index(any_library, photos)
    assert groups(report) == {"added": ["0000.png", "0001.png"], "unchanged": ["0002.png"]}
    assert report.encoded == 2


def test_removing_many_asks_no_more_than_removing_one(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 7)
    index(any_library, photos)
    wanted: list[list[int | str]] = [[1], [2, str(paths[2]), 4, str(paths[4])], [6, str(paths[6])]]
    counts = []
    for images in wanted:
        with statements_of(any_library.database) as asked:
            assert len(browsing.remove_images(any_library, images)) == len(images)
        counts.append(len(asked))
    assert max(counts) <= counts[0] + 1, "one more for those that are named by uri"
    other = any_library.create_collection("other", any_library.settings.model)
    with pytest.raises(ImageNotFound):
        browsing.remove_images(any_library, [1], collection=other.name)


def test_failures_are_read_part_by_part_with_their_number(any_library: Library) -> None:
    row = any_library.create_collection("holiday", "demo")
    bad = [NewFailure(f"/{number}.ppm", "unreadable_image", "cut short") for number in range(7)]
    with any_library.database.write() as connection:
        run = run_rows.create_run(connection, row.id, "/photos")
        failure_rows.note_failures(connection, row.id, run, bad)
        failure_rows.note_failures(connection, row.id, None, [NewFailure("/8.ppm", "x", "of no run")])
    page, total = following.failures_page(any_library, collection="holiday", offset=2, limit=3)
    assert ([one.uri for one in page], total) == (["/2.ppm", "/3.ppm", "/4.ppm"], 8)
    assert len(following.list_failures(any_library, collection="holiday")) == 8
    assert following.failures_page(any_library, collection="holiday", offset=9) == ([], 8)
    of_run, all_of_run = following.run_failures_page(any_library, run, offset=5, limit=3)
    assert ([one.uri for one in of_run], all_of_run) == (["/5.ppm", "/6.ppm"], 7)
    with statements_of(any_library.database) as asked:
        following.failures_page(any_library, collection="holiday", limit=2)
    assert any("LIMIT" in statement.upper() for statement in asked if "failure" in statement)


def test_an_original_is_the_files_bytes_and_only_from_the_roots(rooted: Library, photos: Path, tmp_path: Path) -> None:
    inside = draw(photos / "deep" / "a.png", seed=1)
    outside = draw(tmp_path / "private" / "b.png", seed=2)
    beside = draw(tmp_path / "photos2" / "c.png", seed=3)
    for path in (inside, outside, beside):
        index(rooted, path)
    data, info = browsing.original(rooted, number_of(rooted, inside))
    assert (data, info.uri) == (inside.read_bytes(), str(inside))
    for path in (outside, beside):
        with pytest.raises(NotAllowed, match="CLIPSEARCH_ROOTS"):
            browsing.original(rooted, number_of(rooted, path))


def test_without_roots_no_original_is_served(library: Library, photos: Path) -> None:
    path = draw(photos / "a.png", seed=1)
    index(library, photos)
    with pytest.raises(NotAllowed):
        browsing.original(library, number_of(library, path))


@pytest.mark.parametrize("depth", ["file", "folder", "chain", "relative"])
def test_a_link_put_in_an_images_place_leads_nowhere(rooted: Library, photos: Path, tmp_path: Path, depth: str) -> None:
    path = draw(photos / "sub" / "a.png", seed=1)
    index(rooted, photos)
    number = number_of(rooted, path)
    secret = tmp_path / "secret" / "a.png"
    secret.parent.mkdir()
    # The very bytes that were indexed: only the place is wrong.
    shutil.copyfile(path, secret)
    if depth == "folder":
        shutil.rmtree(path.parent)
        path.parent.symlink_to(secret.parent, target_is_directory=True)
    else:
        path.unlink()
        if depth == "chain":
            (photos / "step.png").symlink_to(secret)
            path.symlink_to(photos / "step.png")
        else:
            path.symlink_to(secret if depth == "file" else os.path.relpath(secret, path.parent))
    with pytest.raises(NotAllowed):
        browsing.original(rooted, number)


def test_a_link_within_the_roots_is_followed(rooted: Library, photos: Path) -> None:
    path = draw(photos / "a.png", seed=1)
    index(rooted, photos)
    path.rename(photos / "b.png")
    path.symlink_to(photos / "b.png")
    assert browsing.original(rooted, 1)[0] == (photos / "b.png").read_bytes()


def test_other_bytes_in_an_images_place_are_not_the_image(rooted: Library, photos: Path) -> None:
    path = draw(photos / "a.png", seed=1)
    index(rooted, photos)
    path.write_text("a secret that was moved here")
    for show in (browsing.original, browsing.thumbnail):
        with pytest.raises(ImageNotFound, match="changed since it was indexed"):
            show(rooted, 1)


def test_a_thumbnail_is_a_small_jpeg(library: Library, photos: Path) -> None:
    PIL.Image.effect_noise((900, 300), 50).convert("RGB").save(photos / "wide.png")
    index(library, photos)
    with PIL.Image.open(io.BytesIO(browsing.thumbnail(library, 1, size=320))) as small:
        assert (small.format, small.size) == ("JPEG", (320, 107))


def test_a_file_that_is_gone_is_told(library: Library, photos: Path) -> None:
    path = draw(photos / "a.png", seed=1)
    index(library, photos)
    path.unlink()
    with pytest.raises(ImageNotFound, match="not there any more"):
        browsing.thumbnail(library, 1)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "file:///etc/passwd", "/etc/passwd", "..\\x", "\x00", "~root/x", ""]
)
def test_no_name_reaches_a_file_that_was_not_indexed(rooted: Library, photos: Path, name: str) -> None:
    draw(photos / "a.png", seed=1)
    index(rooted, photos)
    with pytest.raises((ImageNotFound, InvalidInput)):
        browsing.show_image(rooted, name)


def test_runs_are_listed_newest_first(library: Library, photos: Path) -> None:
    draw(photos / "a.png", seed=1)
    first, second = index(library, photos).run_id, index(library, photos).run_id
    assert [run.id for run in following.list_runs(library)] == [second, first]
    assert following.show_run(library, first or 0).source == str(photos)
    with pytest.raises(RunNotFound):
        following.show_run(library, 99)
    with pytest.raises(ClipSearchError):
        following.cancel_run(library, 99)


def test_a_name_that_no_file_can_have_and_a_place_that_cannot_be_seen_are_told(rooted: Library, photos: Path) -> None:
    path = draw(photos / "a.png", seed=1)
    index(rooted, photos)
    path.unlink()
    path.symlink_to(path.name)  # a circle: the system refuses to look, as it does for a folder that is closed
    for show in (browsing.original, browsing.thumbnail):
        with pytest.raises(ImageNotFound, match="cannot be told"):
            show(rooted, 1)
    with rooted.database.write() as connection:
        connection.exec_driver_sql("UPDATE image SET uri = ?", (f"/{'x' * 300}.png",))
    for show in (browsing.original, browsing.thumbnail):
        with pytest.raises(ImageNotFound):
            show(rooted, 1)
    with pytest.raises(ImageNotFound):
        browsing.show_image(rooted, "~nobody-of-this-name/a.png")


def test_known_sources_are_the_outermost_that_are_there(library: Library, photos: Path) -> None:
    for folder in ("a", "a/b", "a/b/c", "ab", "gone"):
        draw(photos / folder / "x.png", seed=len(folder))
        index(library, photos / folder)
    shutil.rmtree(photos / "gone")
    assert browsing.known_sources(library) == ([photos / "a", photos / "ab"], [photos / "gone"])
    assert browsing.outermost([photos / "ab", photos / "ab", photos / "a" / "b", photos]) == [photos]


def test_a_reason_that_no_database_would_take_is_kept_all_the_same(any_library: Library) -> None:
    row = any_library.create_collection("holiday", "demo")
    with any_library.database.write() as connection:
        bad = [NewFailure("/a.ppm", "unreadable_image", "a\0b\ud800c"), NewFailure("/b.ppm", "x", "long" * 1_000)]
        failure_rows.note_failures(connection, row.id, None, bad)
        number = run_rows.create_run(connection, row.id, "/photos")
        run_rows.finish_run(connection, number, "failed", "no\0t")
    first, second = following.list_failures(any_library, collection="holiday")
    assert (first.reason, len(second.reason)) == ("a�b�c", 1_000)
    assert following.show_run(any_library, number).error == "no�t"
