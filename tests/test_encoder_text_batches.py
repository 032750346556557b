"""Texts of many threads go through the model together: all get their own rows, and no one waits for long lists."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from encoder_fixtures import Checkpoints, make_checkpoints, pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipsearch.encoder import OpenClipEncoder, open_encoder
from clipsearch.encoder.text_batcher import TextBatcher
from clipsearch.encoder.text_cut import TextCut
from clipsearch.errors import Busy, InvalidVector

_CONTEXT, _END = 20, 1000
_CUT = TextCut("token", _END)
_PATIENCE = 30.0


class Model:
    """A model whose row is the sum and the count of a text's tokens up to its end, and that can be held up."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Semaphore(0)  # released each time it is entered
        self.at_once = 0

    def __call__(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        self.at_once += 1
        assert self.at_once == 1
        self.batches.append((tokens.shape[0], tokens.shape[1]))
        self.busy.release()
        assert self.free.wait(_PATIENCE)
        self.at_once -= 1
        if (tokens == 666).any():
            raise RuntimeError("an unlucky number")
        if (tokens == 667).any():
            raise KeyboardInterrupt
        said = np.arange(tokens.shape[1]) <= (tokens == _END).argmax(axis=1)[:, None]
        return np.stack([np.where(said, tokens, 0).sum(axis=1), said.sum(axis=1)], axis=1).astype(np.float32)


def _batcher(model: Callable[[NDArray[np.int64]], NDArray[np.float32]], **limits: int) -> TextBatcher:
    return TextBatcher(model, _CUT, 2, **{"texts": 8, "tokens": 80, **limits})


def _tokens(texts: list[list[int]]) -> NDArray[np.int64]:
    tokens = np.zeros((len(texts), _CONTEXT), dtype=np.int64)
    for row, words in zip(tokens, texts, strict=True):
        row[: len(words) + 1] = [*words, _END]
    return tokens


def _expected(texts: list[list[int]]) -> list[list[int]]:
    return [[sum(words) + _END, len(words) + 1] for words in texts]


class Asker(threading.Thread):
    """Someone in a thread of their own who keeps what they were given, or the error."""

    def __init__(self, batcher: TextBatcher, texts: list[list[int]]) -> None:
        super().__init__(daemon=True)
        self.texts = texts
        self.rows: NDArray[np.float32] | None = None
        self.error: BaseException | None = None
        self._batcher = batcher
        self.start()

    def run(self) -> None:
        try:
            self.rows = self._batcher.rows(_tokens(self.texts))
        except BaseException as error:  # noqa: BLE001 - a thread's failure is carried to the test
            self.error = error

    def answer(self) -> list[list[int]] | None:
        self.join(_PATIENCE)
        assert not self.is_alive()
        return None if self.rows is None else self.rows.astype(int).tolist()


def _wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def _waiting(batcher: TextBatcher) -> int:
    return len(batcher._few) + len(batcher._many)


@contextmanager
def _held_up(model: Model, batcher: TextBatcher, first: list[list[int]]) -> Iterator[Asker]:
    """While the block runs the model is busy with the texts of one asker, and whoever comes has to wait."""
    model.free.clear()
    asker = Asker(batcher, first)
    try:
        assert model.busy.acquire(timeout=_PATIENCE)
        yield asker
    finally:
        model.free.set()


_some_texts = st.lists(st.lists(st.integers(2, 600), max_size=_CONTEXT - 1), max_size=30)


@given(_some_texts, st.integers(1, 9), st.integers(1, 100))
def test_rows_come_in_order_from_batches_within_their_bounds(
    texts: list[list[int]], most_texts: int, most_tokens: int
) -> None:
    model = Model()
    rows = _batcher(model, texts=most_texts, tokens=most_tokens).rows(_tokens(texts))
    assert rows.shape == (len(texts), 2)
    assert rows.astype(int).tolist() == _expected(texts)
    assert sum(count for count, _ in model.batches) == len(texts)
    assert all(count == 1 or (count <= most_texts and count * length <= most_tokens) for count, length in model.batches)


@settings(max_examples=10)
@given(st.lists(_some_texts, min_size=32, max_size=32))
def test_every_asker_gets_exactly_their_own_rows(asked: list[list[list[int]]]) -> None:
    batcher = _batcher(Model())
    askers = [Asker(batcher, texts) for texts in asked]
    assert [asker.answer() for asker in askers] == [_expected(texts) for texts in asked]
    assert not batcher._led
    assert _waiting(batcher) == 0


def test_one_who_is_alone_does_not_wait_for_company() -> None:
    model = Model()
    batcher = _batcher(model)
    for number in range(3):
        assert batcher.rows(_tokens([[number]])).astype(int).tolist() == _expected([[number]])
    assert model.batches == [(1, 2)] * 3


def test_those_who_find_the_model_busy_are_encoded_together() -> None:
    model = Model()
    batcher = _batcher(model)
    with _held_up(model, batcher, [[1]]) as first:
        askers = [Asker(batcher, [[number, number]]) for number in range(7)]
        _wait_until(lambda: _waiting(batcher) == 8)
    assert [asker.answer() for asker in [first, *askers]] == [_expected(one.texts) for one in [first, *askers]]
    assert model.batches == [(1, 2), (7, 3)]


def test_a_long_text_does_not_make_the_short_ones_beside_it_dear() -> None:
    model = Model()
    batcher = _batcher(model, texts=64, tokens=10_000)
    with _held_up(model, batcher, [[1]]) as first:
        askers = [Asker(batcher, [[number]]) for number in range(20)]
        _wait_until(lambda: _waiting(batcher) == 21)
        askers.append(Asker(batcher, [[7] * 18]))
        _wait_until(lambda: _waiting(batcher) == 22)
    for asker in [first, *askers]:
        assert asker.answer() == _expected(asker.texts)
    assert model.batches == [(1, 2), (20, 2), (1, 19)]


def test_a_query_comes_before_the_next_part_of_a_long_list() -> None:
    model = Model()
    batcher = _batcher(model)
    with _held_up(model, batcher, [[number] for number in range(24)]) as long:
        query = Asker(batcher, [[1, 2, 3]])
        _wait_until(lambda: _waiting(batcher) == 2)
    assert query.answer() == _expected(query.texts)
    assert long.answer() == _expected(long.texts)
    assert model.batches == [(8, 2), (1, 4), (8, 2), (8, 2)]


def test_long_lists_take_turns() -> None:
    model = Model()
    batcher = _batcher(model)
    with _held_up(model, batcher, [[number] for number in range(24)]) as first:
        second = Asker(batcher, [[number, 1] for number in range(24)])
        _wait_until(lambda: _waiting(batcher) == 2)
    assert (first.answer(), second.answer()) == (_expected(first.texts), _expected(second.texts))
    assert model.batches == [(8, 2), (8, 3), (8, 2), (8, 3), (8, 2), (8, 3)]


def test_an_error_reaches_all_of_its_batch_and_no_one_else() -> None:
    model = Model()
    batcher = _batcher(model)
    with _held_up(model, batcher, [[1]]) as first:
        unlucky = [Asker(batcher, [[number]]) for number in (2, 666, 3)]
        _wait_until(lambda: _waiting(batcher) == 4)
        long = Asker(batcher, [[number] for number in range(24)])
        _wait_until(lambda: _waiting(batcher) == 5)
    assert first.answer() == _expected(first.texts)
    for asker in unlucky:
        assert asker.answer() is None
        assert isinstance(asker.error, RuntimeError)
        assert asker.error.args == ("an unlucky number",)
    assert len({id(asker.error) for asker in unlucky}) == 3, "each may add to it what it knows of its own texts"
    assert long.answer() == _expected(long.texts)
    assert batcher.rows(_tokens([[2]])).astype(int).tolist() == _expected([[2]])


def test_an_error_ends_a_long_list_and_what_follows_goes_on() -> None:
    model = Model()
    batcher = _batcher(model)
    with pytest.raises(RuntimeError):
        batcher.rows(_tokens([[number] for number in range(8)] + [[666]] + [[number] for number in range(30)]))
    assert len(model.batches) < 5
    assert _waiting(batcher) == 0
    assert batcher.rows(_tokens([[2]])).astype(int).tolist() == _expected([[2]])


def test_too_many_waiting_texts_are_sent_away_until_there_is_room() -> None:
    model = Model()
    batcher = _batcher(model, waiting=12)
    with _held_up(model, batcher, [[1]]) as first:
        second = Asker(batcher, [[number] for number in range(8)])
        _wait_until(lambda: _waiting(batcher) == 2)
        with pytest.raises(Busy) as caught:
            batcher.rows(_tokens([[1]] * 4))
        assert caught.value.retry_after >= 1
        third = Asker(batcher, [[1]] * 3)
        _wait_until(lambda: _waiting(batcher) == 3)
    for asker in (first, second, third):
        assert asker.answer() == _expected(asker.texts)
    # One list may be longer than all that may wait.
    assert batcher.rows(_tokens([[1]] * 30)).astype(int).tolist() == _expected([[1]] * 30)


def test_one_who_is_interrupted_while_leading_hands_on() -> None:
    model = Model()
    batcher = _batcher(model)
    with _held_up(model, batcher, [[667]]) as leading:
        others = [Asker(batcher, [[number]]) for number in range(4)]
        _wait_until(lambda: _waiting(batcher) == 5)
    assert [other.answer() for other in others] == [_expected(other.texts) for other in others]
    assert leading.answer() is None
    assert isinstance(leading.error, KeyboardInterrupt)
    assert not batcher._led


def test_one_who_is_interrupted_while_waiting_is_forgotten() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    model = Model()
    batcher = _batcher(model)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with _held_up(model, batcher, [[1]]) as first:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupted):
                batcher.rows(_tokens([[2]]))
            assert _waiting(batcher) == 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert first.answer() == _expected(first.texts)
    assert [count for count, _ in model.batches] == [1]
    assert batcher.rows(_tokens([[3]])).astype(int).tolist() == _expected([[3]])


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def encoder(checkpoints: Checkpoints) -> OpenClipEncoder:
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
    assert isinstance(encoder, OpenClipEncoder)
    return encoder


