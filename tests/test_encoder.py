from __future__ import annotations

import subprocess
import sys
import threading
import unicodedata
from typing import Any

import numpy as np
import PIL.Image
import pytest
from encoder_fixtures import ARCHITECTURES, Checkpoints, make_checkpoints, pictures

from clipsearch.encoder import Encoder, OpenClipEncoder, open_encoder
from clipsearch.encoder.batching import Batches, Turns
from clipsearch.encoder.factory import open_clip
from clipsearch.encoder.texts import TextReader
from clipsearch.errors import ConfigError, InvalidVector, ModelUnavailable


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def small_encoder(checkpoints: Checkpoints) -> OpenClipEncoder:
    """The small CLIP in float32 on the CPU, in batches of four."""
    return open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32", batch_size=4)


def test_importing_the_encoder_imports_neither_torch_nor_open_clip() -> None:
    code = (
        "import sys, clipsearch.encoder;"
        "sys.exit(' '.join({'torch', 'torchvision', 'open_clip', 'timm'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_architecture_gives_one_unit_row_per_input(
    checkpoints: Checkpoints, architecture: str, dtype: str
) -> None:
    encoder: Encoder = open_encoder(checkpoints.name(architecture), device="cpu", dtype=dtype, batch_size=3)
    assert (encoder.device, encoder.dtype, encoder.batch_size) == ("cpu", dtype, 3)
    for encoded in (encoder.encode_images(pictures(7)), encoder.encode_texts(["a dog"] * 7)):
        assert encoded.vectors.shape == (7, encoder.model.dimension) == (7, 24)
        assert encoded.vectors.dtype == encoded.norms.dtype == np.float32
        assert np.linalg.norm(encoded.vectors, axis=1) == pytest.approx(np.ones(7), abs=1e-6)
        assert encoded.norms.shape == (7,)
        assert (encoded.norms > 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_are_those_of_open_clip_itself(checkpoints: Checkpoints, architecture: str) -> None:
    import torch

    encoder = open_encoder(checkpoints.name(architecture), device="cpu", dtype="float32")
    weights = checkpoints.folder / f"{architecture}.safetensors"
    network, _, transform = open_clip().create_model_and_transforms(architecture, pretrained=str(weights))
    tokenizer = open_clip().get_tokenizer(architecture)
    picture, text = pictures(1)[0], "Two red boats at night"
    with torch.inference_mode():
        image_row = network.eval().encode_image(transform(picture)[None])[0].numpy()
        text_row = network.encode_text(tokenizer([text]))[0].numpy()
    images, texts = encoder.encode_images([picture]), encoder.encode_texts([text])
    np.testing.assert_allclose(images.vectors[0] * images.norms[0], image_row, atol=2e-5)
    np.testing.assert_allclose(texts.vectors[0] * texts.norms[0], text_row, atol=2e-5)


def test_bfloat16_stays_close_to_float32(checkpoints: Checkpoints, small_encoder: OpenClipEncoder) -> None:
    low = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="bfloat16")
    seen = pictures(5)
    cosines = (low.encode_images(seen).vectors * small_encoder.encode_images(seen).vectors).sum(axis=1)
    assert cosines.min() > 0.999


def test_order_is_kept_across_batches(small_encoder: OpenClipEncoder) -> None:
    seen = pictures(11)
    together = small_encoder.encode_images(seen).vectors
    alone = np.concatenate([small_encoder.encode_images([picture]).vectors for picture in seen])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    texts = [f"{number} boats" + " and a boat" * (number % 5) for number in range(11)]
    together = small_encoder.encode_texts(texts).vectors
    alone = np.concatenate([small_encoder.encode_texts([text]).vectors for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_prepared_pixels_encode_like_pictures(small_encoder: OpenClipEncoder) -> None:
    seen = pictures(5)
    prepared = [small_encoder.prepare(picture) for picture in seen]
    assert prepared[0].shape == (3, 32, 32)
    assert prepared[0].dtype == np.float32
    whole = small_encoder.encode_images(seen).vectors
    np.testing.assert_array_equal(small_encoder.encode_prepared(prepared).vectors, whole)
    np.testing.assert_array_equal(small_encoder.encode_prepared(np.stack(prepared)).vectors, whole)


def test_no_inputs_give_no_rows(small_encoder: OpenClipEncoder) -> None:
    for encoded in (
        small_encoder.encode_images([]),
        small_encoder.encode_texts([]),
        small_encoder.encode_prepared([]),
    ):
        assert encoded.vectors.shape == (0, 24)
        assert encoded.norms.shape == (0,)


def test_rows_that_are_no_numbers_are_refused_by_their_positions(small_encoder: OpenClipEncoder) -> None:
    pixels = np.stack([small_encoder.prepare(picture) for picture in pictures(9)])
    pixels[2] = np.nan
    pixels[7, 0, 0, 0] = np.inf
    with pytest.raises(InvalidVector, match="2, 7") as caught:
        small_encoder.encode_prepared(pixels)
    assert caught.value.details["positions"] == [2, 7]


def test_rows_of_zeros_are_refused(checkpoints: Checkpoints) -> None:
    import torch

    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
    with torch.no_grad():
        encoder._network.visual.proj.zero_()
    with pytest.raises(InvalidVector) as caught:
        encoder.encode_images(pictures(2))
    assert caught.value.details["positions"] == [0, 1]


def test_palettes_and_grey_pictures_are_taken_in_true_colour(small_encoder: OpenClipEncoder) -> None:
    picture = pictures(1, (64, 64))[0].quantize(16)
    as_palette = small_encoder.prepare(picture)
    np.testing.assert_array_equal(as_palette, small_encoder.prepare(picture.convert("RGB")))
    assert small_encoder.prepare(picture.convert("L")).shape == (3, 32, 32)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 9_001), (12, 8_000)])
