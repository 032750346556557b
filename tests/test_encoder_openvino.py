from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from encoder_fixtures import ARCHITECTURES, Checkpoints, make_checkpoints, pictures, write_model_folder

from clipsearch.encoder import Encoder, loading, open_encoder, openvino_encoder
from clipsearch.encoder.openvino_encoder import OpenVinoEncoder
from clipsearch.errors import ConfigError, InvalidVector, ModelNotFound

TEXTS = ["a dog", "two red boats at night", "a very long text " * 40, "", "snow"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


def opened(name: str, cache: Path | None, dtype: str = "float32", batch_size: int | None = None) -> OpenVinoEncoder:
    encoder = open_encoder(name, device="cpu", dtype=dtype, runtime="openvino", cache=cache, batch_size=batch_size)
    assert isinstance(encoder, OpenVinoEncoder)
    return encoder


def exact(name: str) -> Encoder:
    return open_encoder(name, device="cpu", dtype="float32")


def kept_folder(cache: Path) -> Path:
    (folder,) = [path for path in cache.iterdir() if path.is_dir()]
    return folder


@pytest.fixture(scope="module")
def converted(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the small CLIP, to be copied or only read."""
    cache = tmp_path_factory.mktemp("converted")
    opened(checkpoints.name("small-clip"), cache)
    return cache


@pytest.fixture
def small(checkpoints: Checkpoints, converted: Path) -> OpenVinoEncoder:
    return opened(checkpoints.name("small-clip"), converted, batch_size=4)


@pytest.fixture
def no_loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever builds the torch network fails."""
    monkeypatch.setattr(loading, "load_model", lambda _source: pytest.fail("the network was built"))
    return iter(())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_and_facts_are_those_of_torch(checkpoints: Checkpoints, tmp_path: Path, architecture: str) -> None:
    name = checkpoints.name(architecture)
    encoder, reference = opened(name, tmp_path, batch_size=3), exact(name)
    assert encoder.model == reference.model
    for rows, expected in (
        (encoder.encode_images(pictures(7)), reference.encode_images(pictures(7))),
        (encoder.encode_texts(TEXTS), reference.encode_texts(TEXTS)),
    ):
        np.testing.assert_allclose(rows.vectors, expected.vectors, atol=2e-4)
        np.testing.assert_allclose(rows.norms, expected.norms, rtol=1e-3)
        assert rows.vectors.dtype == rows.norms.dtype == np.float32
    assert encoder.truncated(TEXTS) == reference.truncated(TEXTS)


def test_bfloat16_stays_close_to_float32(checkpoints: Checkpoints, converted: Path) -> None:
    name = checkpoints.name("small-clip")
    try:
        low = opened(name, converted, "bfloat16")
    except ConfigError:
        pytest.skip("this processor has no bfloat16")
    assert low.dtype == "bfloat16"
    rows = low.encode_images(pictures(5)).vectors
    cosines = (rows * exact(name).encode_images(pictures(5)).vectors).sum(axis=1)
    assert cosines.min() > 0.999
    assert cosines.min() < 1 - 1e-7  # it does compute in another format


def test_order_is_kept_across_batches_and_requests(small: OpenVinoEncoder) -> None:
    seen = pictures(11)
    together = small.encode_images(seen).vectors
    alone = np.concatenate([small.encode_images([picture]).vectors for picture in seen])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    texts = [f"{number} boats" + " and a boat" * (number % 5) for number in range(11)]
    together = small.encode_texts(texts).vectors
    alone = np.concatenate([small.encode_texts([text]).vectors for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_rows_outlive_the_next_call(small: OpenVinoEncoder) -> None:
    first = small.encode_images(pictures(3)).vectors
    before = first.copy()
    small.encode_images(pictures(4))
    np.testing.assert_array_equal(first, before)


def test_prepared_pixels_encode_like_pictures_and_none_give_none(small: OpenVinoEncoder) -> None:
    seen = pictures(5)
    prepared = [small.prepare(picture) for picture in seen]
    whole = small.encode_images(seen).vectors
    np.testing.assert_array_equal(small.encode_prepared(prepared).vectors, whole)
    np.testing.assert_array_equal(small.encode_prepared(np.stack(prepared)).vectors, whole)
    for encoded in (small.encode_images([]), small.encode_texts([]), small.encode_prepared([])):
        assert encoded.vectors.shape == (0, 24)


def test_rows_that_are_no_numbers_are_refused_by_their_positions(small: OpenVinoEncoder) -> None:
    pixels = np.stack([small.prepare(picture) for picture in pictures(9)])
    pixels[2] = np.nan
    pixels[7, 0, 0, 0] = np.inf
    with pytest.raises(InvalidVector, match="2, 7") as caught:
        small.encode_prepared(pixels)
    assert caught.value.details["positions"] == [2, 7]


def test_many_threads_get_the_rows_of_one(small: OpenVinoEncoder) -> None:
    seen, texts = pictures(6), [f"{number} boats" for number in range(6)]
    images, words = small.encode_images(seen).vectors, small.encode_texts(texts).vectors
    wrong: list[str] = []

    def ask(number: int) -> None:
        for _ in range(5):
            if not np.allclose(small.encode_images(seen[number:]).vectors, images[number:], atol=1e-5):
                wrong.append(f"images {number}")
            if not np.allclose(small.encode_texts(texts[number:]).vectors, words[number:], atol=1e-5):
                wrong.append(f"texts {number}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_text_does_not_wait_for_a_batch_of_pictures(small: OpenVinoEncoder) -> None:
    with small._turns.taken():  # as long as a batch of pictures lasts
        assert small.encode_texts(["a dog"]).vectors.shape == (1, 24)


@pytest.mark.usefixtures("no_loading")
def test_a_kept_conversion_is_opened_without_the_network(checkpoints: Checkpoints, converted: Path) -> None:
    encoder = opened(checkpoints.name("small-clip"), converted)
    assert encoder.encode_texts(["a dog"]).vectors.shape == (1, 24)
    assert list((kept_folder(converted) / "compiled").iterdir())


@pytest.mark.usefixtures("no_loading")
def test_a_copied_library_is_believed_by_its_checksums(
    checkpoints: Checkpoints, converted: Path, tmp_path: Path
) -> None:
    shutil.copytree(converted, tmp_path / "copy")
    opened(checkpoints.name("small-clip"), tmp_path / "copy")


def damage_nothing_but_time(folder: Path) -> None:
    os.utime(folder / "pictures.bin", ns=(1, 1))
    data = bytearray((folder / "pictures.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "pictures.bin").write_bytes(data)


def cut_short(folder: Path) -> None:
    os.truncate(folder / "texts.bin", 100)


def lose_a_file(folder: Path) -> None:
    (folder / "texts.xml").unlink()


def scribble_in_the_manifest(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("float", "flaot").replace("logit_scale", "logit_scalf"))


def empty_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def lose_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_but_time,
        cut_short,
        lose_a_file,
        scribble_in_the_manifest,
        empty_the_manifest,
        lose_the_manifest,
    ],
)
def test_a_damaged_conversion_is_made_again(
    checkpoints: Checkpoints, converted: Path, tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "copy"
    shutil.copytree(converted, cache)
    assert callable(damage)
    damage(kept_folder(cache))
    made = stamp(kept_folder(cache))
    name = checkpoints.name("small-clip")
    rows = opened(name, cache).encode_images(pictures(3)).vectors
    assert "is not used" in caplog.text
    assert stamp(kept_folder(cache)) != made
    np.testing.assert_allclose(rows, exact(name).encode_images(pictures(3)).vectors, atol=2e-4)


def stamp(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_ino, status.st_ctime_ns


def test_what_openvino_compiled_is_compiled_again_when_its_rows_are_wrong(
    checkpoints: Checkpoints, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "copy"
    shutil.copytree(converted, cache)
    compiled = kept_folder(cache) / "compiled"
    (compiled / "foreign").write_text("")
    cosines = iter([(0.5, 1.0), (1.0, 1.0)])
    monkeypatch.setattr(OpenVinoEncoder, "cosines", lambda _self, _check: next(cosines))
    opened(checkpoints.name("small-clip"), cache)
    assert compiled.is_dir()
    assert not (compiled / "foreign").exists()


def test_other_weights_under_the_same_name_are_noticed(checkpoints: Checkpoints, tmp_path: Path) -> None:
    model = write_model_folder(tmp_path / "model", checkpoints, "small-clip")
    first = opened(str(model), tmp_path / "cache")
    write_model_folder(model, checkpoints, "small-clip-quickgelu")
    second = opened(str(model), tmp_path / "cache")
    assert second.model == exact(str(model)).model
    assert first.model.fingerprint != second.model.fingerprint
    rows = second.encode_images(pictures(3)).vectors
    np.testing.assert_allclose(rows, exact(str(model)).encode_images(pictures(3)).vectors, atol=2e-4)
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1


def test_the_same_weights_written_again_are_not_converted_again(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model_folder(tmp_path / "model", checkpoints, "small-clip")
    opened(str(model), tmp_path / "cache")
    write_model_folder(model, checkpoints, "small-clip")
    monkeypatch.setattr(openvino_encoder, "convert", lambda *_: pytest.fail("was converted again"))
    opened(str(model), tmp_path / "cache")
    monkeypatch.setattr(loading, "load_model", lambda _source: pytest.fail("the network was built"))
    opened(str(model), tmp_path / "cache")


def test_other_versions_convert_anew(
    checkpoints: Checkpoints, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipsearch.encoder import openvino_models

    cache = tmp_path / "copy"
    shutil.copytree(converted, cache)
    made = stamp(kept_folder(cache))
    monkeypatch.setattr(openvino_models, "version", lambda _package: "2099.1")
    opened(checkpoints.name("small-clip"), cache)
    assert stamp(kept_folder(cache)) != made
    assert "2099.1" in json.loads((kept_folder(cache) / "manifest.json").read_text())["body"]


@pytest.mark.parametrize("name", ["ViT-B-32//nowhere/weights.safetensors", "/nowhere/model"])
def test_a_model_that_is_not_there_is_told_as_in_torch(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelNotFound):
        opened(name, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_request_that_failed_can_be_used_again(small: OpenVinoEncoder) -> None:
    for _ in range(5):
        with pytest.raises(RuntimeError):
            small.encode_prepared(np.zeros((2, 3, 8, 8), dtype=np.float32))
    assert small.encode_images(pictures(3)).vectors.shape == (3, 24)


def test_without_a_folder_nothing_is_kept(checkpoints: Checkpoints, tmp_path: Path) -> None:
    encoder = opened(checkpoints.name("small-clip"), None)
    assert encoder.encode_texts(["a dog"]).vectors.shape == (1, 24)
    assert not list(tmp_path.iterdir())


def test_a_conversion_that_breaks_off_leaves_the_former_one(
    checkpoints: Checkpoints, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipsearch.encoder import kept_files

    cache = tmp_path / "copy"
    shutil.copytree(converted, cache)
    before = sorted(path.name for path in cache.rglob("*"))
    folder = kept_folder(cache)

    def broken(aside: Path) -> None:
        (aside / "pictures.xml").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        kept_files.write_kept(folder, {}, broken)
    assert sorted(path.name for path in cache.rglob("*")) == before
    assert kept_files.read_kept(folder)


def test_a_signal_finds_its_stack_after_models_have_come_and_gone(tmp_path: Path) -> None:
    program = (
        "import faulthandler, signal, sys, pathlib; faulthandler.enable()\n"
        "from clipsearch.encoder import open_encoder\n"
        "how = dict(device='cpu', dtype='float32', runtime='openvino', cache=pathlib.Path(sys.argv[1]))\n"
        "def opened(): return open_encoder('demo', **how)\n"
        "first = opened(); second = opened(); del first; del second\n"
        "import gc; gc.collect()\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); signal.raise_signal(signal.SIGTERM)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
