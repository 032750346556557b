"""Decoders that crash, hang or take all memory: each costs the one image that it was given, and no other."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from library_fixtures import CountingEncoder, draw_many, groups, index, library_with, picture
from store_workers import open_library
from worker_processes import Workers

from clipsearch import browsing, following
from clipsearch.errors import ConfigError, DecoderCrashed, UnreadableImage
from clipsearch.images import DecodingProcess
from clipsearch.indexing import index_source
from clipsearch.library import Library

pytestmark = pytest.mark.faults

BAD_DECODERS = Path(__file__).parent / "bad_decoders"


def draw_bad(path: Path, how: str, seed: int = 0) -> Path:
    """A sound JPEG on which the decoder does ``how``."""
    picture(seed).save(path, comment=how.encode())
    return path


@pytest.fixture
def bad_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that are started from now on have bad decoders; this one has not."""
    monkeypatch.setenv("PYTHONPATH", os.fspath(BAD_DECODERS))


@pytest.fixture
def apart(tmp_path: Path, encoder: CountingEncoder, bad_decoders: None) -> Library:
    """A library whose decoders are bad and work in two processes."""
    del bad_decoders
    return library_with(encoder, tmp_path / "data", decode_processes=2)


def test_a_decoder_that_crashes_costs_one_image_and_no_other(photos: Path, tmp_path: Path, workers: Workers) -> None:
    """One file in a hundred ends the process that decodes it."""
    count, chance = 300, random.Random(1)
    names = [path.name for path in draw_many(photos, count, form="{:04}.bmp")]
    bad = sorted(f"{number:04}x.jpg" for number in chance.sample(range(count), 3))
    for seed, name in enumerate(bad):
        draw_bad(photos / name, "crash", seed=1_000 + seed)
    arguments = (str(tmp_path / "data"), str(photos), str(BAD_DECODERS))
    worker = workers.run("store_workers:index_with_bad_decoders", tmp_path / "1.txt", *arguments)
    assert worker.wait() == -signal.SIGSEGV, worker.printed()
    # The run itself crashed; the one after it knows the file, and keeps it and all others in processes apart.
    worker = workers.run("store_workers:index_with_bad_decoders", tmp_path / "2.txt", *arguments)
    assert worker.wait() == 0, worker.printed()
    assert "the last run ended while it decoded" in worker.printed()
    with open_library(tmp_path / "data") as library:
        assert sorted(os.path.basename(one.uri) for one in browsing.list_images(library, limit=1_000)) == names
        failures = following.list_failures(library)
        assert sorted(os.path.basename(one.uri) for one in failures) == bad
        assert {one.code for one in failures} == {"decoder_crashed"}
        assert {one.reason for one in failures} == {"the decoder crashed (SIGSEGV)"}
        assert list((tmp_path / "data" / "decoding").iterdir()) == []
        # They are not tried again, by decoders that are good now, until they are asked for or have changed.
        assert groups(index_source(library, photos))["failed"] == bad
    worker = workers.run("store_workers:index_with_bad_decoders", tmp_path / "again.txt", *arguments, True)
    assert worker.wait() == 0, worker.printed()
    with open_library(tmp_path / "data") as library:
        assert {one.attempts for one in following.list_failures(library)} == {2}
        picture(5_000).save(photos / bad[0])
        assert groups(index_source(library, photos))["added"] == bad[:1]
        assert len(following.list_failures(library)) == 2


def test_with_processes_a_crash_never_ends_the_run(apart: Library, photos: Path) -> None:
    sound = draw_many(photos, 20)
    for number in range(3):
        draw_bad(photos / f"bad{number}.jpg", "crash", seed=100 + number)
    report = index(apart, photos)
    assert groups(report) == {
        "added": [path.name for path in sound],
        "failed": ["bad0.jpg", "bad1.jpg", "bad2.jpg"],
    }
    assert {one.code for one in report.failed} == {"decoder_crashed"}
    children = psutil.Process().children()
    assert not [child for child in children if child.is_running() and "apart.serve" in " ".join(child.cmdline())]
    apart.close()


