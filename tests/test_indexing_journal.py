"""The journal names what was in the decoders' hands when a process died, and never more than that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from library_fixtures import draw_many

from clipsearch.images import FoundFile, find_images
from clipsearch.indexing.decoding import suspects_among
from clipsearch.indexing.journal import SLOT_BYTES, Journal, read_journal


@pytest.fixture
def files(photos: Path) -> list[FoundFile]:
    draw_many(photos, 4)
    return list(find_images(photos))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decoding" / "1.journal"


def entry(file: FoundFile) -> dict[str, tuple[int, int]]:
    return {file.uri: (file.size, file.mtime_ns)}


def test_a_file_stands_in_it_as_long_as_it_is_in_hand(files: list[FoundFile], path: Path) -> None:
    journal = Journal(path)
    assert not path.exists(), "a run that decodes nothing writes none"
    with journal.in_hand(files[0]):
        assert read_journal(path) == entry(files[0])
    with journal.in_hand(files[1]):
        assert read_journal(path) == entry(files[1])
    assert read_journal(path) == {}
    journal.close(remove=True)
    assert not path.exists()


def test_suspects_stand_in_it_until_all_are_dealt_with(files: list[FoundFile], path: Path) -> None:
    journal = Journal(path, files[:2])
    with journal.in_hand(files[2]):
        assert read_journal(path) == entry(files[0]) | entry(files[1]) | entry(files[2])
    journal.close(remove=False)
    assert read_journal(path) == entry(files[0]) | entry(files[1])


def test_a_new_journal_takes_the_place_of_the_old_one_only_when_it_is_whole(files: list[FoundFile], path: Path) -> None:
    journal = Journal(path)
    with journal.in_hand(files[0]):
        died = path.read_bytes()
    path.write_bytes(died)
    again = Journal(path, files[:1])
    assert read_journal(path) == entry(files[0])
    with again.in_hand(files[1]):
        assert read_journal(path) == entry(files[0]) | entry(files[1])
    for one in (journal, again):
        one.close(remove=False)


@pytest.mark.parametrize(
    "slot",
    [
        b"",
        b"\n",
        b"\0\0\0",
        b'["cut',
        b"[]\n",
        b"{}\n",
        b'["a", "b", "c"]\n',
        b"17\n",
        b"\xff\xfe\n",
        b"[1, null, 3]\n",
    ],
)
def test_what_a_kill_cut_short_is_passed_over(files: list[FoundFile], path: Path, slot: bytes) -> None:
    whole = json.dumps([files[0].uri, files[0].size, files[0].mtime_ns]).encode() + b"\n"
    path.parent.mkdir()
    path.write_bytes(slot.ljust(SLOT_BYTES, b"\0") + whole)
    assert read_journal(path) == entry(files[0])


def test_a_file_that_changed_since_is_no_suspect(files: list[FoundFile], path: Path) -> None:
    journal = Journal(path)
    with journal.in_hand(files[0]), journal.in_hand(files[1]):
        pass
    changed = files[2]._replace(mtime_ns=1)
    with journal.in_hand(files[2]):
        assert suspects_among(files, path, ()) == {files[2].uri: files[2]}
        assert suspects_among([*files[:2], changed], path, ()) == {}
    journal.close(remove=True)


def test_what_crashed_before_is_suspect_whatever_it_holds_now(files: list[FoundFile], path: Path) -> None:
    assert suspects_among(files, path, [files[3].uri, "/gone.png"]) == {files[3].uri: files[3]}


def test_a_journal_that_cannot_be_written_costs_no_file(files: list[FoundFile], tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("no folder")
    journal = Journal(tmp_path / "in the way" / "1.journal")
    with journal.in_hand(files[0]):
        pass
    journal.close(remove=True)
    assert read_journal(tmp_path / "in the way" / "1.journal") == {}
