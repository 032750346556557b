"""A disk that fills up: what was acknowledged is stored, search goes on, and with room again the work goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import store_workers
from library_fixtures import picture
from store_workers import open_library

from clipsearch.database.checking import check_file
from clipsearch.errors import StorageFull
from clipsearch.indexing import Progress, index_source
from clipsearch.inspecting import show_collection
from clipsearch.queries import Query, Term
from clipsearch.searching import search

pytestmark = pytest.mark.faults

DIMENSION = 4_096  # 8 kB an image


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk; a full database is tested by its page limit")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here; a full database is tested by its page limit")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_costs_only_the_batch_that_met_it(small_disk: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    count = 700
    for seed in range(count):
        picture(seed, (8, 8)).save(photos / f"{seed:04}.bmp")
    acknowledged = 0

    def listen(progress: Progress) -> None:
        nonlocal acknowledged
        if progress.step == "indexing":
            acknowledged = progress.done

    with open_library(small_disk, DIMENSION) as library:
        with pytest.raises(StorageFull, match="disk"):
            index_source(library, photos, on_progress=listen)
        assert 0 < acknowledged < count
        assert show_collection(library).images == acknowledged
    with open_library(small_disk, DIMENSION) as library:
        assert check_file(library.database) == []
        shown = show_collection(library)
        assert shown.images == acknowledged
        assert shown.index is not None
        assert shown.index.images == acknowledged
        for seed in (0, acknowledged // 2):
            path = photos / f"{seed:04}.bmp"
            assert search(library, Query(terms=(Term(image=path),), k=1)).hits[0].image.uri == str(path)
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        report = index_source(library, photos)
        assert (len(report.unchanged), report.encoded) == (acknowledged, count - acknowledged)
    assert acknowledged > store_workers.BATCH
