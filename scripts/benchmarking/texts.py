"""One short text query: ours beside eager float32 over the whole context, and the light runtime of the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarking import checkpoints, words
from benchmarking.figures import Report, percentile, seconds_of
from clipsearch.config import read_settings
from clipsearch.library import Library

ARCHITECTURE = "ViT-B-32"


def text(report: Report, work: Path, *, runs: int) -> None:
    """Median milliseconds of each way, taking turns, every text another."""
    import torch

    name = checkpoints.model_name(checkpoints.write_checkpoint(work / "models", ARCHITECTURE))
    eager = eager_float32(ARCHITECTURE)
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as scratch:
        ways: dict[str, Callable[[str], Any]] = {"eager float32, whole context": eager}
        libraries = []
        for runtime in ("torch", "openvino"):
            settings = read_settings(data_dir=Path(scratch) / runtime, model=name, device="cpu", runtime=runtime)
            try:
                libraries.append(Library.open(settings))
                encoder: Any = libraries[-1].encoder(name)
            except Exception as error:  # noqa: BLE001  one that is not installed is told and left out
                print(f"  {runtime}: {error}", flush=True)
                continue
            ways[f"clipsearch {runtime} {encoder.dtype}"] = partial(_encode_one, encoder)
        light = light_encoder(libraries[0], name)
        if light is not None:
            ways["clipsearch light (ONNX Runtime)"] = partial(_encode_one, light)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(-3, runs):
            for way, encode in ways.items():
                [query] = words.queries(1, number + 10)
                seconds = seconds_of(partial(encode, query))
                if number >= 0:
                    taken[way].append(seconds * 1000)
        for library in libraries:
            library.close()
    report.settings["threads"] = torch.get_num_threads()
    for way, milliseconds in taken.items():
        report.add(way, milliseconds, "ms", note=f"p95 {percentile(milliseconds, 0.95):.1f} ms")
    reference = report["eager float32, whole context"]
    for way in list(ways)[1:]:
        report.add(f"{way} / eager float32", report[way] / reference, goal="<= 0.2")


def _encode_one(encoder: Any, text: str) -> Any:
    return encoder.encode_texts([text])


def eager_float32(architecture: str) -> Callable[[str], Any]:
    """A text to its embedding as open_clip's own example has it, float32, all positions of the context."""
    network = checkpoints.random_network(architecture)
    import open_clip
    import torch

    def encode(text: str) -> Any:
        with torch.inference_mode():
            return network.encode_text(open_clip.tokenize([text]), normalize=True)

    return encode


def light_encoder(library: Library, name: str) -> Any:
    """The light text encoder of a library with one collection of this model, exported if need be; None without one."""
    collection, _ = library.ensure_collection("light", name)
    library.encoder_for(collection)  # keeps the model's row, without which nothing can be exported
    encoder, _ = library.text_encoder_for(collection)
    return encoder if encoder is not library.loaded_encoder(name) else None
