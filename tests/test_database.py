"""The store: what a transaction promises, what each row keeps, and what the database itself refuses."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy.exc
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from library_fixtures import sqlite_url, unit_rows
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from worker_processes import Workers

from clipsearch.database import Database
from clipsearch.database import collections as collection_rows
from clipsearch.database import embeddings as embedding_rows
from clipsearch.database import failures as failure_rows
from clipsearch.database import images as image_rows
from clipsearch.database import label_embeddings as label_vectors
from clipsearch.database import label_sets as label_rows
from clipsearch.database import models as model_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.checking import check_file
from clipsearch.database.failures import NewFailure
from clipsearch.database.images import NewImage
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import label_embedding as label_table
from clipsearch.database.schema import prompt_embedding as prompt_table
from clipsearch.database.schema import revision as revision_table
from clipsearch.database.vectors import from_blobs, to_blobs
from clipsearch.errors import (
    AlreadyExists,
    Busy,
    CollectionNotFound,
    ConfigError,
    Conflict,
    ImageNotFound,
    InvalidInput,
    InvalidVector,
    LabelSetNotFound,
    ModelMismatch,
    RunNotFound,
    StorageFull,
)
from clipsearch.label_set import LabelSet
from clipsearch.model import Model

WRITES = 1_000 if os.environ.get("CLIPSEARCH_DEEP_TESTS") == "1" else 30  # of each of eight processes
DIMENSION = 16
MODEL = Model("tiny", DIMENSION, 100.0)


def new_images(count: int, seed: int = 0, start: int = 0) -> list[NewImage]:
    rows = unit_rows(count, DIMENSION, seed)
    return [
        NewImage(uri=f"/photos/{start + place:04}.jpg", vector=row, content_hash=f"{start + place:064x}",
                 size=place, mtime_ns=place, width=10, height=20, format="JPEG", pixel_hash=place - 2**62, norm=2.5,
                 dtype="float32")
        for place, row in enumerate(rows)
    ]  # fmt: skip


def add(connection: Connection, images: list[NewImage], name: str = "holiday") -> int:
    """Save images as an indexing run does; the revision it took."""
    collection = collection_rows.find_collection(connection, name) or collection_rows.create_collection(
        connection, name, MODEL.name
    )
    model = model_rows.keep_model(connection, MODEL)
    revision = collection_rows.advance(connection, collection.id)
    image_rows.save_images(connection, collection.id, revision, model.id, images)
    return revision


# Connections ----------------------------------------------------------------------------------------------


def test_a_sqlite_file_is_made_with_large_pages_and_a_log_that_survives_a_power_cut(migrated_file: Path) -> None:
    database = Database(f"sqlite:///{migrated_file}")
    with database.write() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("page_size", "journal_mode", "synchronous", "foreign_keys", "query_only")
        }
    database.close()
    assert found == {"page_size": 16384, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "query_only": 0}


def test_a_sqlite_reader_can_neither_write_nor_move_the_log(migrated_file: Path) -> None:
    database = Database(f"sqlite:///{migrated_file}")
    with database.read() as connection:
        assert connection.execute(text("PRAGMA query_only")).scalar_one() == 1
        assert connection.execute(text("PRAGMA wal_autocheckpoint")).scalar_one() == 0
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    with pytest.raises(ConfigError, match="cannot be written"), database.read() as connection:
        connection.execute(delete(image_table))
    database.close()


def test_a_reader_cannot_write_on_either_database(database: Database) -> None:
    with pytest.raises((ConfigError, DBAPIError)), database.read() as connection:
        connection.execute(insert(revision_table).values(collection_id=1, number=1, token="x"))


def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    def change_of_mind() -> None:
        with database.write() as connection:
            add(connection, new_images(3))
            raise LookupError

    with pytest.raises(LookupError):
        change_of_mind()
    with database.read() as connection:
        assert collection_rows.list_collections(connection) == []


def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(2))
    with database.read() as reading:
        before = collection_rows.get_collection(reading, "holiday")
        with database.write() as connection:
            add(connection, new_images(3, start=2))
        assert collection_rows.get_collection(reading, "holiday") == before
        assert collection_rows.count_images(reading, before.id) == 2
    with database.read() as reading:
        assert collection_rows.count_images(reading, before.id) == 5


def test_a_sqlite_writer_holds_the_lock_from_its_first_moment(migrated_file: Path) -> None:
    database = Database(f"sqlite:///{migrated_file}")
    with database.write():
        other = sqlite3.connect(migrated_file, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
    database.close()


def test_a_writer_that_waits_too_long_is_told_to_try_again(
    migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.database.engine.BUSY_SECONDS", 0.05)
    database = Database(f"sqlite:///{migrated_file}")
    other = sqlite3.connect(migrated_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="another writer") as caught, database.write():
        pass
    assert caught.value.retry_after > 0
    other.rollback()
    other.close()
    with database.write():
        pass
    database.close()


def test_a_full_disk_is_named_and_costs_only_the_batch(migrated_file: Path, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path, migrated_file))
    with database.write() as connection:
        add(connection, new_images(5))
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    with database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StorageFull, match="disk that holds the database is full"), database.write() as connection:
        add(connection, new_images(3_000, start=5))
    with database.read() as connection:
        row = collection_rows.get_collection(connection, "holiday")
        assert (row.revision, collection_rows.count_images(connection, row.id)) == (1, 5)
    database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://", "SQLite in memory"),
        ("sqlite:///:memory:", "SQLite in memory"),
        ("mysql://user:geheim@host/name", "cannot be used|not supported"),
        ("no url at all", "cannot be used"),
        ("oracle://x", "cannot be used|not supported"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_its_password(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Database(url)
    assert "geheim" not in str(caught.value)


def test_a_password_does_not_stand_in_the_url_for_people() -> None:
    database = Database("postgresql://user:geheim@127.0.0.1:1/name")
    assert "geheim" not in database.safe_url
    assert "user" in database.safe_url
    with pytest.raises(Busy, match="cannot be reached") as caught, database.read():
        pass
    assert "geheim" not in str(caught.value)
    database.close()


def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "clipsearch.db").write_bytes(b"this was never a database " * 1_000)
    database = Database(f"sqlite:///{tmp_path / 'clipsearch.db'}")
    with pytest.raises(ConfigError, match="damaged or is no SQLite database"), database.read() as connection:
        collection_rows.list_collections(connection)
    database.close()


@pytest.mark.parametrize("name", ["\ud83d", "x\udcff"])
def test_a_name_that_cannot_be_written_is_refused_in_words(database: Database, name: str) -> None:
    for find in (collection_rows.get_collection, label_rows.get_label_set):
        with pytest.raises(InvalidInput, match="surrogate"), database.read() as connection:
            find(connection, name)


def test_a_nul_in_a_name_is_no_fault_of_the_database(database: Database) -> None:
    with pytest.raises((InvalidInput, CollectionNotFound)), database.read() as connection:
        collection_rows.get_collection(connection, "a\x00b")


@pytest.mark.servers
def test_a_name_too_long_for_the_servers_index_is_refused_in_words(postgres_database: Database) -> None:
    long = "".join(f"{place:04x}" for place in np.random.default_rng(0).integers(0, 2**16, 5_000).tolist())
    image = NewImage(uri=f"/photos/{long}.jpg", vector=unit_rows(1, DIMENSION)[0])
    with pytest.raises(InvalidInput, match="too long for the database"), postgres_database.write() as connection:
        add(connection, [image])


@pytest.mark.parametrize(
    ("sqlstate", "kind", "wanted"),
    [
        (None, "OperationalError", Busy),
        ("08006", "OperationalError", Busy),
        ("57P01", "OperationalError", Busy),
        ("53300", "OperationalError", Busy),
        ("53200", "OperationalError", Busy),
        ("40P01", "OperationalError", Busy),
        ("55P03", "OperationalError", Busy),
        ("23505", "IntegrityError", Busy),
        ("53100", "OperationalError", StorageFull),
        ("54000", "OperationalError", InvalidInput),
        ("22001", "DataError", InvalidInput),
        (None, "DataError", InvalidInput),
        ("57014", "OperationalError", DBAPIError),
        ("58030", "OperationalError", DBAPIError),
        ("42703", "ProgrammingError", DBAPIError),
    ],
)
def test_only_what_may_pass_by_itself_is_called_busy(
    migrated_file: Path, sqlstate: str | None, kind: str, wanted: type[Exception]
) -> None:
    cause = type("ServerError", (Exception,), {"sqlstate": sqlstate})("value too long\nCONTEXT: SELECT secret")
    database = Database(f"sqlite:///{migrated_file}")

    def fail() -> None:
        with database.read():
            raise getattr(sqlalchemy.exc, kind)("SELECT secret", {}, cause)

    with pytest.raises(wanted) as caught:
        fail()
    assert isinstance(caught.value, DBAPIError) or "secret" not in str(caught.value)
    database.close()


def test_the_folder_of_a_database_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        Database(f"sqlite:///{tmp_path / 'taken' / 'clipsearch.db'}")


def write_a_hundred_times(url: str, number: int) -> None:
    """In a process of its own: adds, changes and removes."""
    database = Database(url)
    for turn in range(WRITES):
        with database.write() as connection:
            add(connection, new_images(2, seed=turn, start=10_000 * number + turn % 40))
            if turn % 5 == 4:
                row = collection_rows.get_collection(connection, "holiday")
                revision = collection_rows.advance(connection, row.id)
                uri = f"/photos/{10_000 * number + turn % 40:04}.jpg"
                gone = image_rows.get_image(connection, row.id, uri=uri)
                image_rows.mark_gone(connection, revision, [gone.id])
    database.close()


def test_eight_processes_write_at_once_and_none_is_turned_away(
    database: Database, database_url: str, workers: Workers, tmp_path: Path
) -> None:
    with database.write() as connection:
        collection_rows.create_collection(connection, "holiday", MODEL.name)
        model_rows.keep_model(connection, MODEL)
    started = [
        workers.run("test_database:write_a_hundred_times", tmp_path / f"{number}.txt", database_url, number)
        for number in range(8)
    ]
    workers.all_succeed(started)
    with database.read() as connection:
        row = collection_rows.get_collection(connection, "holiday")
        assert row.revision == 8 * WRITES * 6 // 5
        numbers = list(connection.execute(select(revision_table.c.number).order_by(revision_table.c.number)).scalars())
        assert numbers == list(range(8 * WRITES * 6 // 5 + 1))
        assert image_rows.present_ids(connection, row.id).size == collection_rows.count_images(connection, row.id)
    assert check_file(database) == []


def test_of_two_that_bring_the_same_thing_at_once_one_is_told_to_try_again_and_no_one_fails(
    database: Database,
) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def create() -> None:
        together.wait()
        try:
            with database.write() as connection:
                model_rows.keep_model(connection, MODEL)
                label_rows.save_label_set(connection, "pets", LabelSet.of([("cat", ["cat"]), ("dog", ["dog"])], ["{}"]))
            outcomes.append("made")
        except (AlreadyExists, Busy):
            outcomes.append("told")

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "told"]


# Collections and revisions ---------------------------------------------------------------------------------


def test_every_change_takes_the_next_number_and_a_token_of_its_own(database: Database) -> None:
    with database.write() as connection:
        first = add(connection, new_images(2))
        second = add(connection, new_images(2, start=2))
        row = collection_rows.get_collection(connection, "holiday")
    assert (first, second, row.revision) == (1, 2, 2)
    with database.read() as connection:
        tokens = [collection_rows.revision_token(connection, row.id, number) for number in range(4)]
    assert tokens[3] is None
    assert len(set(tokens)) == 4
    assert all(token and len(token) == 16 for token in tokens[:3])


def test_a_change_that_is_rolled_back_leaves_no_revision_behind(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(2))
    bad = [NewImage(uri="/bad.jpg", vector=np.full(DIMENSION, 0.1, dtype=np.float32))]
    with pytest.raises(InvalidVector), database.write() as connection:
        add(connection, bad)
    with database.read() as connection:
        row = collection_rows.get_collection(connection, "holiday")
        assert row.revision == 1
        assert collection_rows.revision_token(connection, row.id, 2) is None


def test_two_collections_count_on_their_own(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(1), "one")
        add(connection, new_images(1), "two")
        add(connection, new_images(1), "two")
        assert [row.revision for row in collection_rows.list_collections(connection)] == [1, 2]


def test_a_name_is_given_once(database: Database) -> None:
    with database.write() as connection:
        collection_rows.create_collection(connection, "holiday", MODEL.name)
        with pytest.raises(AlreadyExists, match="'holiday' exists already"):
            collection_rows.create_collection(connection, "holiday", MODEL.name)
        collection_rows.create_collection(connection, "Holiday", MODEL.name)
        with pytest.raises(AlreadyExists):
            collection_rows.rename_collection(connection, "Holiday", "holiday")
        assert collection_rows.rename_collection(connection, "Holiday", "trip").name == "trip"
    with database.read() as connection:
        assert [row.name for row in collection_rows.list_collections(connection)] == ["holiday", "trip"]


def test_a_missing_collection_is_named_with_what_comes_close(database: Database) -> None:
    with database.read() as connection, pytest.raises(CollectionNotFound, match="index a folder first"):
        collection_rows.get_collection(connection, "holiday")
    with database.write() as connection:
        collection_rows.create_collection(connection, "holiday", MODEL.name)
    with database.read() as connection:
        with pytest.raises(CollectionNotFound, match="did you mean 'holiday'"):
            collection_rows.get_collection(connection, "holidays")
        with pytest.raises(CollectionNotFound, match="there are: holiday"):
            collection_rows.get_collection(connection, "xyz")


def test_deleting_a_collection_takes_all_its_rows_and_never_gives_its_number_again(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(3))
        add(connection, new_images(3), "other")
        row = collection_rows.get_collection(connection, "holiday")
        run = run_rows.create_run(connection, row.id, "/photos")
        failure_rows.note_failures(connection, row.id, run, [NewFailure("/bad.jpg", "unreadable_image", "bad")])
        run_rows.note_source(connection, row.id, "/photos", 3)
    with database.write() as connection:
        collection_rows.delete_collection(connection, "holiday")
        assert collection_rows.create_collection(connection, "holiday", MODEL.name).id > row.id
        for table in ("run", "failure", "source"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM image")).scalar_one() == 3
        assert connection.execute(text("SELECT count(*) FROM embedding")).scalar_one() == 3


# Vectors ---------------------------------------------------------------------------------------------------


@given(arrays.arrays(np.float32, (5, 12), elements=st.floats(-1, 1, width=32)))
def test_unit_rows_come_back_from_rest_as_they_were_to_half_precision(rows: NDArray[np.float32]) -> None:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.where(norms > 1e-3, rows / np.maximum(norms, 1e-3), np.eye(5, 12, dtype=np.float32))
    blobs = to_blobs(rows)
    assert {len(blob) for blob in blobs} == {24}
    back = from_blobs(blobs, 12)
    assert np.abs(back - rows).max() < 2e-3
    assert np.allclose(np.linalg.norm(back, axis=1), 1.0, atol=1e-6)
    # Half precision is reached once: what was read back is written the same.
    assert np.abs(from_blobs(to_blobs(back), 12) - back).max() < 1e-3


def test_half_precision_is_little_endian_on_disk() -> None:
    row = np.zeros((1, 4), dtype=np.float32)
    row[0, 1] = -1.0
    assert to_blobs(row) == [bytes([0, 0, 0, 0xBC, 0, 0, 0, 0])]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 3.0])
def test_a_row_that_could_not_be_found_again_is_refused_by_its_position(value: float) -> None:
    rows = unit_rows(4, 8)
    rows[2] = value
    with pytest.raises(InvalidVector, match="the first is row 2") as caught:
        to_blobs(rows)
    assert caught.value.details["positions"] == [2]


@pytest.mark.parametrize("blob", [b"", b"\0" * 15, b"\0" * 16, b"\xff" * 16])
def test_damaged_bytes_are_never_taken_for_an_embedding(blob: bytes) -> None:
    good = to_blobs(unit_rows(1, 8))
    with pytest.raises(InvalidVector, match="clipsearch doctor"):
        from_blobs([*good, blob], 8)


# Images ----------------------------------------------------------------------------------------------------


def test_an_image_comes_back_as_it_was_saved(database: Database) -> None:
    taken = dt.datetime(2024, 5, 31, 12, 30, 15)  # noqa: DTZ001  a camera's clock
    image = NewImage(
        uri="/photos/schön 🌊.jpg", vector=unit_rows(1, DIMENSION)[0], content_hash="ab" * 32, size=2**40,
        mtime_ns=1_700_000_000_123_456_789, width=640, height=480, format="JPEG", taken_at=taken,
        pixel_hash=-(2**63), norm=9.75, dtype="bfloat16",
    )  # fmt: skip
    with database.write() as connection:
        add(connection, [image])
    with database.read() as connection:
        row = collection_rows.get_collection(connection, "holiday")
        found = image_rows.get_image(connection, row.id, uri=image.uri)
        assert found == image_rows.get_image(connection, row.id, number=found.id)
        vector = embedding_rows.vectors_of(connection, 1, DIMENSION, [found.id])[found.id]
    assert (found.size, found.mtime_ns, found.pixel_hash) == (2**40, 1_700_000_000_123_456_789, -(2**63))
    assert found.taken_at == taken.replace(tzinfo=dt.UTC)
    assert found.modified_at == dt.datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=dt.UTC)
    assert found.indexed_at.tzinfo is not None
    assert not found.gone
    assert np.abs(vector - image.vector).max() < 1e-3


@pytest.mark.parametrize("mtime_ns", [-1, -(2**62), 2**62])
def test_a_file_time_that_no_calendar_holds_is_kept_as_the_number_that_it_is(database: Database, mtime_ns: int) -> None:
    image = NewImage(uri="/x.jpg", vector=unit_rows(1, DIMENSION)[0], mtime_ns=mtime_ns)
    with database.write() as connection:
        add(connection, [image])
        row = collection_rows.get_collection(connection, "holiday")
        assert image_rows.get_image(connection, row.id, uri="/x.jpg").mtime_ns == mtime_ns


def test_saving_an_image_again_keeps_its_row_and_replaces_its_embedding(database: Database) -> None:
    old, new = new_images(1)[0], new_images(1, seed=7)[0]
    with database.write() as connection:
        add(connection, [old])
        collection = collection_rows.get_collection(connection, "holiday").id
        first = image_rows.get_image(connection, collection, uri=old.uri)
        add(connection, [new])
        second = image_rows.get_image(connection, collection, uri=old.uri)
        vector = embedding_rows.vectors_of(connection, 1, DIMENSION, [first.id])[first.id]
    assert second.id == first.id
    assert (first.revision, second.revision) == (1, 2)
    assert vector @ new.vector > 0.999


def test_an_image_that_is_gone_is_not_found_but_returns_under_its_number(database: Database) -> None:
    image = new_images(1)[0]
    with database.write() as connection:
        add(connection, [image])
        collection = collection_rows.get_collection(connection, "holiday").id
        number = image_rows.get_image(connection, collection, uri=image.uri).id
        image_rows.mark_gone(connection, collection_rows.advance(connection, collection), [number])
        with pytest.raises(ImageNotFound):
            image_rows.get_image(connection, collection, number=number)
        assert image_rows.image_rows(connection, [number]) == {}
        assert collection_rows.count_images(connection, collection) == 0
        add(connection, [image])
        assert image_rows.get_image(connection, collection, uri=image.uri).id == number


def test_the_images_of_another_collection_are_not_found(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(1), "one")
        add(connection, new_images(1, start=1), "two")
        one, two = collection_rows.list_collections(connection)
        number = image_rows.get_image(connection, one.id, uri="/photos/0000.jpg").id
        with pytest.raises(ImageNotFound):
            image_rows.get_image(connection, two.id, number=number)


def test_what_changed_after_a_revision_is_read_in_blocks_and_is_complete(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_rows, "READ_ROWS", 7)
    with database.write() as connection:
        add(connection, new_images(20))
        collection = collection_rows.get_collection(connection, "holiday").id
        middle = add(connection, new_images(20, start=20))
        ids = image_rows.present_ids(connection, collection)
        image_rows.mark_gone(connection, collection_rows.advance(connection, collection), ids[:3].tolist())
    with database.read() as connection:
        everything = list(embedding_rows.changes_after(connection, collection, 1, DIMENSION, -1))
        later = list(embedding_rows.changes_after(connection, collection, 1, DIMENSION, middle - 1))
        last = list(embedding_rows.changes_after(connection, collection, 1, DIMENSION, middle))
        nothing = list(embedding_rows.changes_after(connection, collection, 1, DIMENSION, middle + 1))
    assert sorted(np.concatenate([block.added for block in everything])) == ids[3:].tolist()
    assert sum(block.removed.size for block in everything) == 0
    assert sorted(np.concatenate([block.added for block in later])) == ids[20:].tolist()
    assert np.concatenate([block.removed for block in last]).tolist() == ids[:3].tolist()
    assert nothing == []
    assert all(len(block.added) == len(block.vectors) <= 7 for block in everything)


def test_paths_are_told_apart_by_every_letter_and_by_their_folders_only(database: Database) -> None:
    uris = ["/a/x.jpg", "/a/b/x.jpg", "/A/x.jpg", "/a_b/x.jpg", "/ab/x.jpg", "/a%/x.jpg", "/a"]
    images = [NewImage(uri=uri, vector=row) for uri, row in zip(uris, unit_rows(7, DIMENSION), strict=True)]
    with database.write() as connection:
        add(connection, images)
        collection = collection_rows.get_collection(connection, "holiday").id
        assert set(image_rows.known_files(connection, collection, 1, ["/a", "/a/"])) == {"/a", "/a/x.jpg", "/a/b/x.jpg"}
        assert set(image_rows.known_files(connection, collection, 1, ["/a_b/"])) == {"/a_b/x.jpg"}
        assert all(file.embedded for file in image_rows.known_files(connection, collection, 1, ["/"]).values())
        assert not any(file.embedded for file in image_rows.known_files(connection, collection, 99, ["/"]).values())
        assert not any(file.embedded for file in image_rows.known_files(connection, collection, None, ["/"]).values())


def test_an_embedding_is_found_by_content_in_any_collection(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(3), "one")
        assert embedding_rows.content_known(connection, 1, f"{2:064x}")
        assert not embedding_rows.content_known(connection, 1, f"{3:064x}")
        assert not embedding_rows.content_known(connection, 2, f"{2:064x}")
        found = embedding_rows.contents_by_hash(connection, 1, DIMENSION, [f"{n:064x}" for n in range(5)])
    assert sorted(found) == [f"{n:064x}" for n in range(3)]
    assert found[f"{1:064x}"].norm == 2.5
    assert found[f"{1:064x}"].pixel_hash == 1 - 2**62


def test_a_damaged_embedding_is_left_out_wherever_embeddings_are_read(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    images = new_images(6)
    with database.write() as connection:
        add(connection, images)
        collection = collection_rows.get_collection(connection, "holiday").id
        ids = image_rows.present_ids(connection, collection).tolist()
        for number, blob in ((ids[1], b""), (ids[2], b"\0" * 2 * DIMENSION), (ids[4], b"\xff" * 2 * DIMENSION)):
            connection.execute(update(embedding_table).where(embedding_table.c.image_id == number).values(vector=blob))
    with database.read() as connection:
        [block] = embedding_rows.changes_after(connection, collection, 1, DIMENSION, -1)
        vectors = embedding_rows.vectors_of(connection, 1, DIMENSION, ids)
        hashes = [f"{place:064x}" for place in range(6)]
        known = [digest for digest in hashes if embedding_rows.content_known(connection, 1, digest)]
        contents = embedding_rows.contents_by_hash(connection, 1, DIMENSION, hashes)
    sound = [ids[0], ids[3], ids[5]]
    assert (block.added.tolist(), sorted(block.removed.tolist())) == (sound, [ids[1], ids[2], ids[4]])
    assert sorted(vectors) == sound
    assert known == sorted(contents) == [hashes[0], hashes[3], hashes[5]]
    for row, number, image in zip(block.vectors, sound, [images[0], images[3], images[5]], strict=True):
        assert row @ image.vector > 0.999
        assert vectors[number] @ image.vector > 0.999
        assert contents[str(image.content_hash)].vector @ image.vector > 0.999
    assert len([one for one in caplog.records if "3 images are not found" in one.getMessage()]) == 1


def test_the_database_itself_refuses_rows_that_refer_to_nothing(database: Database) -> None:
    with pytest.raises((Busy, DBAPIError)), database.write() as connection:
        connection.execute(insert(revision_table).values(
            collection_id=77, number=1, token="x", committed_at=dt.datetime.now(dt.UTC)))  # fmt: skip


# Models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "met"),
    [
        (Model("m", 16, 100.0, fingerprint="a" * 64), Model("m", 16, 100.0, fingerprint="b" * 64)),
        (Model("m", 16, 100.0, fingerprint="a" * 64), Model("m", 8, 100.0, fingerprint="a" * 64)),
        (Model("m", 16, 100.0), Model("m", 8, 100.0)),
        (Model("m", 16, 100.0, fingerprint="a" * 64), Model("m", 8, 100.0)),
    ],
)
def test_a_name_never_stands_for_two_models(database: Database, kept: Model, met: Model) -> None:
    with database.write() as connection:
        model_rows.keep_model(connection, kept)
        with pytest.raises(ModelMismatch):
            model_rows.keep_model(connection, met)
        found = model_rows.find_model(connection, "m")
    assert found is not None
    assert found.model == kept


def test_imported_embeddings_take_on_the_first_weights_of_their_name_and_keep_their_scale(database: Database) -> None:
    weights = Model("m", 16, 99.5, fingerprint="a" * 64, context_length=77, image_size=224, preprocessing={"mean": [1]})
    with database.write() as connection:
        first = model_rows.keep_model(connection, Model("m", 16, 100.0, -3.0, "sigmoid"))
        second = model_rows.keep_model(connection, weights)
        third = model_rows.keep_model(connection, Model("m", 16, 100.0))
    assert first.id == second.id == third.id
    assert second.model.fingerprint == "a" * 64
    assert (second.model.logit_scale, second.model.logit_bias) == (100.0, -3.0)
    assert second.model.preprocessing == {"mean": [1]}
    assert third.model.fingerprint == "a" * 64


# Label sets ------------------------------------------------------------------------------------------------


def test_a_stored_set_can_be_stored_again_as_it_was_read(database: Database) -> None:
    with database.write() as connection:
        first = label_rows.save_label_set(connection, "pets", LabelSet.of([("dog", ["dog"]), ("cat", ["cat"])], ["{}"]))
        label_rows.save_label_set(connection, "copy", first)
        copy = label_rows.get_label_set(connection, "copy")
        versions = label_rows.label_set_versions(connection, copy)
    assert copy.digest == first.digest
    assert [one.definition.as_tree() for one in versions] == [first.as_tree()]


def test_a_label_set_counts_its_versions_and_keeps_its_order(database: Database) -> None:
    with database.write() as connection:
        first = label_rows.save_label_set(
            connection, "pets", LabelSet.of([("dog", ["dog"]), ("cat", ["cat", "kitten"])], ["{}"])
        )
        with pytest.raises(AlreadyExists):
            label_rows.save_label_set(connection, "pets", LabelSet.of([("cow", ["cow"])], ["{}"]))
        second = label_rows.save_label_set(
            connection, "pets", LabelSet.of([("cow", ["cow"]), ("dog", ["dog"])], ["a {}"]), replace=True
        )
    assert (first.version, second.version, first.id) == (1, 2, second.id)
    assert [label.name for label in first.labels] == ["dog", "cat"]
    assert first.labels[1].prompts == ("cat", "kitten")
    assert [label.name for label in second.labels] == ["cow", "dog"]
    assert second.templates == ("a {}",)
    with database.write() as connection:
        label_rows.delete_label_set(connection, "pets")
        with pytest.raises(LabelSetNotFound):
            label_rows.get_label_set(connection, "pets")
        assert connection.execute(text("SELECT count(*) FROM label")).scalar_one() == 0


def test_label_embeddings_that_came_with_a_set_leave_with_it(database: Database) -> None:
    vectors = unit_rows(2, DIMENSION)
    with database.write() as connection:
        model = model_rows.keep_model(connection, MODEL)
        saved = label_rows.save_label_set(connection, "pets", LabelSet.of([("dog", ["dog"]), ("cat", ["cat"])], ["{}"]))
        label_vectors.save_label_embeddings(connection, saved, model.id, vectors)
        found = label_vectors.label_embeddings(connection, saved, model.id, DIMENSION)
        assert np.abs(found[saved.labels[1].id] - vectors[1]).max() < 1e-3
        replaced = label_rows.save_label_set(
            connection, "pets", LabelSet.of([("a", ["a"]), ("b", ["b"])], ["{}"]), replace=True
        )
        assert label_vectors.label_embeddings(connection, replaced, model.id, DIMENSION) == {}


def test_prompt_embeddings_are_kept_once_by_model_template_and_text(database: Database) -> None:
    prompts = [("a {}", "cat"), ("{}", "a cat"), ("a {}", "dog")]
    vectors = unit_rows(3, DIMENSION)
    with database.write() as connection:
        model = model_rows.keep_model(connection, MODEL)
        other = model_rows.keep_model(connection, Model("other", DIMENSION, 1.0))
        label_vectors.save_prompt_embeddings(connection, model.id, prompts, vectors)
        label_vectors.save_prompt_embeddings(connection, model.id, prompts[:1], vectors[1:2])
        found = label_vectors.prompt_embeddings(connection, model.id, DIMENSION, [*prompts, ("{}", "cat")])
        assert label_vectors.prompt_embeddings(connection, other.id, DIMENSION, prompts) == {}
    assert set(found) == set(prompts)
    assert found[prompts[0]] @ vectors[0] > 0.999


# Runs and failures -----------------------------------------------------------------------------------------


def test_two_who_replace_a_label_set_at_once_each_make_a_version(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [("cat", ["cat"]), ("dog", ["dog"])]
    with database.write() as connection:
        early = label_rows.save_label_set(connection, "pets", LabelSet.of(labels, ["{}"]))
    with database.write() as connection:
        label_rows.save_label_set(connection, "pets", LabelSet.of(labels, ["{}"]), replace=True)
    found = label_rows.find_label_set
    answers = iter([early])  # what the other one read before the first one was done
    monkeypatch.setattr(label_rows, "find_label_set", lambda *asked: next(answers, None) or found(*asked))
    with database.write() as connection:
        assert label_rows.save_label_set(connection, "pets", LabelSet.of(labels, ["{}"]), replace=True).version == 3


def test_a_damaged_prompt_embedding_is_made_again_and_one_that_was_imported_is_said(database: Database) -> None:
    prompts = [("{}", "cat"), ("{}", "dog")]
    rows = unit_rows(2, DIMENSION)
    with database.write() as connection:
        model = model_rows.keep_model(connection, MODEL)
        label_vectors.save_prompt_embeddings(connection, model.id, prompts, rows)
        label_set = label_rows.save_label_set(
            connection, "pets", LabelSet.of([("cat", ["cat"]), ("dog", ["dog"])], ["{}"])
        )
        label_vectors.save_label_embeddings(connection, label_set, model.id, rows)
        broken = b"\0" * 2 * DIMENSION
        connection.execute(update(prompt_table).where(prompt_table.c.text == "dog").values(vector=broken))
        connection.execute(update(label_table).where(label_table.c.label_id == label_set.labels[1].id)
                           .values(vector=broken))  # fmt: skip
        assert list(label_vectors.prompt_embeddings(connection, model.id, DIMENSION, prompts)) == prompts[:1]
        label_vectors.save_prompt_embeddings(connection, model.id, prompts[1:], rows[1:])
        kept = label_vectors.prompt_embeddings(connection, model.id, DIMENSION, prompts)
        assert kept[prompts[1]] @ rows[1] > 0.999
        with pytest.raises(Conflict, match="1 embeddings of the label set 'pets' are damaged"):
            label_vectors.label_embeddings(connection, label_set, model.id, DIMENSION)


def test_a_run_that_starts_ends_those_that_were_left_running(database: Database) -> None:
    with database.write() as connection:
        collection = collection_rows.create_collection(connection, "holiday", MODEL.name)
        killed, later = (run_rows.create_run(connection, collection.id, "/photos") for _ in range(2))
        run_rows.start_run(connection, killed, "process 1")
        run_rows.start_run(connection, later, "process 2")
        assert run_rows.get_run(connection, killed).state == "interrupted"
        assert run_rows.note_progress(connection, later, 3, 10, {"added": 3}) is False
        assert run_rows.ask_to_cancel(connection, later).state == "running"
        assert run_rows.note_progress(connection, later, 4, 10, {"added": 4}) is True
        run_rows.finish_run(connection, later, "cancelled")
        row = run_rows.get_run(connection, later)
        assert (row.state, row.done, row.total, row.counts, row.cancel_wanted) == (
            "cancelled",
            4,
            10,
            {"added": 4},
            True,
        )
        waiting = run_rows.create_run(connection, collection.id, "/photos")
        assert run_rows.ask_to_cancel(connection, waiting).state == "cancelled"
        assert [one.id for one in run_rows.list_runs(connection, collection.id)] == [waiting, later, killed]
        with pytest.raises(RunNotFound):
            run_rows.get_run(connection, 999)


def test_a_failure_counts_its_attempts_and_is_forgotten_when_told(database: Database) -> None:
    with database.write() as connection:
        collection = collection_rows.create_collection(connection, "holiday", MODEL.name)
        first = NewFailure("/bad.jpg", "unreadable_image", "cut short", 10, 20)
        second = NewFailure("/bad.jpg", "too_many_pixels", "too large", 11, 21)
        failure_rows.note_failures(connection, collection.id, None, [first, NewFailure("/other.jpg", "x", "y")])
        failure_rows.note_failures(connection, collection.id, None, [second])
        bad, other = failure_rows.list_failures(connection, collection.id)
        assert (bad.attempts, bad.reason, bad.size, bad.mtime_ns) == (2, "too large", 11, 21)
        assert bad.last_failed_at >= bad.first_failed_at
        assert other.attempts == 1
        failure_rows.clear_failures(connection, collection.id, ["/bad.jpg", "/never.jpg"])
        assert failure_rows.count_failures(connection, collection.id) == 1


def test_the_check_of_a_sound_file_says_nothing(database: Database) -> None:
    with database.write() as connection:
        add(connection, new_images(50))
    assert check_file(database) == []
