"""Damaged snapshots: cut, flipped, zeroed, mixed up and forged ones are all refused, and none crashes the reader."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.vector_index import Stand, VectorIndex, build_index, load_snapshot, manifest, save_snapshot

DIMENSION = 16
DAMAGES = 1000 if os.environ.get("CLIPSEARCH_DEEP_TESTS") == "1" else 150  # for each kind of index


def unit(count: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit_rows: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows


def stand(revision: int = 7, collection: str = "3") -> Stand:
    return Stand(collection, "vit", DIMENSION, revision, "ab12")


def load(folder: Path) -> tuple[VectorIndex, Stand] | None:
    return load_snapshot(folder, collection="3", model="vit", dimension=DIMENSION)


@pytest.fixture(scope="module", params=["flat_fp16", "ivf_sq8"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one snapshot, a kind each."""
    flat = request.param == "flat_fp16"
    index = build_index(DIMENSION, np.arange(2100), unit(2100), exact_bytes=10**9 if flat else 0)
    assert index.kind == request.param
    folder = tmp_path_factory.mktemp("saved")
    assert save_snapshot(folder, index, stand()) is not None
    return folder


def damaged(raw: bytes, chance: np.random.Generator) -> Iterator[bytes]:
    """Endlessly: ``raw`` with one damage of each sort in turn."""
    while True:
        place = int(chance.integers(len(raw)))
        yield raw[:place]
        yield raw[:place] + bytes([raw[place] ^ (1 << int(chance.integers(8)))]) + raw[place + 1 :]
        block = raw[place : place + 4096]
        if any(block):
            yield raw[:place] + bytes(len(block)) + raw[place + 4096 :]
        yield raw + chance.bytes(int(chance.integers(1, 100)))
        other = int(chance.integers(len(raw)))
        if raw[other : other + 64] != raw[place : place + 64]:
            yield raw[:place] + raw[other : other + 64] + raw[place + 64 :]
        yield raw[place:]
        yield chance.bytes(len(raw))


@pytest.mark.parametrize("part", ["vectors", "manifest"])
def test_no_damaged_file_is_believed_and_none_crashes(saved: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    [path] = folder.glob("*.vectors") if part == "vectors" else [folder / "manifest.json"]
    raw = path.read_bytes()
    believed = tried = 0
    for bad in damaged(raw, np.random.default_rng(1)):
        if bad == raw:
            continue
        path.write_bytes(bad)
        believed += load(folder) is not None
        tried += 1
        if tried == DAMAGES:
            break
    assert believed == 0
    path.write_bytes(raw)
    assert load(folder) is not None


def test_every_single_flipped_bit_of_the_manifest_is_seen(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    path = folder / "manifest.json"
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ (1 << place % 8)]) + raw[place + 1 :])
        assert load(folder) is None


