"""Indexing: every file in exactly one group, nothing encoded twice, nothing lost that was only out of sight."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from image_fixtures import reference_folder
from library_fixtures import CountingEncoder, draw, draw_many, groups, index, library_with
from store_workers import NAME, open_library
from worker_processes import Workers

from clipsearch import browsing, following
from clipsearch.errors import EmptySource, InvalidVector, ModelNotFound, SourceNotFound
from clipsearch.images import find_images
from clipsearch.indexing import Progress, index_source, planning, queue_run
from clipsearch.inspecting import list_collections, show_collection
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search


def searched(library: Library) -> set[str]:
    """The names of all images that a search can give."""
    query = Query(terms=(Term(vector=(1.0,) * 24),), k=1_000)
    return {os.path.basename(hit.image.uri) for hit in search(library, query).hits}


def nearest(library: Library, path: Path) -> str:
    return os.path.basename(search(library, Query(terms=(Term(image=path),), k=1)).hits[0].image.uri)


# The groups ------------------------------------------------------------------------------------------------


def test_new_images_are_added_and_found_by_their_own_picture(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 20)
    report = index(any_library, photos)
    assert groups(report) == {"added": [path.name for path in paths]}
    assert (report.encoded, report.dry_run, report.source) == (20, False, str(photos))
    assert all(nearest(any_library, path) == path.name for path in paths[::4])


def test_an_unchanged_folder_is_neither_decoded_nor_hashed_nor_a_change(
    any_library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 20)
    before = index(any_library, photos)
    prepared = encoder.prepared

    def never(*_arguments: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("clipsearch.indexing.reading.read_and_hash", never)
    monkeypatch.setattr("clipsearch.images.open_picture", never)
    report = index(any_library, photos)
    assert groups(report).keys() == {"unchanged"}
    assert len(report.unchanged) == 20
    assert (report.encoded, encoder.prepared, report.revision) == (0, prepared, before.revision)


def test_changed_content_is_encoded_again_under_the_same_number(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    number = browsing.show_image(any_library, str(paths[1])).id
    draw(paths[1], seed=99)
    report = index(any_library, photos)
    assert groups(report) == {"changed": ["0001.png"], "unchanged": ["0000.png", "0002.png"]}
    assert browsing.show_image(any_library, str(paths[1])).id == number
    assert nearest(any_library, paths[1]) == "0001.png"


def test_a_touched_file_is_hashed_and_stands(any_library: Library, photos: Path, encoder: CountingEncoder) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    os.utime(paths[0], ns=(1, 1))
    encoded = encoder.images
    assert groups(index(any_library, photos)).keys() == {"unchanged"}
    assert encoder.images == encoded
    row = browsing.show_image(any_library, str(paths[0]))
    assert row.modified_at is not None
    assert row.modified_at.year == 1970


def test_a_change_that_keeps_the_size_is_seen_by_its_time(any_library: Library, photos: Path) -> None:
    path = draw(photos / "a.bmp", seed=1)
    draw(photos / "b.bmp", seed=2)
    index(any_library, photos)
    size = path.stat().st_size
    draw(path, seed=3)
    assert path.stat().st_size == size
    assert groups(index(any_library, photos)) == {"changed": ["a.bmp"], "unchanged": ["b.bmp"]}


def test_a_removed_file_leaves_in_the_same_run(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 4)
    index(any_library, photos)
    paths[2].unlink()
    assert groups(index(any_library, photos))["removed"] == ["0002.png"]
    assert searched(any_library) == {"0000.png", "0001.png", "0003.png"}
    assert "removed" not in groups(index(any_library, photos))


def test_a_thousand_renamed_files_are_moved_and_none_is_encoded(
    library: Library, tmp_path: Path, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos / "old", 1_000, form="{:04}.bmp")
    index(library, photos)
    encoded, prepared = encoder.images, encoder.prepared
    numbers = {one.uri[-8:]: one.id for one in browsing.list_images(library, limit=2_000)}
    (photos / "old").rename(photos / "new")
    report = index(library, photos)
    assert groups(report).keys() == {"moved"}
    assert len(report.moved) == 1_000
    assert all(uri.startswith(str(photos / "new")) for uri in report.moved)
    assert (encoder.images, encoder.prepared, report.encoded) == (encoded, prepared, 0)
    # A moved image is the same image.
    assert {one.uri[-8:]: one.id for one in browsing.list_images(library, limit=2_000)} == numbers
    assert nearest(library, photos / "new" / "0500.bmp") == "0500.bmp"


def test_a_copy_is_added_without_being_encoded(any_library: Library, photos: Path, encoder: CountingEncoder) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    encoded = encoder.images
    shutil.copyfile(paths[0], photos / "copy.png")
    assert groups(index(any_library, photos))["added"] == ["copy.png"]
    assert encoder.images == encoded
    assert {hit.image.uri for hit in search(any_library, Query(terms=(Term(image=paths[0]),), k=2)).hits} == {
        str(paths[0]),
        str(photos / "copy.png"),
    }


def test_equal_files_of_one_run_are_encoded_once(any_library: Library, photos: Path, encoder: CountingEncoder) -> None:
    for number in range(30):
        draw(photos / f"{number}.png", seed=number % 3)
    report = index(any_library, photos)
    assert len(report.added) == 30
    assert (report.encoded, encoder.images) == (3, 3)
    assert len(searched(any_library)) == 30


def test_names_that_are_exchanged_are_two_changes_and_no_work(
    any_library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    one, two = draw_many(photos, 2)
    index(any_library, photos)
    encoded = encoder.images
    one.rename(photos / "aside")
    two.rename(one)
    (photos / "aside").rename(two)
    for number, path in enumerate((one, two)):
        os.utime(path, ns=(number + 1, number + 1))
    assert groups(index(any_library, photos)) == {"changed": ["0000.png", "0001.png"]}
    assert encoder.images == encoded
    assert nearest(any_library, one) == "0000.png"


def test_a_file_that_returns_is_recognised(any_library: Library, photos: Path, encoder: CountingEncoder) -> None:
    _, two = draw_many(photos, 2)
    index(any_library, photos)
    content = two.read_bytes()
    two.unlink()
    index(any_library, photos)
    two.write_bytes(content)
    encoded = encoder.images
    assert groups(index(any_library, photos)) == {"added": ["0001.png"], "unchanged": ["0000.png"]}
    assert encoder.images == encoded


def test_a_second_collection_takes_the_embeddings_of_the_first(
    any_library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 5)
    index(any_library, photos)
    encoded = encoder.images
    report = index_source(any_library, photos, collection="second")
    assert (len(report.added), report.encoded, encoder.images) == (5, 0, encoded)


def test_one_file_can_be_indexed_alone_and_leaves_its_folder_be(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    paths[0].unlink()
    draw(paths[1], seed=50)
    assert groups(index(any_library, paths[1])) == {"changed": ["0001.png"]}
    assert len(searched(any_library)) == 3


def test_only_what_lay_under_the_scanned_root_is_removed(any_library: Library, photos: Path) -> None:
    for folder in ("a", "ab", "a/b"):
        draw(photos / folder / f"{folder.replace('/', '')}.png", seed=len(folder) * 7)
    index(any_library, photos)
    (photos / "ab" / "ab.png").unlink()
    (photos / "a" / "b" / "ab.png").unlink()
    assert groups(index(any_library, photos / "a")) == {"removed": ["ab.png"], "unchanged": ["a.png"]}
    assert searched(any_library) == {"a.png", "ab.png"}


# What is out of sight is not gone --------------------------------------------------------------------------


def test_a_root_that_vanished_removes_nothing_unless_asked(any_library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    index(any_library, photos)
    photos.rename(photos.with_name("elsewhere"))
    for options in ({}, {"dry_run": True}):
        with pytest.raises(SourceNotFound):
            index(any_library, photos, **options)
    assert len(searched(any_library)) == 3
    assert groups(index(any_library, photos, dry_run=True, allow_empty=True)).keys() == {"removed"}
    assert groups(index(any_library, photos, allow_empty=True)) == {"removed": ["0000.png", "0001.png", "0002.png"]}
    assert searched(any_library) == set()


def test_an_emptied_root_removes_nothing_unless_asked(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    for path in paths:
        path.unlink()
    (photos / "notes.txt").write_text("not an image")
    for options in ({}, {"dry_run": True}):
        with pytest.raises(EmptySource, match=r"held 3 images and holds none now.*--allow-empty"):
            index(any_library, photos, **options)
    assert len(searched(any_library)) == 3
    assert groups(index(any_library, photos, allow_empty=True)).keys() == {"removed"}


def test_a_folder_that_never_held_images_may_be_empty(library: Library, photos: Path) -> None:
    assert groups(index(library, photos)) == {}


def test_a_folder_that_is_not_there_leaves_no_collection_behind(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        index(library, tmp_path / "nowhere")
    assert list_collections(library) == []


def test_a_folder_that_cannot_be_looked_into_keeps_its_images_and_is_reported(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(photos / "open" / "a.png", seed=1)
    draw(photos / "closed" / "b.png", seed=2)
    draw(photos / "closed" / "deep" / "c.png", seed=3)
    index(any_library, photos)
    scandir = os.scandir

    def closed(path: Any) -> Any:
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        report = index(any_library, photos)
    assert groups(report) == {"failed": ["closed"], "unchanged": ["a.png"]}
    assert (report.failed[0].code, report.failed[0].reason) == ("unreadable_folder", "Permission denied")
    assert searched(any_library) == {"a.png", "b.png", "c.png"}
    # Once it can be read again, the failure is forgotten.
    assert groups(index(any_library, photos)) == {"unchanged": ["a.png", "b.png", "c.png"]}
    assert following.list_failures(any_library) == []


# Failures --------------------------------------------------------------------------------------------------


def test_a_damaged_file_fails_by_name_and_is_not_tried_again_until_it_changes_or_is_asked_for(
    any_library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    paths = draw_many(photos, 3)
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    (photos / "words.jpg").write_text("hello")
    (photos / "nothing.png").touch()
    report = index(any_library, photos)
    assert groups(report) == {"added": ["0000.png", "0002.png"], "failed": ["0001.png", "nothing.png", "words.jpg"]}
    assert all(one.reason for one in report.failed)
    kept = {os.path.basename(one.uri): one for one in following.list_failures(any_library)}
    assert {name: one.attempts for name, one in kept.items()} == dict.fromkeys(kept, 1)

    again = index(any_library, photos)
    assert groups(again) == {"failed": sorted(kept), "unchanged": ["0000.png", "0002.png"]}
    assert {one.attempts for one in following.list_failures(any_library)} == {1}

    assert len(index(any_library, photos, retry_failed=True).failed) == 3
    assert {one.attempts for one in following.list_failures(any_library)} == {2}

    draw(paths[1], seed=40)
    assert groups(index(any_library, photos))["added"] == ["0001.png"]
    (photos / "nothing.png").unlink()
    index(any_library, photos)
    assert [os.path.basename(one.uri) for one in following.list_failures(any_library)] == ["words.jpg"]


def test_content_that_became_damaged_leaves_the_search(any_library: Library, photos: Path) -> None:
    paths = draw_many(photos, 3)
    index(any_library, photos)
    good = paths[0].read_bytes()
    paths[0].write_bytes(good[:50])
    assert groups(index(any_library, photos)) == {"failed": ["0000.png"], "unchanged": ["0001.png", "0002.png"]}
    assert searched(any_library) == {"0001.png", "0002.png"}
    paths[0].write_bytes(good)
    assert groups(index(any_library, photos))["added"] == ["0000.png"]
    assert len(searched(any_library)) == 3


def test_a_file_that_cannot_be_read_stays_in_the_search(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw_many(photos, 2)
    index(any_library, photos)
    os.utime(paths[0], ns=(1, 1))
    opened = Path.open

    def refused(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "0000.png":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        planned = index(any_library, photos, dry_run=True)
        report = index(any_library, photos)
    assert groups(report) == groups(planned) == {"failed": ["0000.png"], "unchanged": ["0001.png"]}
    assert (report.failed[0].code, "Permission denied" in report.failed[0].reason) == ("unreadable_file", True)
    assert len(searched(any_library)) == 2
    assert groups(index(any_library, photos)).keys() == {"unchanged"}, "what was not the file's fault is tried again"


def test_a_picture_without_a_usable_embedding_fails_alone(
    any_library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 6)
    tried: list[int] = []

    def refuse_two(count: int) -> None:
        tried.append(count)
        if len(tried) == 1:
            raise InvalidVector("not finite", positions=[1, 4])

    encoder.before_encoding = refuse_two
    report = index(any_library, photos)
    assert groups(report) == {
        "added": ["0000.png", "0002.png", "0003.png", "0005.png"],
        "failed": ["0001.png", "0004.png"],
    }
    assert {one.code for one in report.failed} == {"no_embedding"}
    assert nearest(any_library, photos / "0003.png") == "0003.png"


def test_equal_damaged_files_all_fail(any_library: Library, photos: Path) -> None:
    for number in range(5):
        (photos / f"{number}.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert groups(index(any_library, photos)) == {"failed": [f"{number}.jpg" for number in range(5)]}


# Dry runs --------------------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_foretells_the_run(
    any_library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    paths = draw_many(photos, 12)
    planned = index(any_library, photos, dry_run=True)
    assert list_collections(any_library) == []
    assert groups(planned) == groups(index(any_library, photos)) == {"added": [path.name for path in paths]}
    draw(paths[0], seed=70)
    os.utime(paths[1], ns=(5, 5))
    paths[2].unlink()
    paths[3].rename(photos / "moved.png")
    shutil.copyfile(paths[4], photos / "copy.png")
    shutil.copyfile(paths[5], photos / "twin.png")
    paths[5].unlink()
    draw(photos / "new.png", seed=71)
    before, encoded = show_collection(any_library), encoder.images
    planned = index(any_library, photos, dry_run=True)
    assert show_collection(any_library) == before
    assert encoder.images == encoded
    assert (planned.run_id, planned.dry_run, planned.encoded) == (None, True, 0)
    report = index(any_library, photos)
    assert groups(planned) == groups(report)
    assert groups(report) == {
        "added": ["copy.png", "new.png"],
        "changed": ["0000.png"],
        "moved": ["moved.png", "twin.png"],
        "removed": ["0002.png"],
        "unchanged": ["0001.png", "0004.png", *(path.name for path in paths[6:])],
    }


# Batches, progress, ends -----------------------------------------------------------------------------------


def test_progress_tells_what_is_committed(any_library: Library, photos: Path) -> None:
    draw_many(photos, 20)
    seen: list[tuple[Progress, int]] = []

    def look(progress: Progress) -> None:
        shown = list_collections(any_library)
        seen.append((progress, shown[0].images if shown else 0))

    index_source(any_library, photos, on_progress=look)
    assert [progress.step for progress, _ in seen[:2]] == ["looking for images", "loading the model"]
    counted = [(progress.done, committed) for progress, committed in seen if progress.step == "indexing"]
    assert counted[-1] == (20, 20)
    assert len(counted) >= 3
    assert all(done == committed for done, committed in counted)


def test_a_run_that_fails_keeps_its_batches_and_the_next_goes_on_from_there(
    any_library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 24)

    def break_down(_count: int) -> None:
        if encoder.images >= 16:
            raise RuntimeError("the model broke")

    encoder.before_encoding = break_down
    with pytest.raises(RuntimeError, match="the model broke"):
        index(any_library, photos)
    assert following.list_runs(any_library)[0].state == "failed"
    assert following.list_runs(any_library)[0].error == "RuntimeError: the model broke"
    assert len(searched(any_library)) == encoder.images == 16
    encoder.before_encoding = lambda _count: None
    report = index(any_library, photos)
    assert groups(report).keys() == {"added", "unchanged"}
    assert (report.encoded, encoder.images) == (8, 24)
    assert show_collection(any_library).lease is None


def test_a_run_can_be_cancelled_between_batches(any_library: Library, photos: Path, encoder: CountingEncoder) -> None:
    draw_many(photos, 40)
    row, _ = any_library.ensure_collection()
    number = queue_run(any_library, row, photos)
    assert following.show_run(any_library, number).state == "queued"

    def think_better_of_it(_count: int) -> None:
        following.cancel_run(any_library, number)

    encoder.before_encoding = think_better_of_it
    report = index_source(any_library, photos, run_id=number)
    assert following.show_run(any_library, number).state == "cancelled"
    assert 0 < len(report.added) < 40
    assert report.cancelled
    assert len(searched(any_library)) == len(report.added)


def test_a_run_that_was_cancelled_before_it_began_does_nothing(any_library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    row, _ = any_library.ensure_collection()
    number = queue_run(any_library, row, photos)
    following.cancel_run(any_library, number)
    assert groups(index_source(any_library, photos, run_id=number)) == {}
    assert following.show_run(any_library, number).state == "cancelled"


def test_a_run_keeps_its_counts(any_library: Library, photos: Path) -> None:
    draw_many(photos, 5)
    (photos / "bad.png").write_bytes(b"no")
    report = index(any_library, photos)
    run = following.show_run(any_library, report.run_id or 0)
    assert (run.state, run.done, run.total) == ("done", 6, 6)
    assert (run.counts["added"], run.counts["failed"], run.counts["encoded"]) == (5, 1, 5)
    assert run.started_at is not None
    assert run.finished_at is not None


def test_a_model_that_is_not_there_leaves_no_collection_that_insists_on_it(
    tmp_path: Path, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 2)
    with library_with(encoder, tmp_path / "data", model="/no/such/model") as library:
        with pytest.raises(ModelNotFound):
            index(library, photos)
        assert list_collections(library) == []
        assert len(index(library, photos, model=encoder.model.name).added) == 2


def test_a_killed_run_resumes_without_encoding_again_what_was_acknowledged(
    photos: Path, workers: Workers, tmp_path: Path
) -> None:
    draw_many(photos, 48)
    killed = workers.run("store_workers:index_slowly", tmp_path / "out.txt", str(tmp_path / "data"), str(photos))
    killed.wait_until_printed("indexing 16")
    killed.kill()
    acknowledged = int(killed.printed().split()[-1])
    with open_library(tmp_path / "data") as library:
        counting = CountingEncoder(library.encoder(NAME))
        library._encoders[NAME] = counting
        kept = show_collection(library).images
        assert 16 <= acknowledged <= kept < 48
        report = index(library, photos)
        assert (len(report.unchanged), report.encoded, counting.images) == (kept, 48 - kept, 48 - kept)
        assert [run.state for run in following.list_runs(library)] == ["done", "interrupted"]
        assert nearest(library, photos / "0007.png") == "0007.png"


# Files as they come ----------------------------------------------------------------------------------------


def test_names_of_every_kind_are_indexed_and_found_again(any_library: Library, photos: Path) -> None:
    names = ["schön.png", "a b%20c.png", "'; DROP TABLE image; --.png", "_%.png", "日本語 🌊.png", "x" * 200 + ".png"]
    for seed, name in enumerate(names):
        draw(photos / name, seed=seed)
    raw = os.fsencode(photos) + b"/\xff\xfe.png"
    shutil.copyfile(photos / names[0], raw)
    draw(Path(os.fsdecode(raw)), seed=50)
    assert len(index(any_library, photos).added) == 7
    assert len(index(any_library, photos).unchanged) == 7
    assert all(nearest(any_library, photos / name) == name for name in names)


def test_uris_stand_as_they_were_given_and_links_are_not_resolved(any_library: Library, photos: Path) -> None:
    draw(photos / "real" / "a.png", seed=1)
    (photos / "link").symlink_to(photos / "real", target_is_directory=True)
    report = index(any_library, photos / "link")
    assert report.added == [str(photos / "link" / "a.png")]


@pytest.mark.slow
def test_real_photographs_and_every_exif_orientation_are_indexed_without_a_failure(library: Library) -> None:
    for name in ("photos", "exif_orientation"):
        folder = reference_folder(name)
        report = index(library, folder)
        assert report.failed == []
        expected = sum(1 for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        assert len(report.added) == expected > 0


def test_odd_files_give_embeddings_or_named_failures(library: Library) -> None:
    folder = reference_folder("odd")
    report = index(library, folder)
    assert {path.name for path in folder.iterdir()} == {name for names in groups(report).values() for name in names}
    failed = {os.path.basename(one.uri): one.reason for one in report.failed}
    assert "cut short" in failed.pop("truncated.jpg")
    # Pillow reads no TIFF whose colours lie in planes of their own with pages of other kinds behind them.
    assert set(failed) <= {"multipage_rgb.tif"}
    assert len(report.added) >= 7


# What a walk does not see ----------------------------------------------------------------------------------


def test_what_was_indexed_under_its_own_name_is_not_removed_by_a_walk_that_passes_it_by(
    any_library: Library, photos: Path
) -> None:
    draw_many(photos, 2)
    hidden, odd = photos / ".private", photos / "picture.xyz"
    draw_many(hidden, 1)
    odd.write_bytes((photos / "0001.png").read_bytes())
    index(any_library, hidden)
    index(any_library, odd)
    assert index(any_library, photos).removed == []
    assert len(searched(any_library)) == 3
    shutil.rmtree(hidden)
    odd.unlink()
    assert len(index(any_library, photos).removed) == 2


def test_what_another_run_brought_a_moment_ago_is_not_removed(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw_many(photos, 2)
    late = photos / "late.png"
    real = find_images
    calls = []

    def slow(source: Path, **options: Any) -> Any:
        calls.append(source)
        found = list(real(source, **options))
        if len(calls) == 2:  # the walk itself, after the look whether the source is there
            shutil.copy(paths[0], late)
        return iter(found)

    index(any_library, photos)
    monkeypatch.setattr(planning, "find_images", slow)
    assert index(any_library, photos).removed == []
    monkeypatch.undo()
    assert groups(index(any_library, photos))["added"] == ["late.png"]


def test_a_folder_beyond_a_link_and_back_is_the_one_that_the_system_means(any_library: Library, tmp_path: Path) -> None:
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "near").mkdir()
    draw(tmp_path / "far" / "right.png", 1)
    draw(tmp_path / "near" / "wrong.png", 2)
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far" / "deep")
    report = index(any_library, tmp_path / "near" / "link" / "..")
    assert groups(report) == {"added": ["right.png"]}


def test_a_folder_whose_name_is_not_unicode_is_indexed(any_library: Library, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    draw_many(folder, 2)
    assert len(index(any_library, folder).added) == 2
    assert len(index(any_library, folder).unchanged) == 2


def test_a_failure_of_a_content_that_is_not_there_any_more_is_forgotten(any_library: Library, photos: Path) -> None:
    [path] = draw_many(photos, 1)
    index(any_library, photos)
    good, stamp = path.read_bytes(), path.stat().st_mtime_ns
    path.write_bytes(b"no picture")
    os.utime(path, ns=(1, 1))
    index(any_library, photos)
    assert len(following.list_failures(any_library)) == 1
    path.write_bytes(good)
    os.utime(path, ns=(stamp, stamp))
    index(any_library, photos)
    index(any_library, photos)
    assert following.list_failures(any_library) == []


def test_a_dry_run_names_the_folders_that_cannot_be_looked_into(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 1)
    real = find_images

    def blind(source: Path, on_error: Any = None, **options: Any) -> Any:
        if on_error is not None:
            on_error(str(photos / "closed"), "Permission denied")
        return real(source, on_error=on_error, **options)

    monkeypatch.setattr(planning, "find_images", blind)
    assert groups(index(any_library, photos, dry_run=True)) == groups(index(any_library, photos))


def test_content_that_is_forgotten_in_the_middle_of_a_run_is_decoded_after_all(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 3)
    monkeypatch.setattr("clipsearch.indexing.run.content_known", lambda *_: True)
    report = index(any_library, photos)
    assert groups(report) == {"added": ["0000.png", "0001.png", "0002.png"]}


@pytest.mark.parametrize("error", [InvalidVector("an embedding is damaged"), MemoryError("no room to train")])
def test_a_snapshot_that_cannot_be_made_costs_a_finished_run_nothing(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    draw_many(photos, 2)

    def broken(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(any_library, "keep_snapshot", broken)
    report = index(any_library, photos)
    assert len(report.added) == 2
    assert following.show_run(any_library, report.run_id or 0).state == "done"


def test_a_run_that_is_interrupted_while_its_index_is_trained_is_done(
    any_library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 2)

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(any_library, "keep_snapshot", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index(any_library, photos)
    (run,) = following.list_runs(any_library)
    assert (run.state, run.error) == ("done", None)
    assert show_collection(any_library).lease is None