def test_what_another_process_decodes_is_the_same(apart: Library, photos: Path, encoder: CountingEncoder) -> None:
    draw_many(photos / "a", 10)
    draw_many(photos / "b", 10, start=10, form="{:04}.jpg")
    (photos / "b" / "damaged.jpg").write_bytes((photos / "b" / "0010.jpg").read_bytes()[:300])
    report = index(apart, photos)
    rows = {one.uri: one.model_dump(exclude={"id", "indexed_at", "revision"}) for one in browsing.list_images(apart)}
    apart.close()
    shutil.rmtree(apart.settings.data_dir)
    with library_with(encoder, apart.settings.data_dir) as library:
        other = index(library, photos)
        assert (groups(other), other.failed) == (groups(report), report.failed)
        assert rows == {
            one.uri: one.model_dump(exclude={"id", "indexed_at", "revision"}) for one in browsing.list_images(library)
        }


def test_files_that_were_in_hand_at_a_kill_are_sound_until_they_prove_otherwise(
    photos: Path, tmp_path: Path, workers: Workers
) -> None:
    draw_many(photos, 30)
    killed = workers.run("store_workers:index_and_stop_in_a_decoder", tmp_path / "out.txt", str(tmp_path / "data"),
                         str(photos), "0017.png")  # fmt: skip
    killed.wait_until_printed("in hand")
    killed.kill()
    with open_library(tmp_path / "data") as library:
        assert len(list((tmp_path / "data" / "decoding").iterdir())) == 1
        report = index_source(library, photos)
        assert len(report.added) + len(report.unchanged) == 30
        assert "0017.png" in {os.path.basename(uri) for uri in report.added}
        assert list((tmp_path / "data" / "decoding").iterdir()) == []


# The process itself ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bad_decoders")
def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    process = DecodingProcess(seconds=1)
    with pytest.raises(DecoderCrashed, match="took longer than 1 s"):
        process.open_picture(draw_bad(tmp_path / "a.jpg", "hang"))
    # The next file finds another process.
    assert process.open_picture(draw_bad(tmp_path / "b.jpg", "harmless").read_bytes()).picture.size == (24, 20)
    process.close()


@pytest.mark.usefixtures("bad_decoders")
def test_a_decoder_that_was_slow_once_is_given_a_second_try(tmp_path: Path) -> None:
    process = DecodingProcess(seconds=1)
    slow = draw_bad(tmp_path / "a.jpg", f"hang at first {tmp_path / 'tried'}")
    assert process.open_picture(slow).picture.size == (24, 20)
    assert (tmp_path / "tried").exists()
    process.close()


@pytest.mark.usefixtures("bad_decoders")
def test_a_file_whose_decoder_is_killed_each_time_is_refused(tmp_path: Path) -> None:
    process = DecodingProcess()
    with pytest.raises(DecoderCrashed, match="memory runs out"):
        process.open_picture(draw_bad(tmp_path / "a.jpg", "killed"))
    process.close()


@pytest.mark.usefixtures("bad_decoders")
def test_a_decoder_that_takes_all_memory_is_refused_it(tmp_path: Path) -> None:
    process = DecodingProcess()
    with pytest.raises(UnreadableImage, match="not enough memory"):
        process.open_picture(draw_bad(tmp_path / "a.jpg", "greedy").read_bytes())
    process.close()


def test_a_process_that_cannot_be_started_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", os.fspath(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="decode_processes"):
        DecodingProcess().open_picture(b"")


def test_processes_end_with_the_one_that_asks(photos: Path, tmp_path: Path, workers: Workers) -> None:
    draw_many(photos, 2)
    asking = workers.run("store_workers:open_apart_and_wait", tmp_path / "out.txt", str(photos / "0000.png"))
    asking.wait_until_printed("waiting")
    [child] = psutil.Process(asking.pid).children()
    asking.kill()
    assert psutil.wait_procs([child], timeout=10)[1] == []