def test_files_of_other_collections_and_other_times_are_refused(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    index = build_index(DIMENSION, np.arange(50), unit(50))
    old_path = save_snapshot(mine, index, stand(1))
    assert old_path is not None
    old, old_manifest = old_path.read_bytes(), (mine / "manifest.json").read_bytes()
    elsewhere = build_index(DIMENSION, np.arange(50), unit(50, 9))
    their_path = save_snapshot(other, elsewhere, stand(2, "4"))
    path = save_snapshot(mine, elsewhere, stand(2))
    assert path is not None
    assert their_path is not None
    good, good_manifest = path.read_bytes(), (mine / "manifest.json").read_bytes()

    path.write_bytes(old)  # an old file under the new name
    assert load(mine) is None
    path.write_bytes(good)
    (mine / "manifest.json").write_bytes(old_manifest)  # an old manifest, whose file is gone
    assert load(mine) is None
    (mine / "manifest.json").write_bytes((other / "manifest.json").read_bytes())
    shutil.copy(their_path, mine / their_path.name)  # a whole snapshot of another collection
    assert load(mine) is None
    (mine / "manifest.json").write_bytes(good_manifest)
    assert load(mine) is not None


def test_an_old_snapshot_put_back_whole_says_honestly_how_old_it_is(tmp_path: Path) -> None:
    index = build_index(DIMENSION, np.arange(50), unit(50))
    save_snapshot(tmp_path / "a", index, stand(1))
    shutil.copytree(tmp_path / "a", tmp_path / "backup")
    save_snapshot(tmp_path / "a", index, stand(2))
    found = load(tmp_path / "backup")
    assert found is not None
    assert found[1].revision == 1


def forged(folder: Path, **values: object) -> None:
    """Rewrite the manifest with other values and a right checksum: what a bug of ours could write."""
    path = folder / "manifest.json"
    found = manifest.from_bytes(path.read_bytes())
    for name, value in values.items():
        object.__setattr__(found, name, value)
    path.write_bytes(manifest.to_bytes(found))


@pytest.mark.parametrize(
    "values",
    [
        {"count": 49},
        {"count": 2**60},
        {"count": -1},
        {"count": True},
        {"count": "50"},
        {"size": 10},
        {"size": 2**62},
        {"size": 1.5},
        {"kind": "ivf_sq8"},
        {"kind": 3},
        {"file": "../elsewhere/index-7-ab12-00000000.vectors"},
        {"file": "index-8-ab12-00000000.vectors"},
        {"file": None},
        {"sha256": "0" * 64},
        {"sha256": "0"},
        {"format": 1},
        {"format": True},
        {"faiss": None},
    ],
)
def test_a_manifest_with_a_right_checksum_over_wrong_values_is_refused(
    tmp_path: Path, values: dict[str, object]
) -> None:
    save_snapshot(tmp_path, build_index(DIMENSION, np.arange(50), unit(50)), stand())
    forged(tmp_path, **values)
    assert load(tmp_path) is None


@pytest.mark.parametrize("part", ["magic", "count", "ids", "positions", "probes"])
def test_a_file_with_a_right_checksum_over_nonsense_is_refused(saved: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    [path] = folder.glob("*.vectors")
    raw = bytearray(path.read_bytes())
    if (
        part in {"positions", "probes"}
        and manifest.from_bytes((folder / "manifest.json").read_bytes()).kind != "ivf_sq8"
    ):
        pytest.skip("plain rows have no cells")
    place = {"magic": 0, "count": 16, "ids": 64 + 8 * 5, "positions": len(raw) - 8, "probes": 28}[part]
    raw[place : place + 4] = (10**9).to_bytes(4, "little")
    path.write_bytes(raw)
    forged(folder, sha256=hashlib.sha256(raw).hexdigest())
    assert load(folder) is None


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"stand": 1}', "[" * 50_000, "1" * 70_000, '{"stand": {"a": 1}}', "\ud800", "NaN"],
)
def test_anything_else_under_the_name_of_the_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert load(tmp_path) is None


def test_a_manifest_with_more_or_fewer_entries_is_refused(tmp_path: Path) -> None:
    save_snapshot(tmp_path, build_index(DIMENSION, np.arange(50), unit(50)), stand())
    path = tmp_path / "manifest.json"
    whole = json.loads(path.read_bytes())
    for name in list(whole):
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        assert load(tmp_path) is None
    path.write_text(json.dumps({**whole, "extra": 1}))
    assert load(tmp_path) is None


def test_a_folder_where_a_file_should_be_is_refused_and_not_a_crash(tmp_path: Path) -> None:
    path = save_snapshot(tmp_path, build_index(DIMENSION, np.arange(50), unit(50)), stand())
    assert path is not None
    path.unlink()
    assert load(tmp_path) is None
    path.mkdir()
    assert load(tmp_path) is None
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    assert load(tmp_path) is None


def test_a_snapshot_of_an_older_release_is_told_as_such_and_quietly(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    values = json.loads((folder / "manifest.json").read_bytes())
    del values["trial"], values["check"]
    (folder / "manifest.json").write_bytes(manifest._sealed({**values, "format": 1}))
    with caplog.at_level(logging.INFO):
        assert load(folder) is None
    assert "is of an older release: the format is 1" in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}
