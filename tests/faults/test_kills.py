"""SIGKILL at random moments: what was acknowledged is there, nothing else is, and every image is found.

``CLIPSEARCH_KILL_CYCLES`` sets how often: 20 in ``make test``, 200 in ``make test-faults``, 2,000 before a release.
A kill leaves the page cache in place: power cuts are another test.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from library_fixtures import picture, sqlite_url
from store_workers import open_library
from worker_processes import Workers

from clipsearch.database.checking import check_file
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.images import ImageRow, image_rows, present_ids
from clipsearch.errors import CollectionNotFound
from clipsearch.images import content_hash, open_picture
from clipsearch.indexing import index_source
from clipsearch.library import Library

pytestmark = pytest.mark.faults

CYCLES = int(os.environ.get("CLIPSEARCH_KILL_CYCLES", "20"))
SEED = int(os.environ.get("CLIPSEARCH_KILL_SEED", "1"))
FILES = 48
SAMPLE = 12


@dataclass
class Scene:
    """A folder that changes, the library that follows it, and what is known of both."""

    base: Path
    chance: random.Random
    stored: dict[str, str] = field(default_factory=dict)  # uri: content hash, as the library had it last
    next_seed: int = 0

    @property
    def photos(self) -> Path:
        return self.base / "photos"

    def draw(self, name: str) -> None:
        self.next_seed += 1
        picture(self.next_seed, (8, 8)).save(self.photos / name)
        # Times that differ for certain: the clock of a file system is coarse.
        os.utime(self.photos / name, ns=(self.next_seed, self.next_seed))

    def mutate(self) -> None:
        """Change, remove and rename some files, then draw new ones until there are enough."""
        names = sorted(path.name for path in self.photos.iterdir())
        self.chance.shuffle(names)
        for name in names[:10]:
            self.draw(name)
        for name in names[10:16]:
            (self.photos / name).unlink()
        for name in names[16:22]:
            (self.photos / name).rename(self.photos / f"moved-{self.next_seed}-{name[-8:]}")
        while len(list(self.photos.iterdir())) < FILES:
            self.draw(f"{self.next_seed:06}.bmp")

    def folder(self) -> dict[str, str]:
        return {str(path): content_hash(path.read_bytes()) for path in self.photos.iterdir()}


@dataclass
class Acknowledged:
    """What a killed process had said before it died."""

    stored: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    done: bool = False


@pytest.fixture
def scene(tmp_path: Path, migrated_file: Path) -> Scene:
    (tmp_path / "photos").mkdir()
    sqlite_url(tmp_path / "data", migrated_file)
    return Scene(tmp_path, random.Random(SEED))


def heard(output: str) -> Acknowledged:
    found = Acknowledged()
    assert "Traceback" not in output, output
    for line in output.splitlines(keepends=True):
        if line.startswith("the last run ended"):  # what a run says of the files in hand when the last one was killed
            continue
        if line.endswith("\n"):  # the last one may have been cut
            words = json.loads(line)
            found.stored |= set(words.get("stored", ()))
            found.removed |= set(words.get("removed", ()))
            found.done |= words.get("done", False)
    return found


def rows_of(library: Library) -> dict[str, ImageRow]:
    try:
        number = library.collection().id
    except CollectionNotFound:
        return {}
    with library.database.read() as connection:
        return {row.uri: row for row in image_rows(connection, present_ids(connection, number).tolist()).values()}


def check_rows(scene: Scene, rows: dict[str, ImageRow], said: Acknowledged, action: str) -> None:
    """Each image stands as before or as the folder is now; what was acknowledged stands as the folder is now."""
    before, folder = scene.stored, scene.folder()
    now = {uri: row.content_hash for uri, row in rows.items()}
    for uri in said.stored:
        assert now.get(uri) == folder[uri], f"{uri} was acknowledged and is lost"
    for uri in said.removed:
        assert uri not in now, f"{uri} was removed and is back"
    for uri, digest in now.items():
        possible = {before.get(uri), folder.get(uri) if action == "index" else None}
        assert digest in possible, f"{uri} was invented"
    for uri in before.keys() - now.keys():
        moved = action == "index" and uri not in folder
        assert moved or action == "remove", f"{uri} was lost"


def check_index(library: Library, rows: dict[str, ImageRow], scene: Scene) -> None:
    """The index, taken from its snapshot where there is one, is what the rows say, vector for vector."""
    if not rows:
        return
    view = library.index(library.collection())
    assert view is not None
    ids = np.array(sorted(row.id for row in rows.values()), dtype=np.int64)
    assert view.index.ids().tolist() == ids.tolist()
    with library.database.read() as connection:
        kept = vectors_of(connection, view.model.id, 32, ids.tolist())
    assert len(kept) == len(ids), "an image without its embedding"
    assert np.abs(view.index.vectors(ids) - np.stack([kept[number] for number in ids.tolist()])).max() < 2e-3
    encoder, folder = library.encoder_for(library.collection())[0], scene.folder()
    there = [row for row in rows.values() if folder.get(row.uri) == row.content_hash]
    for row in scene.chance.sample(there, min(SAMPLE, len(there))):
        vector = encoder.encode_images([open_picture(Path(row.uri)).picture]).vectors[0]
        best = view.index.search(vector, 1)[0]
        assert best.ids.tolist() == [row.id], f"{row.uri} is not found by its own picture"
        assert best.scores[0] > 0.999


def actions(chance: random.Random) -> Iterator[str]:
    yield "index"
    while True:
        yield chance.choice(["index", "index", "index", "remove", "snapshot"])


def test_no_kill_loses_invents_or_hides_an_image(scene: Scene, workers: Workers) -> None:
    longest = {"index": 1.0, "remove": 0.5, "snapshot": 0.3}
    killed = dict.fromkeys(longest, 0)
    for cycle, action in zip(range(CYCLES), actions(scene.chance), strict=False):
        if action == "index":
            scene.mutate()
        if action != "index" and not scene.stored:
            continue
        wanted = scene.chance.sample(sorted(scene.stored), min(6, len(scene.stored)))
        output = scene.base / f"{cycle}.txt"
        started = time.monotonic()
        worker = workers.run("store_workers:work", output, str(scene.base / "data"), str(scene.photos),
                             action, wanted)  # fmt: skip
        limit = scene.chance.uniform(0, longest[action])
        while time.monotonic() - started < limit and '"done"' not in worker.printed():
            time.sleep(0.001)
        worker.kill()
        said = heard(worker.printed())
        if said.done:
            # Kills are to fall into the work, not behind it.
            longest[action] = 0.5 * longest[action] + 0.5 * (time.monotonic() - started)
        else:
            killed[action] += 1
        with open_library(scene.base / "data") as library:
            assert check_file(library.database) == []
            rows = rows_of(library)
            check_rows(scene, rows, said, action)
            check_index(library, rows, scene)
            scene.stored = {uri: row.content_hash or "" for uri, row in rows.items()}
        output.unlink(missing_ok=True)
    assert killed["index"] >= CYCLES // 10, "the kills came too late to mean anything"

    # Whatever happened, one run brings all in step again.
    with open_library(scene.base / "data") as library:
        index_source(library, scene.photos)
        rows = rows_of(library)
        assert {uri: row.content_hash for uri, row in rows.items()} == scene.folder()
        check_index(library, rows, scene)
    with open_library(scene.base / "data") as library:
        check_index(library, rows_of(library), scene)


def test_a_kill_while_the_library_is_made_leaves_one_that_can_be_made(tmp_path: Path, workers: Workers) -> None:
    """The first schema is whole or not there: 0 unusable databases."""
    photos = tmp_path / "photos"
    photos.mkdir()
    picture(1, (8, 8)).save(photos / "one.bmp")
    chance = random.Random(SEED)
    for cycle in range(max(4, CYCLES // 5)):
        data = tmp_path / f"data{cycle}"
        worker = workers.run("store_workers:work", tmp_path / f"{cycle}.txt", str(data), str(photos),
                             "index", [])  # fmt: skip
        time.sleep(chance.uniform(0, 0.4))
        worker.kill()
        with open_library(data) as library:
            index_source(library, photos)
            assert len(rows_of(library)) == 1
            assert check_file(library.database) == []
        shutil.rmtree(data)
