"""The indexing lease: one writer a collection, named to those who are refused, and no one waits for the dead."""

from __future__ import annotations

import datetime as dt
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from library_fixtures import CountingEncoder, draw_many, index, unit_rows
from sqlalchemy import select, update
from worker_processes import Workers

from clipsearch.browsing import remove_images
from clipsearch.database import Database
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import models as model_rows
from clipsearch.database.heartbeat import held_lease
from clipsearch.database.images import NewImage
from clipsearch.database.leases import acquire_lease, find_lease, release_lease, renew_lease
from clipsearch.database.schema import lease as lease_table
from clipsearch.errors import AlreadyRunning, LeaseLost
from clipsearch.inspecting import show_collection
from clipsearch.library import Library
from clipsearch.model import Model


@pytest.fixture
def collection(database: Database) -> int:
    with database.write() as connection:
        return collection_rows.create_collection(connection, "holiday", "tiny").id


def expire(database: Database, collection: int) -> None:
    """Let the lease's time be over, as if its holder on another host had fallen silent."""
    with database.write() as connection:
        connection.execute(
            update(lease_table)
            .where(lease_table.c.collection_id == collection)
            .values(expires_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5), host="another host")
        )


def take_and_sleep(url: str, collection: int, seconds: float) -> None:
    """In a process of its own: holds the lease until it is killed."""
    with Database(url).write() as connection:
        acquire_lease(connection, collection, "indexing /photos", seconds)
    sys.stdout.write("taken\n")
    sys.stdout.flush()
    time.sleep(600)


def test_a_second_holder_is_refused_and_told_who_holds_it_and_why(database: Database, collection: int) -> None:
    with database.write() as connection:
        lease = acquire_lease(connection, collection, "indexing /photos", 30)
    with database.write() as connection, pytest.raises(AlreadyRunning) as caught:
        acquire_lease(connection, collection, "indexing /other", 30)
    assert f"process {os.getpid()}" in caught.value.message
    assert "indexing /photos" in caught.value.message
    assert caught.value.details["holder"] == lease.holder
    with database.read() as connection:
        assert find_lease(connection, collection) == lease


def test_a_lease_that_was_given_back_can_be_taken_at_once(database: Database, collection: int) -> None:
    with database.write() as connection:
        first = acquire_lease(connection, collection, "indexing", 30)
        release_lease(connection, first)
        assert find_lease(connection, collection) is None
        second = acquire_lease(connection, collection, "indexing", 30)
        release_lease(connection, first)
        assert find_lease(connection, collection) == second


def test_a_lease_that_was_not_renewed_is_taken_over_and_its_holder_learns_of_it(
    database: Database, collection: int
) -> None:
    with database.write() as connection:
        old = acquire_lease(connection, collection, "indexing", 30)
    expire(database, collection)
    with database.read() as connection:
        assert find_lease(connection, collection) is None
    with database.write() as connection:
        new = acquire_lease(connection, collection, "indexing", 30)
    assert new.token != old.token
    with pytest.raises(LeaseLost, match="lost to another process"), database.write() as connection:
        renew_lease(connection, old, 30)
    with database.write() as connection:
        renew_lease(connection, new, 60)
        release_lease(connection, old)
        renewed = find_lease(connection, collection)
    assert renewed is not None
    assert renewed.expires_at > new.expires_at


def test_a_killed_holder_of_this_host_is_taken_over_at_once(
    database: Database, database_url: str, collection: int, workers: Workers, tmp_path: Path
) -> None:
    holder = workers.run("test_leases:take_and_sleep", tmp_path / "out.txt", database_url, collection, 3_000)
    holder.wait_until_printed("taken")
    with database.write() as connection, pytest.raises(AlreadyRunning, match=f"process {holder.pid}"):
        acquire_lease(connection, collection, "indexing", 30)
    holder.kill()
    with database.write() as connection:
        assert acquire_lease(connection, collection, "indexing", 30).holder.startswith(f"process {os.getpid()}")


def test_a_process_that_was_given_a_dead_holders_number_is_not_taken_for_it(
    database: Database, collection: int
) -> None:
    with database.write() as connection:
        acquire_lease(connection, collection, "indexing", 30)
        connection.execute(update(lease_table).values(process_started=lease_table.c.process_started - 3600))
        assert find_lease(connection, collection) is None
        acquire_lease(connection, collection, "indexing", 30)


