from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, Shelf, indexed_shelf
from encoder_fixtures import pictures

from clipsearch.answers import FailureInfo, IndexingReport
from clipsearch.cli.progress import Pace, progress_shown
from clipsearch.indexing import Progress

GROUPS = ("added", "changed", "moved", "unchanged", "removed", "failed")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def shelf(base: Path, tmp_path: Path) -> Shelf:
    """A shelf of this test's own, a copy of the shared one."""
    shared = indexed_shelf(base)
    shutil.copytree(shared.folder, tmp_path / "shelf")
    own = Shelf(tmp_path / "shelf")
    # The copied pictures lie elsewhere: what was indexed under the old names leaves.
    shutil.rmtree(own.data)
    assert own.call("index", own.pictures).code == 0
    return own


def test_the_report_is_one_object_on_one_line(shelf: Shelf) -> None:
    done = shelf.call("index", shelf.pictures, "--json")
    assert done.code == 0
    report = IndexingReport.model_validate(done.answer)
    assert {name: len(getattr(report, name)) for name in GROUPS} == {
        "added": 0, "changed": 0, "moved": 0, "unchanged": PICTURES + 1, "removed": 0, "failed": 1
    }  # fmt: skip
    assert report.failed[0].uri == str(shelf.pictures / "damaged.jpg")
    assert report.failed[0].reason
    assert report.seconds > 0


def test_files_that_failed_do_not_fail_the_run_but_are_named(shelf: Shelf) -> None:
    done = shelf.call("index", shelf.pictures)
    assert done.code == 0
    assert f"0 added, 0 changed, 0 moved, {PICTURES + 1} unchanged, 0 removed, 1 failed" in done.text
    assert "damaged.jpg: " in done.err
    assert "1 file could not be indexed. To see them: clipsearch failures;" in done.err


def test_failures_are_listed_with_reasons(shelf: Shelf) -> None:
    done = shelf.call("failures", "--json")
    assert done.code == 0
    (failure,) = (FailureInfo.model_validate(one) for one in done.answer["failures"])
    assert failure.uri == str(shelf.pictures / "damaged.jpg")
    told = shelf.call("failures")
    assert failure.reason in told.text
    assert "index --retry-failed" in told.err


def test_retry_failed_without_a_path_tries_wherever_it_failed(shelf: Shelf) -> None:
    damaged = shelf.pictures / "damaged.jpg"
    before = damaged.stat()
    good = (shelf.pictures / "picture-1.png").read_bytes()
    assert shelf.call("index", shelf.pictures, "--retry-failed", "--json").answer["failed"]
    damaged.write_bytes(good)
    os.utime(damaged, ns=(before.st_mtime_ns, before.st_mtime_ns))
    report = shelf.call("index", "--retry-failed", "--json").answer
    assert report["added"] == [str(damaged)]
    assert report["failed"] == []
    assert shelf.call("failures", "--json").answer == {"failures": [], "total": 0}


def test_retry_failed_where_nothing_was_indexed_says_so(base: Path, tmp_path: Path) -> None:
    shelf = indexed_shelf(base)
    assert shelf.call("collections", "create", "empty", "--data-dir", tmp_path).code == 0
    done = shelf.call("index", "--retry-failed", "-c", "empty", "--data-dir", tmp_path)
    assert done.code == 0
    assert "nothing was ever indexed" in done.err


def test_retry_failed_goes_on_where_a_source_is_gone_and_tries_each_file_once(shelf: Shelf, tmp_path: Path) -> None:
    gone, inner = tmp_path / "gone", shelf.pictures / "inner"
    for number, folder in enumerate((gone, inner)):
        folder.mkdir()
        pictures(PICTURES + 2 + number)[-1].save(folder / "x.png")
        assert shelf.call("index", folder).code == 0
    shutil.rmtree(gone)
    done = shelf.call("index", "--retry-failed", "--json")
    assert done.code == 0
    assert f"passed over, as it is not there: {gone}\n" in done.err
    assert done.answer["source"] == str(shelf.pictures)
    assert len(done.answer["failed"]) == 1
    shutil.rmtree(shelf.pictures)
    done = shelf.call("index", "--retry-failed")
    assert done.code == 1
    assert "error: nothing that was indexed into this collection is there any more" in done.err


def test_two_dots_behind_a_link_mean_what_the_system_means(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "far" / "photos").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "photos")
    pictures(PICTURES + 2)[-1].save(tmp_path / "far" / "x.png")
    report = shelf.call("index", f"{tmp_path}/link/../x.png", "--json").answer
    assert report["added"] == [str(tmp_path / "far" / "x.png")]


