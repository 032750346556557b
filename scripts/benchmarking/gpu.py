"""Images a second on a CUDA GPU, from files and from decoded tensors, beside the chip's own limit in bfloat16."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarking import checkpoints, pictures
from benchmarking.figures import Report, repeated
from benchmarking.processes import index_run
from clipsearch.encoder import open_encoder

# Multiplications and additions, counted apart, of one picture through the image tower.
FLOP = {"ViT-B-32": 8.8e9, "ViT-L-14": 162.0e9}
GOAL_SHARE = 0.6


def gpu(report: Report, work: Path, *, images: int, runs: int) -> None:
    """The share of the limit that encoding reaches, and what is left of it when files have to be decoded."""
    import torch

    if not torch.cuda.is_available():
        print("torch finds no CUDA GPU here: nothing was measured", flush=True)
        report.settings["gpu"] = None
        return
    report.settings["gpu"] = torch.cuda.get_device_name(0)
    limit = report.add("bfloat16 matrix product, 8192 × 8192", [one / 1e12 for one in _limit(runs)], "TFLOP/s")
    folder = work / f"pictures-640x480-{images}"
    pictures.write_jpegs(folder, images)
    for architecture, flop in FLOP.items():
        checkpoint = checkpoints.write_checkpoint(work / "models", architecture)
        name = checkpoints.model_name(checkpoint)
        encoder: Any = open_encoder(name, device="cuda", dtype="bfloat16")
        reached = [rate * flop / 1e12 / limit for rate in _from_tensors(encoder, runs)]
        report.add(f"{architecture}: from tensors on the GPU", [one * limit * 1e12 / flop for one in reached],
                   "images/s")  # fmt: skip
        report.add(f"{architecture}: share of the limit", reached, goal=f">= {GOAL_SHARE}")
        report.add(f"{architecture}: from decoded arrays in memory", _from_arrays(encoder, runs), "images/s")
        del encoder
        rates = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as data_dir:
                asked = {"folder": str(folder), "data_dir": data_dir, "model": name,
                         "settings": {"device": "cuda", "dtype": "bfloat16"}}  # fmt: skip
                rates.append(index_run(sys.executable, "clipsearch", asked).rate)
        report.add(f"{architecture}: indexing JPEG files of 640×480", rates, "images/s")


def _limit(runs: int) -> list[float]:
    """FLOP a second of a large product of bfloat16 matrices."""
    import torch

    size, rounds = 8192, 20
    left = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    right = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)

    def products() -> None:
        for _ in range(rounds):
            torch.mm(left, right)
        torch.cuda.synchronize()

    return [rounds * 2 * size**3 / seconds for seconds in repeated(products, runs, warm=2)]


def _from_tensors(encoder: Any, runs: int) -> list[float]:
    """Images a second of the image tower alone, its input being on the GPU already."""
    import torch

    network, size, batch, rounds = encoder._network, encoder.model.image_size, encoder.batch_size, 10
    pixels = torch.randn(batch, 3, size, size, device="cuda").to(torch.bfloat16)
    pixels = pixels.to(memory_format=torch.channels_last)

    def forwards() -> None:
        with torch.inference_mode():
            for _ in range(rounds):
                network.encode_image(pixels)
        torch.cuda.synchronize()

    return [rounds * batch / seconds for seconds in repeated(forwards, runs, warm=2)]


def _from_arrays(encoder: Any, runs: int) -> list[float]:
    """Images a second of ``encode_prepared``: copies to the GPU and back are in it."""
    import numpy as np

    batch, size = encoder.batch_size, encoder.model.image_size
    pixels = np.random.default_rng(0).standard_normal((4 * batch, 3, size, size), dtype=np.float32)
    return [len(pixels) / seconds for seconds in repeated(lambda: encoder.encode_prepared(pixels), runs, warm=1)]
