"""Measures model and decoder apart, and says how fast they can be together; alone knows that formula."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SAMPLE = 128
ROUNDS = 3


def bound_of(model: float, decoder: float, cores: int) -> float:
    """Images a second that ``cores`` cores can do when no core ever waits.

    ``model`` is the images a second of the model alone on all cores, ``decoder`` those of one thread that reads,
    decodes and prepares. An image takes cores/model + 1/decoder core-seconds, and there are ``cores`` of
    them in a second.
    """
    return cores / (cores / model + 1 / decoder)


def measure_bound(
    encoder: Any, files: Sequence[Path], max_pixels: int, *, sample: int = SAMPLE, rounds: int = ROUNDS
) -> dict[str, float]:
    """Images a second of ``encoder`` alone, of one thread's decoding alone, and the bound; medians of rounds."""
    from clipsearch.images import open_picture, read_file

    chosen = list(files)[:sample]

    def decoded(path: Path) -> Any:
        data = read_file(path)
        opened = open_picture(data, max_pixels=max_pixels, reduced_to=encoder.model.image_size)
        return encoder.prepare(opened.picture)

    pixels = [decoded(path) for path in chosen]
    batch = min(encoder.batch_size, len(pixels))
    whole = pixels[: len(pixels) // batch * batch]
    encoder.encode_prepared(whole[:batch])
    model_rates, decoder_rates = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        for start in range(0, len(whole), batch):
            encoder.encode_prepared(whole[start : start + batch])
        model_rates.append(len(whole) / (time.perf_counter() - started))
        started = time.perf_counter()
        for path in chosen:
            decoded(path)
        decoder_rates.append(len(chosen) / (time.perf_counter() - started))
    model, decoder = statistics.median(model_rates), statistics.median(decoder_rates)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"model": model, "decoder": decoder, "cores": cores, "bound": bound_of(model, decoder, cores)}
