"""Backups: one consistent moment while others write, whole or not at all, and never a way to wrong answers."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from library_fixtures import CountingEncoder, draw, draw_many, groups, index, library_with
from sqlalchemy import text

from clipsearch.database import Database, backup
from clipsearch.database.backup import back_up, restore
from clipsearch.errors import AlreadyExists, InvalidInput, NotFound, StorageFull
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search


def first_hit(library: Library, uri: Path) -> str:
    """The name of the image that is nearest to this file's picture."""
    return Path(search(library, Query(terms=(Term(image=uri),))).hits[0].image.uri).name


def test_a_backup_is_a_library_of_its_own(
    library: Library, photos: Path, tmp_path: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 5)
    index(library, photos)
    (tmp_path / "other").mkdir()
    size = back_up(library.database, tmp_path / "other" / "clipsearch.db")
    assert size == (tmp_path / "other" / "clipsearch.db").stat().st_size
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["clipsearch.db"]
    with library_with(encoder, tmp_path / "other") as copy:
        assert first_hit(copy, photos / "0003.png") == "0003.png"
        assert groups(index(copy, photos)).keys() == {"unchanged"}


def test_a_backup_replaces_nothing_unless_asked(library: Library, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_text("precious")
    with pytest.raises(AlreadyExists, match="--replace"):
        back_up(library.database, target)
    assert target.read_text() == "precious"
    back_up(library.database, target, replace=True)
    assert target.read_bytes().startswith(b"SQLite format 3")


def test_a_backup_that_fails_leaves_the_former_one(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup.db"
    back_up(library.database, target)
    before = target.read_bytes()

    def no_space(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_sync", no_space)
    with pytest.raises(StorageFull, match="full"):
        back_up(library.database, target, replace=True)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.servers
def test_a_servers_database_is_left_to_the_servers_tools(tmp_path: Path, postgres_database: Database) -> None:
    with pytest.raises(InvalidInput, match="pg_dump"):
        back_up(postgres_database, tmp_path / "backup.db")


def test_backups_under_write_load_are_sound_and_equal_a_committed_moment(library: Library, tmp_path: Path) -> None:
    """Each transaction writes a pair of rows: a backup with half a pair, or out of order, was no moment."""
    database = library.database
    with database.write() as connection:
        connection.execute(text("CREATE TABLE pair (number INTEGER, half INTEGER, filling BLOB)"))
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            with database.write() as connection:
                for half in (0, 1):
                    connection.execute(text(f"INSERT INTO pair VALUES ({number}, {half}, zeroblob(20000))"))

    writer = threading.Thread(target=write)
    writer.start()
    highest = []
    try:
        for turn in range(12):
            target = tmp_path / f"{turn}.db"
            back_up(database, target)
            with closing(sqlite3.connect(target)) as copy:
                assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                rows = copy.execute("SELECT number, half FROM pair ORDER BY number, half").fetchall()
                assert rows == [(n, half) for n in range(1, len(rows) // 2 + 1) for half in (0, 1)]
                highest.append(len(rows))
    finally:
        done.set()
        writer.join()
    assert highest == sorted(highest)
    assert highest[-1] > highest[0]


def test_a_restored_library_answers_from_its_own_past_also_where_it_is_open(
    library: Library, photos: Path, tmp_path: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 4)
    index(library, photos)
    back_up(library.database, tmp_path / "backup.db")
    draw(photos / "0001.png", seed=77)
    draw(photos / "new.png", seed=78)
    index(library, photos)
    assert first_hit(library, photos / "new.png") == "new.png"
    restore(tmp_path / "backup.db", tmp_path / "data" / "clipsearch.db", replace=True)
    for opened in (library, library_with(encoder, tmp_path / "data")):
        view = opened.index(opened.collection())
        assert view is not None
        assert len(view.index) == 4
        assert view.revision == opened.collection().revision
    with library.database.write() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    assert sorted(groups(index(library, photos))) == ["added", "changed", "unchanged"]


def test_a_snapshot_of_another_history_is_not_believed_though_its_number_fits(
    library: Library, photos: Path, tmp_path: Path, encoder: CountingEncoder
) -> None:
    """After the restore the library goes another way to the same revision, at which the old snapshot stands."""
    draw_many(photos, 3)
    index(library, photos)
    back_up(library.database, tmp_path / "backup.db")
    draw(photos / "a.png", seed=50)
    index(library, photos)
    library.keep_snapshot(library.collection())
    revision = library.collection().revision
    snapshot = tmp_path / "snapshot"
    shutil.copytree(tmp_path / "data" / "indexes", snapshot)
    library.close()

    restore(tmp_path / "backup.db", tmp_path / "data" / "clipsearch.db", replace=True)
    (photos / "a.png").unlink()
    draw(photos / "b.png", seed=60)
    other = library_with(encoder, tmp_path / "data")
    index(other, photos)
    assert other.collection().revision == revision
    other.close()
    shutil.rmtree(tmp_path / "data" / "indexes", ignore_errors=True)
    shutil.copytree(snapshot, tmp_path / "data" / "indexes")

    with library_with(encoder, tmp_path / "data") as again:
        hits = search(again, Query(terms=(Term(image=photos / "b.png"),))).hits
        assert Path(hits[0].image.uri).name == "b.png"
        assert hits[0].score > 0.999
        assert {Path(hit.image.uri).name for hit in hits} == {"0000.png", "0001.png", "0002.png", "b.png"}


def test_only_a_sound_library_is_restored(library: Library, tmp_path: Path) -> None:
    place = tmp_path / "data" / "clipsearch.db"
    back_up(library.database, tmp_path / "good.db")
    (tmp_path / "words.db").write_text("no database at all " * 100)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as foreign:
        foreign.execute("CREATE TABLE recipe (name TEXT)")
    cut = (tmp_path / "good.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(NotFound):
        restore(tmp_path / "none.db", place, replace=True)
    for name in ("words.db", "foreign.db", "cut.db"):
        with pytest.raises(InvalidInput):
            restore(tmp_path / name, place, replace=True)
    with pytest.raises(AlreadyExists, match="--replace"):
        restore(tmp_path / "good.db", place)
    restore(tmp_path / "good.db", tmp_path / "fresh" / "clipsearch.db")
    assert (tmp_path / "fresh" / "clipsearch.db").is_file()


def test_a_backup_into_a_folder_that_is_not_there_makes_none(library: Library, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        back_up(library.database, tmp_path / "mistyped" / "backup.db")
    assert not (tmp_path / "mistyped").exists()
