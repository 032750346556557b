"""SIGKILL while pictures are added: what was said to be added is, with its file; nothing is there in part."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import add_workers
import pytest
from library_fixtures import sqlite_url
from store_workers import open_library
from worker_processes import Workers

from clipsearch.browsing import list_images
from clipsearch.database.checking import check_file
from clipsearch.errors import CollectionNotFound
from clipsearch.examining import examine
from clipsearch.images import content_hash, kept_uploads, path_of

pytestmark = pytest.mark.faults

CYCLES = int(os.environ.get("CLIPSEARCH_KILL_CYCLES", "20"))
SEED = int(os.environ.get("CLIPSEARCH_KILL_SEED", "1"))


def test_no_kill_leaves_an_upload_half_there(tmp_path: Path, migrated_file: Path, workers: Workers) -> None:
    data, chance = tmp_path / "data", random.Random(SEED)
    sqlite_url(data, migrated_file)
    there: set[str] = set()
    killed_at_work = 0
    for cycle in range(max(6, CYCLES // 2)):
        worker = workers.run("add_workers:add_and_remove", tmp_path / f"{cycle}.txt", str(data), cycle)
        if chance.random() < 0.7:  # however slow the machine is, most are killed at work
            worker.wait_until_printed("added")
        time.sleep(chance.uniform(0.02, 0.3))
        worker.kill()
        said = [json.loads(line) for line in worker.printed().splitlines(keepends=True) if line.endswith("\n")]
        added = {uri for words in said for uri in words.get("added", ())}
        removed = {uri for words in said for uri in words.get("removed", ())}
        removing = {uri for words in said for uri in words.get("removing", ())} - removed
        killed_at_work += bool(said)
        with open_library(data) as library:
            assert check_file(library.database) == []
            try:
                rows = {one.uri: one for one in list_images(library, limit=100_000)}
            except CollectionNotFound:
                continue
            files = {str(path): path for path in kept_uploads(data)}
            assert rows.keys() >= (there | added) - removed - removing, "an image was lost"
            assert not rows.keys() & removed, "an image came back"
            assert len(rows.keys() - there - added) in (0, add_workers.PICTURES), "a request was met in part"
            for uri, one in rows.items():
                assert uri in files, "an image lost its file"
                assert content_hash(Path(path_of(uri))) == one.content_hash
                assert one.attributes == {"seed": int(Path(uri).stem)}
            there = set(rows)
            view = library.index(library.collection())
            found = [] if view is None else sorted(view.index.ids().tolist())
            assert found == sorted(one.id for one in rows.values())
    assert killed_at_work >= 2, "the kills came too early to mean anything"
    for path in kept_uploads(data):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with open_library(data) as library:
        left = {str(path) for path in kept_uploads(data)} - there
        findings = [one for one in examine(library).findings if one.code != "sqlite_version"]
        assert [one.code for one in findings] == ["orphaned_uploads"] * bool(left)
        assert {name for one in findings for name in one.subjects} <= left