def test_of_many_who_ask_at_once_exactly_one_gets_it(database: Database, collection: int) -> None:
    together = threading.Barrier(6)
    outcomes: list[str] = []

    def ask() -> None:
        together.wait()
        try:
            with database.write() as connection:
                acquire_lease(connection, collection, "indexing", 30)
            outcomes.append("taken")
        except AlreadyRunning:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 5 + ["taken"]


def test_a_held_lease_is_renewed_while_the_block_runs_and_given_back_after_it(
    database: Database, collection: int
) -> None:
    with held_lease(database, collection, "indexing", 0.3) as lease:
        time.sleep(1.0)
        with database.read() as connection:
            renewed = find_lease(connection, collection)
        assert renewed is not None
        assert renewed.token == lease.token
        assert renewed.expires_at > lease.expires_at
    with database.read() as connection:
        assert find_lease(connection, collection) is None
        assert connection.execute(select(lease_table)).first() is None


def test_a_block_that_raises_gives_its_lease_back(database: Database, collection: int) -> None:
    with pytest.raises(LookupError), held_lease(database, collection, "indexing", 30):
        raise LookupError
    with held_lease(database, collection, "indexing", 30):
        pass


def test_what_a_transaction_did_is_not_committed_when_its_lease_was_lost(database: Database, collection: int) -> None:
    with database.write() as connection:
        model = model_rows.keep_model(connection, Model("tiny", 16, 1.0))
        lease = acquire_lease(connection, collection, "indexing", 30)
    expire(database, collection)
    with database.write() as connection:
        acquire_lease(connection, collection, "indexing", 30)

    def save_too_late() -> None:
        with database.write() as connection:
            revision = collection_rows.advance(connection, collection)
            image = NewImage(uri="/late.jpg", vector=unit_rows(1)[0].astype(np.float32))
            image_rows.save_images(connection, collection, revision, model.id, [image])
            renew_lease(connection, lease, 30)

    with pytest.raises(LeaseLost):
        save_too_late()
    with database.read() as connection:
        assert collection_rows.get_collection(connection, "holiday").revision == 0
        assert collection_rows.count_images(connection, collection) == 0


def test_an_indexer_that_lost_its_lease_commits_no_further_batch(
    library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 24)
    batches: list[int] = []

    def lose_it(count: int) -> None:
        batches.append(count)
        if len(batches) == 2:
            # The first batch is committed beside this one's encoding.
            for _ in range(500):
                if show_collection(library).images == batches[0]:
                    break
                time.sleep(0.01)
            expire(library.database, library.collection().id)
            with library.database.write() as connection:
                acquire_lease(connection, library.collection().id, "indexing elsewhere", 30)

    encoder.before_encoding = lose_it
    with pytest.raises(LeaseLost):
        index(library, photos)
    shown = show_collection(library)
    assert shown.images == batches[0]
    assert shown.lease is not None
    assert shown.lease.purpose == "indexing elsewhere"


def test_short_changes_wait_for_each_other(library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    index(library, photos)
    row = library.collection()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with library.lease(row, "adding images"):
            held.set()
            time.sleep(0.4)
            done.set()

    for change in (lambda: remove_images(library, [1]), lambda: library.delete_collection(row.name)):
        held.clear()
        done.clear()
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(5)
        change()
        assert done.is_set()
        holder.join()


def test_who_holds_a_collection_for_longer_is_named(library: Library) -> None:
    row, _ = library.ensure_collection()
    started = time.monotonic()
    with (
        library.lease(row, "indexing /first"),
        pytest.raises(AlreadyRunning, match="indexing /first"),
        library.lease(row, "removing", wait_seconds=0.3),
    ):
        pass
    assert 0.3 <= time.monotonic() - started < 3


def test_a_second_indexer_is_refused_and_leaves_the_first_alone(library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    index(library, photos)
    draw_many(photos, 3, start=3)
    with library.lease(library.collection(), "indexing /first"), pytest.raises(AlreadyRunning, match="indexing /first"):
        index(library, photos)
    assert show_collection(library).images == 3
    assert len(index(library, photos).added) == 3