def test_a_long_strip_does_not_fill_the_memory(
    small_encoder: OpenClipEncoder, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    resized: list[tuple[int, int]] = []
    preprocess = small_encoder._pictures._transform

    def watched(picture: PIL.Image.Image) -> Any:
        resized.append(picture.size)
        return preprocess(picture)

    monkeypatch.setattr(small_encoder._pictures, "_transform", watched)
    pixels = small_encoder.prepare(PIL.Image.new("RGB", size, (10, 200, 30)))
    assert max(resized[0]) <= 17 * min(resized[0])
    assert pixels.shape == (3, 32, 32)
    assert np.ptp(pixels, axis=(1, 2)).max() < 1e-5


def test_cutting_the_ends_of_a_strip_leaves_its_centre_alone(checkpoints: Checkpoints) -> None:
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
    # A picture that changes slowly, so that a shift by a pixel would be small and one by the cut large.
    ramp = np.linspace(0, 255, 40 * 1000).reshape(1, -1).repeat(40, axis=0).astype(np.uint8)
    picture = PIL.Image.fromarray(np.stack([ramp] * 3, axis=-1))
    whole = encoder._pictures._transform(picture).numpy()
    np.testing.assert_allclose(encoder.prepare(picture), whole, atol=0.02)


def test_texts_are_compared_in_composed_form(small_encoder: OpenClipEncoder) -> None:
    word = "café in Łódź"
    both = [unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)]
    first, second = small_encoder.encode_texts(both).vectors
    np.testing.assert_array_equal(first, second)


def test_a_text_beyond_the_context_is_told_and_cut(small_encoder: OpenClipEncoder) -> None:
    fits, beyond = "boat " * 75, "boat " * 76  # a start and an end token stand around the words
    assert small_encoder.truncated([fits, beyond, "boat"]) == [False, True, False]
    cut, whole = small_encoder.encode_texts([beyond, fits]).vectors
    np.testing.assert_allclose(cut, whole, atol=1e-6)


def test_the_shorter_context_of_a_sigmoid_model_counts(checkpoints: Checkpoints) -> None:
    encoder = open_encoder(checkpoints.name("small-sigmoid"), device="cpu", dtype="float32")
    assert encoder.model.context_length == 64
    assert encoder.truncated(["boat " * 62, "boat " * 63]) == [False, True]


def test_unknown_words_are_those_outside_the_vocabulary() -> None:
    reader = TextReader(None, frozenset({"a", "red", "boat"}))
    assert reader.unknown_words("A red ZEPPELIN, 3 boats; zeppelin-boat!") == ["zeppelin", "boats"]
    assert TextReader(None, None).unknown_words("anything") == []


def test_a_long_life_does_not_remember_every_word(
    small_encoder: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.encoder.texts._REMEMBERED_WORDS", 50)
    before = small_encoder.encode_texts(["boat<end_of_text>"]).vectors
    small_encoder.encode_texts([f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300)])
    after = small_encoder.encode_texts(["boat<end_of_text>"]).vectors
    assert len(small_encoder._reader._tokenizer.cache) < 100
    np.testing.assert_array_equal(before, after)


def test_many_threads_share_one_encoder(small_encoder: OpenClipEncoder) -> None:
    seen = pictures(6)
    expected = small_encoder.encode_images(seen).vectors
    words = small_encoder.encode_texts(["a dog", "a cat"]).vectors
    wrong: list[Any] = []

    def work() -> None:
        try:
            for _ in range(4):
                np.testing.assert_allclose(small_encoder.encode_images(seen).vectors, expected, atol=1e-6)
                np.testing.assert_allclose(small_encoder.encode_texts(["a dog", "a cat"]).vectors, words, atol=1e-6)
        except Exception as error:  # noqa: BLE001 - a thread's failure is carried to the test
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_waiting_query_comes_before_the_next_batch() -> None:
    turns, order = Turns(), []
    started = threading.Event()

    def query() -> None:
        started.set()
        with turns.taken():
            order.append("query")

    with turns.taken():
        thread = threading.Thread(target=query)
        thread.start()
        started.wait()
        while not turns._queue.locked():
            pass
    for _ in range(3):
        with turns.taken():
            order.append("batch")
    thread.join()
    assert order[0] == "query"


class SmallMemory:
    """Stands in for the GPU: refuses batches above ``limit`` as torch does when its memory is full."""

    def __init__(self, encode: Any, limit: int) -> None:
        self.encode, self.limit, self.tried = encode, limit, list[int]()

    def __call__(self, batch: Any, normalize: bool = False) -> Any:
        import torch

        self.tried.append(len(batch))
        if len(batch) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return self.encode(batch, normalize=normalize)


def test_a_full_gpu_halves_the_batch_and_remembers(checkpoints: Checkpoints, small_encoder: OpenClipEncoder) -> None:
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32", batch_size=16)
    memory = SmallMemory(encoder._network.encode_image, limit=5)
    encoder._network.encode_image = memory
    seen = pictures(18)
    vectors = encoder.encode_images(seen).vectors
    assert memory.tried == [16, 8, 4, 4, 4, 4, 2]
    assert encoder.batch_size == 4
    np.testing.assert_allclose(vectors, small_encoder.encode_images(seen).vectors, atol=1e-5)
    memory.tried.clear()
    encoder.encode_images(seen[:8])
    assert memory.tried == [4, 4]


def test_a_gpu_too_small_for_one_input_says_so() -> None:
    import torch

    def compute(start: int, stop: int) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(ModelUnavailable, match="too small"):
        Batches(4).run(3, compute)


def test_a_batch_holds_at_least_one_input() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        open_encoder("demo", batch_size=0)
