"""What is done on a GPU alone, in an order that a processor can check: streams and events are played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from encoder_fixtures import Checkpoints, make_checkpoints, pictures

from clipsearch.encoder import OpenClipEncoder, open_encoder, staging
from clipsearch.encoder.loading import load_model
from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.staging import GpuStaging, HostStaging, staging_for


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


class PlayedStream:
    """A stream that notes what it is asked for."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    def wait_stream(self, other: PlayedStream) -> None:
        self.notes.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened on the GPU that is played, in order."""
    happened: list[str] = []
    computing = PlayedStream("computing", happened)
    events = iter(range(1, 100))

    class PlayedEvent:
        def __init__(self) -> None:
            self.number = next(events)

        def record(self, stream: PlayedStream) -> None:
            happened.append(f"{stream.name} records {self.number}")

        def synchronize(self) -> None:
            happened.append(f"waited for {self.number}")

    @contextmanager
    def stream(one: PlayedStream) -> Iterator[None]:
        happened.append(f"to {one.name}")
        yield

    def record_stream(_tensor: torch.Tensor, one: PlayedStream) -> None:
        happened.append(f"kept for {one.name}")

    monkeypatch.setattr(torch.cuda, "Stream", lambda _device: PlayedStream("copying", happened))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: computing)
    monkeypatch.setattr(torch.cuda, "Event", PlayedEvent)
    monkeypatch.setattr(torch.Tensor, "record_stream", record_stream)
    monkeypatch.setattr(staging, "_pinned", torch.empty)
    return happened


def test_a_batch_crosses_over_on_its_own_stream_and_is_waited_for_before_it_is_read(notes: list[str]) -> None:
    stage = GpuStaging("cpu", torch.bfloat16, torch.channels_last)
    pixels = np.random.default_rng(0).standard_normal((5, 3, 8, 8)).astype(np.float32)
    for given in (pixels, list(pixels)):
        notes.clear()
        placed = stage.ready(stage.place(given))
        assert notes == ["to copying", "computing waits for copying", "kept for computing"]
        assert placed.dtype == torch.bfloat16
        assert placed.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_array_equal(placed.float().numpy(), torch.from_numpy(pixels).bfloat16().float().numpy())


def test_two_batches_are_underway_and_no_more(notes: list[str]) -> None:
    stage = GpuStaging("cpu", torch.float32, torch.channels_last)
    for _ in range(4):
        stage.launched()
    waits = [note for note in notes if note.startswith("waited")]
    assert waits == ["waited for 1", "waited for 2"]
    assert notes.index("waited for 1") > notes.index("computing records 3")


def test_the_processor_needs_none_of_this() -> None:
    assert isinstance(staging_for("cpu", torch.float32, torch.contiguous_format), HostStaging)


def test_the_next_batch_is_on_its_way_before_the_rows_of_the_last_are_fetched(
    checkpoints: Checkpoints, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = checkpoints.name("small-clip")
    plain = open_encoder(name, device="cpu", dtype="float32")
    encoder = OpenClipEncoder(load_model(parse_model_name(name)), "cpu", "float32", 2)
    encoder._staging = GpuStaging("cpu", torch.float32, torch.channels_last)
    fetch = torch.Tensor.cpu

    def cpu(tensor: torch.Tensor, *rest: Any) -> torch.Tensor:
        notes.append("fetched")
        return fetch(tensor, *rest)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    prepared = [encoder.prepare(picture) for picture in pictures(5)]
    rows = encoder.encode_prepared(prepared).vectors
    assert [note for note in notes if note in ("to copying", "fetched")] == ["to copying"] * 3 + ["fetched"] * 3
    np.testing.assert_allclose(rows, plain.encode_prepared(prepared).vectors, atol=1e-6)


def test_a_batch_too_large_for_the_memory_is_halved_wherever_it_fails(
    checkpoints: Checkpoints, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: notes.append("emptied"))
    name = checkpoints.name("small-clip")
    encoder = OpenClipEncoder(load_model(parse_model_name(name)), "cpu", "float32", 8)
    stage = GpuStaging("cpu", torch.float32, torch.channels_last)
    place = stage.place

    def cramped(pixels: staging.Pixels) -> torch.Tensor:
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return place(pixels)

    monkeypatch.setattr(stage, "place", cramped)
    encoder._staging = stage
    prepared = [encoder.prepare(picture) for picture in pictures(8)]
    assert encoder.encode_prepared(prepared).vectors.shape == (8, 24)
    assert encoder.batch_size == 2
    assert notes.count("emptied") == 2