def test_several_paths_make_one_report_in_which_every_file_stands_once(shelf: Shelf, tmp_path: Path) -> None:
    more = tmp_path / "more" / "deep"
    more.mkdir(parents=True)
    for number, picture in enumerate(pictures(PICTURES + 3)[-2:]):
        picture.save(more / f"{number}.png")
    paths = (shelf.pictures, more.parent, more, shelf.pictures / "picture-0.png", shelf.pictures)
    done = shelf.call("index", *paths, "--json")
    report = IndexingReport.model_validate(done.answer)
    assert report.added == [str(more / "0.png"), str(more / "1.png")]
    assert len(report.unchanged) == PICTURES + 1
    assert len(report.failed) == 1
    assert report.source == f"{shelf.pictures}, {more.parent}"
    assert report.encoded == 2
    assert "pictures: looking for images\nmore: looking for images\n" in done.err


def test_a_path_that_is_not_there_stops_before_anything_is_begun(base: Path, tmp_path: Path) -> None:
    shelf = indexed_shelf(base)
    done = shelf.call("index", shelf.pictures, tmp_path / "nowhere", "--data-dir", tmp_path / "library")
    assert done.code == 1
    assert done.err == f"error: there is no folder or file {tmp_path / 'nowhere'}\n"
    assert shelf.call("collections", "list", "--json", "--data-dir", tmp_path / "library").answer == {"collections": []}


def test_a_dry_run_says_what_would_be_done_and_does_nothing(shelf: Shelf) -> None:
    (shelf.pictures / "picture-0.png").unlink()
    (shelf.pictures / "picture-1.png").rename(shelf.pictures / "renamed.png")
    done = shelf.call("index", shelf.pictures, "--dry-run")
    assert done.code == 0
    assert f"> {shelf.pictures}/renamed.png\n" in done.text
    assert f"- {shelf.pictures}/picture-0.png\n" in done.text
    assert "would be: 0 added, 0 changed, 1 moved" in done.text
    report = IndexingReport.model_validate(shelf.call("index", shelf.pictures, "--dry-run", "--json").answer)
    assert report.dry_run
    assert report.removed == [str(shelf.pictures / "picture-0.png")]
    assert shelf.call("status", "--json").answer["collections"][0]["images"] == PICTURES + 1


def test_an_empty_folder_is_believed_only_when_told_so(shelf: Shelf) -> None:
    for file in shelf.pictures.iterdir():
        file.unlink()
    done = shelf.call("index", shelf.pictures)
    assert done.code == 1
    assert "--allow-empty" in done.err
    report = shelf.call("index", shelf.pictures, "--allow-empty", "--json").answer
    assert len(report["removed"]) == PICTURES + 1
    assert shelf.call("search", "boat", "--json").code == 3


def test_a_model_that_is_not_the_collections_is_refused(base: Path) -> None:
    shelf = indexed_shelf(base)
    done = shelf.call("index", shelf.pictures, "--model", "ViT-B-32/openai")
    assert done.code == 1
    assert f"'default' is of the model {shelf.folder / 'model'}" in done.err
    assert shelf.call("index", shelf.pictures, "--model", shelf.folder / "model").code == 0


def test_lines_on_stderr_tell_how_far_it_is(base: Path, tmp_path: Path) -> None:
    shelf = indexed_shelf(base)
    done = shelf.call("index", shelf.pictures, "--data-dir", tmp_path / "library", "--batch-size", "2")
    assert done.code == 0
    lines = done.err.splitlines()
    assert lines[:2] == ["looking for images", "loading the model"]
    assert lines[2].startswith("indexing: ")
    assert "of 8" in lines[2]


def test_the_pace_is_that_of_the_last_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 20.0, 40.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    pace = Pace()
    assert pace.words(Progress("loading the model", 0, 10_000)) == ""
    assert pace.words(Progress("indexing", 5_000, 10_000)) == ""
    assert pace.words(Progress("indexing", 5_500, 10_000)) == "50 images/s, 1:30 left"
    assert pace.words(Progress("indexing", 5_600, 10_000)) == "30 images/s, 2:27 left"
    assert pace.words(Progress("indexing", 5_630, 10_000)) == "4.3 images/s, 16:48 left"


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    clock = iter([10.0, 20.0])
    monkeypatch.setattr(Pace, "words", lambda _self, progress: f"{next(clock):.0f} images/s, 0:05 left")
    with progress_shown("holiday") as tell:
        tell(Progress("indexing", 32, 64))
        tell(Progress("indexing", 64, 64, failed=2))
    written = terminal.getvalue()
    assert "holiday: indexing" in written
    assert "64/64" in written
    assert "20 images/s, 0:05 left, 2 failed" in written


def test_an_empty_path_is_no_wish_for_the_working_folder(shelf: Shelf) -> None:
    done = shelf.call("index", "")
    assert done.code == 2
    assert "empty" in done.err
