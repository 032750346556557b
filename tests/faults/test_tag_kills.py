"""SIGKILL while a collection is tagged: what was said to be tagged is, whole, and the next run does the rest."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import tag_workers
from library_fixtures import sqlite_url
from store_workers import open_library
from worker_processes import Workers

from clipsearch.database.checking import check_file
from clipsearch.library import Library
from clipsearch.tagging import list_taggings, tag_collection, untag

pytestmark = pytest.mark.faults

CYCLES = int(os.environ.get("CLIPSEARCH_KILL_CYCLES", "20"))
SEED = int(os.environ.get("CLIPSEARCH_KILL_SEED", "1"))


def rows_of(library: Library) -> list[tuple[Any, ...]]:
    query = "SELECT image_id, rank, position, score, probability, margin FROM tag ORDER BY image_id, rank"
    with library.database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_no_kill_loses_or_halves_the_tags_of_an_image(tmp_path: Path, migrated_file: Path, workers: Workers) -> None:
    data, chance = tmp_path / "data", random.Random(SEED)
    sqlite_url(data, migrated_file)
    tag_workers.fill(str(data))
    with open_library(data) as library:
        tag_collection(library, "things")
        whole = rows_of(library)
        untag(library, "things")
    assert len(whole) == 3 * tag_workers.IMAGES
    killed, longest = 0, 1.0
    for cycle in range(max(5, CYCLES // 2)):
        started = time.monotonic()
        worker = workers.run("tag_workers:tag", tmp_path / f"{cycle}.txt", str(data))
        limit = chance.uniform(0, longest)
        while time.monotonic() - started < limit and '"finished"' not in worker.printed():
            time.sleep(0.001)
        worker.kill()
        said = [json.loads(line) for line in worker.printed().splitlines(keepends=True) if line.endswith("\n")]
        finished = any("finished" in one for one in said)
        killed += 0 if finished else 1
        longest = 0.5 * longest + 0.5 * (time.monotonic() - started) if finished else longest
        with open_library(data) as library:
            assert check_file(library.database) == []
            kept = rows_of(library)
            images = {row[0] for row in kept}
            assert len(kept) == 3 * len(images), "the tags of an image are there in part"
            assert kept == [row for row in whole if row[0] in images], "a tag was invented"
            assert len(images) >= max((one.get("done", 0) for one in said), default=0), "a tag was lost"
            if finished or chance.random() < 0.2:
                if list_taggings(library):
                    untag(library, "things")
                assert rows_of(library) == []
    assert killed >= 2, "the kills came too late to mean anything"
    with open_library(data) as library:
        report = tag_collection(library, "things")
        assert report.tagged + report.unchanged == tag_workers.IMAGES
        assert rows_of(library) == whole