def test_a_row_that_is_no_number_is_its_askers_alone(checkpoints: Checkpoints) -> None:
    import torch

    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
    assert isinstance(encoder, OpenClipEncoder)
    expected = encoder.encode_texts(["boat"]).vectors
    with torch.no_grad():
        encoder._network.token_embedding.weight[int(encoder._reader.tokens(["zebra"])[0, 1])] = torch.nan
    wrong: list[Any] = []
    barrier = threading.Barrier(8)

    def ask(text: str) -> None:
        try:
            barrier.wait(_PATIENCE)
            for _ in range(5):
                if text == "zebra":
                    with pytest.raises(InvalidVector) as caught:
                        encoder.encode_texts(["boat", text])
                    assert caught.value.details["positions"] == [1]
                else:
                    np.testing.assert_allclose(encoder.encode_texts([text]).vectors, expected, atol=1e-6)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is carried to the test
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(text,)) for text in ["boat", "zebra"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_text_does_not_wait_for_pictures_on_a_cpu(encoder: OpenClipEncoder) -> None:
    finished = threading.Event()

    def ask() -> None:
        encoder.encode_texts(["boat"])
        finished.set()

    with encoder._turns.taken():  # as while a batch of pictures goes through the model
        thread = threading.Thread(target=ask)
        thread.start()
        assert finished.wait(_PATIENCE)
    thread.join()


def test_texts_and_pictures_at_once_give_their_own_rows(encoder: OpenClipEncoder) -> None:
    seen = pictures(6)
    images, texts = encoder.encode_images(seen).vectors, encoder.encode_texts(["a dog", "a cat"]).vectors
    wrong: list[Any] = []

    def work(image: bool) -> None:
        try:
            for _ in range(5):
                found, expected = (
                    (encoder.encode_images(seen), images)
                    if image
                    else (encoder.encode_texts(["a dog", "a cat"]), texts)
                )
                np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is carried to the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number % 2 == 0,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
