"""Snapshots of the index: written so that no crash tears them, read back only where every byte is right."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from clipsearch.errors import StorageFull
from clipsearch.vector_index import (
    Stand,
    VectorIndex,
    build_index,
    load_snapshot,
    save_snapshot,
    snapshot_file,
    verified,
)

DIMENSION = 16


def unit(count: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit_rows: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows


def stand(revision: int = 7, token: str = "ab12", collection: str = "3", model: str = "vit") -> Stand:
    return Stand(collection, model, DIMENSION, revision, token)


def load(folder: Path, collection: str = "3", model: str = "vit", dimension: int = DIMENSION):  # type: ignore[no-untyped-def]
    return load_snapshot(folder, collection=collection, model=model, dimension=dimension)


@pytest.fixture
def index() -> VectorIndex:
    """Several segments, replaced rows and dead ones."""
    base = build_index(DIMENSION, np.arange(300) * 3, unit(300))
    return base.with_changes((np.arange(290, 330), unit(40, 1)), np.arange(0, 90, 3))


@pytest.fixture
def with_cells() -> VectorIndex:
    base = build_index(DIMENSION, np.arange(3000), unit(3000), exact_bytes=0)
    assert base.kind == "ivf_sq8"
    return base.with_changes((np.arange(2990, 3030), unit(40, 1)), np.arange(0, 90, 3))


def alike(one: VectorIndex, other: VectorIndex) -> bool:
    queries = unit(5, 99)
    return (
        one.kind == other.kind
        and np.array_equal(one.ids(), other.ids())
        and np.array_equal(one.vectors(one.ids()), other.vectors(one.ids()))
        and all(
            a.ids.tolist() == b.ids.tolist() and a.scores.tolist() == b.scores.tolist()
            for a, b in zip(one.search(queries, 20), other.search(queries, 20), strict=True)
        )
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "snapshot.lock")


@pytest.mark.parametrize("kind", ["index", "with_cells"])
def test_what_was_saved_comes_back_and_goes_on_changing(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    saved: VectorIndex = request.getfixturevalue(kind)
    path = save_snapshot(tmp_path / "new" / "folder", saved, stand())
    assert path is not None
    assert path.name.startswith("index-7-ab12-")
    found, at = load(path.parent)
    assert at == stand()
    assert alike(found, saved)
    changed = found.with_changes((np.array([9999]), unit(1, 5)), np.array([100]))
    assert changed.search(unit(1, 5), 1)[0].ids.tolist() == [9999]
    assert alike(changed, saved.with_changes((np.array([9999]), unit(1, 5)), np.array([100])))


def test_an_empty_index_comes_back_empty(tmp_path: Path) -> None:
    save_snapshot(tmp_path, build_index(DIMENSION, np.array([], dtype=np.int64), unit(0)), stand(0, "0"))
    found, at = load(tmp_path)
    assert (len(found), at.revision) == (0, 0)
    assert len(found.with_changes((np.array([1]), unit(1)))) == 1


def test_where_nothing_was_saved_there_is_nothing_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "nowhere") is None
    assert caplog.records == []


def test_a_save_replaces_the_former_one_and_what_crashes_left(tmp_path: Path, index: VectorIndex) -> None:
    first = save_snapshot(tmp_path, index, stand(7))
    (tmp_path / "index-8-cd-00000000.vectors.tmp").write_bytes(b"half")
    (tmp_path / "index-8-cd-11111111.vectors").write_bytes(b"whole, but its manifest never came")
    (tmp_path / "a note of the admin.txt").write_text("stays")
    second = save_snapshot(tmp_path, index, stand(9))
    assert first is not None
    assert second is not None
    assert not first.exists()
    assert names(tmp_path) == ["a note of the admin.txt", second.name, "manifest.json"]
    assert load(tmp_path)[1].revision == 9


def test_the_same_stand_can_be_saved_again_over_a_damaged_file(tmp_path: Path, index: VectorIndex) -> None:
    path = save_snapshot(tmp_path, index, stand())
    assert path is not None
    path.write_bytes(b"damaged")
    assert load(tmp_path) is None
    save_snapshot(tmp_path, index, stand())
    assert alike(load(tmp_path)[0], index)


def test_every_file_is_synced_before_its_rename_and_the_folder_after_it(
    tmp_path: Path, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink

    def recorded_fsync(descriptor: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append(f"fsync {'folder' if target.is_dir() else target.name.split('-')[0]}")
        fsync(descriptor)

    def recorded_replace(source: Path, target: Path) -> None:
        calls.append(f"rename {Path(target).name.split('-')[0]}")
        replace(source, target)

    def recorded_unlink(path: Path, missing_ok: bool = False) -> None:
        calls.append(f"remove {path.name.split('-')[0]}")
        unlink(path, missing_ok=missing_ok)

    save_snapshot(tmp_path, index, stand(1))
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    monkeypatch.setattr(Path, "unlink", recorded_unlink)
    save_snapshot(tmp_path, index, stand(2))
    assert [call for call in calls if "lock" not in call] == [
        "fsync index",
        "rename index",
        "fsync folder",
        "fsync manifest.json.tmp",
        "rename manifest.json",
        "fsync folder",
        "remove index",
    ]


def test_a_second_saver_steps_aside_without_waiting(tmp_path: Path, index: VectorIndex) -> None:
    save_snapshot(tmp_path, index, stand(1))
    with FileLock(tmp_path / "snapshot.lock"):
        assert save_snapshot(tmp_path, index, stand(2)) is None
    assert load(tmp_path)[1].revision == 1
    assert save_snapshot(tmp_path, index, stand(2)) is not None


def test_readers_find_a_whole_snapshot_while_savers_replace_it(tmp_path: Path, index: VectorIndex) -> None:
    save_snapshot(tmp_path, index, stand(0))
    stop, seen = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = load(tmp_path)
            seen.append(None if found is None else len(found[0]) == len(index))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for revision in range(1, 40):
        save_snapshot(tmp_path, index, stand(revision))
    stop.set()
    for reader in readers:
        reader.join()
    assert seen
    assert all(seen)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_at_any_step_keeps_the_former_snapshot(
    tmp_path: Path, index: VectorIndex, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    former = save_snapshot(tmp_path, index, stand(1))
    assert former is not None
    fsync, replace = os.fsync, os.replace
    steps, committed = 0, 0

    def failing(real: Callable[..., object]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            nonlocal steps
            steps += 1
            if steps == fail_at:
                raise OSError(code, os.strerror(code))
            real(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", failing(fsync))
    monkeypatch.setattr(os, "replace", failing(replace))
    for fail_at in range(1, 7):
        steps = 0
        with pytest.raises(StorageFull):
            save_snapshot(tmp_path, index, stand(1 + fail_at))
        at = load(tmp_path)[1].revision
        committed += at != 1  # after the manifest's rename, the new one is whole
        assert at == 1 or fail_at == 6
        assert not list(tmp_path.glob("*.tmp"))
        if fail_at < 6:
            assert list(tmp_path.glob("*.vectors")) == [former]  # no orphan fills the disk further
    assert committed == 1


def test_a_write_that_finds_the_disk_full_is_told_as_such(
    tmp_path: Path, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipsearch.vector_index import snapshot_file

    save_snapshot(tmp_path, index, stand(1))
    write, fail_at = snapshot_file.write, [0]

    def cut(index, out):  # type: ignore[no-untyped-def]
        blocks = 0

        def counted(block: object) -> None:
            nonlocal blocks
            blocks += 1
            if blocks > fail_at[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            out(block)

        write(index, counted)

    monkeypatch.setattr(snapshot_file, "write", cut)
    before = names(tmp_path)
    for fail_at[0] in range(3):
        with pytest.raises(StorageFull):
            save_snapshot(tmp_path, index, stand(2))
        assert names(tmp_path) == before
        assert load(tmp_path)[1].revision == 1


def test_too_little_room_is_told_before_anything_is_written(
    tmp_path: Path, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_snapshot(tmp_path, index, stand(1))
    before = names(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(StorageFull) as refused:
        save_snapshot(tmp_path, index, stand(2))
    assert refused.value.details["free"] == 1000
    assert names(tmp_path) == before


def test_other_troubles_of_the_disk_are_not_called_full(
    tmp_path: Path, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    save_snapshot(tmp_path, index, stand(1))
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        save_snapshot(tmp_path, index, stand(2))
    assert load(tmp_path)[1].revision == 1


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"collection": "4"}, "collection 3"),
        ({"model": "vit-l"}, "model vit, not vit-l"),
        ({"dimension": 32}, "16 dimensions, not 32"),
    ],
)
def test_a_snapshot_of_something_else_is_refused_with_the_reason(
    tmp_path: Path,
    index: VectorIndex,
    caplog: pytest.LogCaptureFixture,
    asked: dict[str, object],
    why: str,
) -> None:
    save_snapshot(tmp_path, index, stand())
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path, **asked) is None  # type: ignore[arg-type]
    assert why in caplog.text


def test_cells_of_another_faiss_are_refused_and_plain_rows_are_not(
    tmp_path: Path, index: VectorIndex, with_cells: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    import faiss

    for name, saved in (("rows", index), ("cells", with_cells)):
        save_snapshot(tmp_path / name, saved, stand())
    monkeypatch.setattr(faiss, "__version__", "9.9.9")
    assert load(tmp_path / "rows") is not None
    assert load(tmp_path / "cells") is None


def test_a_file_is_hashed_once_in_a_process_and_again_when_it_changed(
    tmp_path: Path, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_snapshot(tmp_path, index, stand())
    assert path is not None
    monkeypatch.setattr(verified, "RACY_SECONDS", -1.0)  # as if the file were older than the clock's tick
    load(tmp_path)
    hashed: list[int] = []
    blocks = snapshot_file.blocks

    def watched(memory: NDArray[np.uint8]) -> Iterator[memoryview]:
        hashed.append(len(memory))
        return blocks(memory)

    monkeypatch.setattr(snapshot_file, "blocks", watched)
    verified._seen.clear()  # as in another process
    assert load(tmp_path) is not None
    assert hashed == []
    status = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # in its place, of its size, and of its time
    assert load(tmp_path) is None
    assert hashed == [len(raw)]
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert load(tmp_path) is not None
    assert hashed == [len(raw)] * 2


def test_a_file_that_is_younger_than_the_clocks_tick_is_not_remembered(tmp_path: Path, index: VectorIndex) -> None:
    save_snapshot(tmp_path, index, stand())
    assert load(tmp_path) is not None
    assert not (tmp_path / verified.NAME).exists()


@pytest.mark.parametrize("noted", ["", "[", "null", "{}", '{"file": [1, 2], "sha256": "x"}', "[" * 50_000])
def test_a_damaged_note_of_what_was_verified_costs_a_reading_and_nothing_else(
    tmp_path: Path, index: VectorIndex, noted: str
) -> None:
    path = save_snapshot(tmp_path, index, stand())
    assert path is not None
    (tmp_path / verified.NAME).write_text(noted)
    assert alike(load(tmp_path)[0], index)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert load(tmp_path) is None


@pytest.mark.parametrize("kind", ["index", "with_cells"])
def test_who_holds_a_mapped_index_reads_on_when_its_file_was_replaced(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    saved: VectorIndex = request.getfixturevalue(kind)
    path = save_snapshot(tmp_path, saved, stand(1))
    assert path is not None
    held = load(tmp_path)[0]
    assert held.mapped_bytes > len(saved) * DIMENSION * 2 - 1
    save_snapshot(tmp_path, saved.with_changes(removed=saved.ids()[:50]), stand(2))
    assert not path.exists()
    assert alike(held, saved)
    assert len(load(tmp_path)[0]) == len(saved) - 50


def test_the_trial_of_cells_that_do_not_serve_is_kept_too(tmp_path: Path) -> None:
    refused = build_index(DIMENSION, np.arange(3000), unit(3000), exact_bytes=0, floor=2.0)
    assert refused.kind == "flat_fp16"
    assert refused.trial is not None
    save_snapshot(tmp_path, refused, stand())
    assert load(tmp_path)[0].trial == refused.trial


@pytest.mark.parametrize(
    "values",
    [
        {"revision": -1},
        {"revision": True},
        {"revision": 2**63},
        {"token": ""},
        {"token": "../../etc"},
        {"token": "AB"},
        {"dimension": 0},
        {"collection": 3},
        {"model": None},
    ],
)
def test_a_stand_that_cannot_be_is_not_made(values: dict[str, object]) -> None:
    sound: dict[str, object] = {
        "collection": "3",
        "model": "vit",
        "dimension": DIMENSION,
        "revision": 1,
        "token": "ab",
    }
    with pytest.raises(ValueError, match=r"stand|dimension|token"):
        Stand(**{**sound, **values})  # type: ignore[arg-type]


def test_an_index_is_not_saved_under_the_stand_of_another_dimension(tmp_path: Path, index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        save_snapshot(tmp_path, index, Stand("3", "vit", 32, 1, "ab"))
    with pytest.raises(TypeError):
        save_snapshot(tmp_path, object(), stand())  # type: ignore[arg-type]
