"""Indexing pictures of 640×480: ours in each runtime, beside the bound and beside the rivals."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarking import checkpoints, environments, pictures
from benchmarking.figures import Report, cores
from benchmarking.processes import IndexRun, index_run
from clipsearch.config import read_settings
from clipsearch.errors import ClipSearchError
from clipsearch.images import open_picture
from clipsearch.indexing import index_source
from clipsearch.library import Library

SIZE_224, SIZE_256 = "ViT-B-32", "ViT-B-32-256"
BATCH = 32
INT8 = "clipsearch openvino int8"


@dataclass
class Side:
    """One software at one setting: how to run it, and the runs it has had."""

    name: str
    once: Callable[[], IndexRun]
    runs: list[IndexRun] = field(default_factory=list)

    def median(self, what: Callable[[IndexRun], float]) -> float:
        """The median of one of the numbers of its runs."""
        return statistics.median(what(run) for run in self.runs)


def index_640(report: Report, work: Path, *, images: int, runs: int, runtimes: Sequence[str], rivals: bool) -> None:
    """500 pictures of 640×480: every side in each round, so that a slow moment of the machine meets all of them."""
    folder = work / f"pictures-640x480-{images}"
    pictures.write_jpegs(folder, images)
    sides = _own_sides(work, folder, runtimes) + (_int8_sides(work, folder) if "openvino" in runtimes else [])
    sides += _rival_sides(work, folder) if rivals else []
    for number in range(runs):
        for side in sides:
            side.runs.append(side.once())
            last = side.runs[-1]
            print(f"  run {number + 1}, {side.name}: {last.rate:.1f} images/s", flush=True)
    by_name = {side.name: side for side in sides}
    for side in sides:
        report.add(f"{side.name}: after the first batch", [run.rate for run in side.runs], "images/s")
        report.add(f"{side.name}: start-up to the first batch", [run.start_up for run in side.runs], "s")
        report.add(f"{side.name}: over the whole run", [run.whole_rate for run in side.runs], "images/s")
        goal = "<= 1.3" if side.name.startswith("clipsearch") else None
        report.add(f"{side.name}: peak memory", [run.peak_mb / 1000 for run in side.runs], "GB", goal=goal)
        report.add(f"{side.name}: with processes it started", [run.tree_mb / 1000 for run in side.runs], "GB")
    for runtime in runtimes:
        _against(report, by_name, runtime)
    if f"{INT8} {SIZE_224}" in by_name:
        _against(report, by_name, "openvino int8")
    _cosines(report, work, folder, runtimes)


def _against(report: Report, sides: dict[str, Side], runtime: str) -> None:
    ours = sides[f"clipsearch {runtime} {SIZE_224}"]
    for part in ("model", "decoder", "bound"):
        values = [run.told["bound"][part] for run in ours.runs]
        report.add(f"{ours.name}: {part} apart", values, "images/s")
    shares = [run.rate / run.told["bound"]["bound"] for run in ours.runs]
    report.add(f"{ours.name} / bound", shares, goal=">= 0.93")
    if all(len(run.told["batches"]) >= 5 for run in ours.runs):
        steady = [steady_rate(run.told["batches"]) / run.told["bound"]["bound"] for run in ours.runs]
        report.add(f"{ours.name}, first batch to last but two / bound", steady)
    goals = {"torch": (3.5, 1.5), "openvino": (4.0, 1.8), "openvino int8": (5.5, 2.3)}[runtime]
    rival = {"clip-retrieval": goals[0], "transformers float32": None, "transformers bfloat16": None}
    for name, goal in rival.items():
        if name in sides:
            ratio = [one.rate / other.rate for one, other in zip(ours.runs, sides[name].runs, strict=True)]
            report.add(f"{ours.name} / {name}", ratio, goal=f">= {goal}" if goal else None)
    if "rclip" in sides:
        at_256 = sides[f"clipsearch {runtime} {SIZE_256}"]
        ratio = [one.rate / other.rate for one, other in zip(at_256.runs, sides["rclip"].runs, strict=True)]
        report.add(f"{at_256.name} / rclip", ratio, goal=f">= {goals[1]}")


def _own_sides(work: Path, folder: Path, runtimes: Sequence[str]) -> list[Side]:
    return [
        Side(f"clipsearch {runtime} {architecture}", partial(_own_run, work, folder, architecture, runtime))
        for runtime in runtimes
        for architecture in (SIZE_224, SIZE_256)
    ]


def _own_run(
    work: Path, folder: Path, architecture: str, runtime: str, dtype: str = "auto", kept: Path | None = None
) -> IndexRun:
    """One indexing into a new library; ``kept`` holds what a library has kept of its models before."""
    checkpoint = checkpoints.write_checkpoint(work / "models", architecture)
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as data_dir:
        if kept is not None:
            shutil.copytree(kept, Path(data_dir) / kept.name)
        asked = {
            "folder": str(folder), "data_dir": data_dir, "model": checkpoints.model_name(checkpoint),
            "bound": architecture == SIZE_224, "settings": {"device": "cpu", "dtype": dtype},
        }  # fmt: skip
        # The text runtime is exported once for a model, after the images: no part of what is compared.
        env = {"CLIPSEARCH_RUNTIME": runtime, "CLIPSEARCH_LIGHT_TEXT": "false"}
        return index_run(sys.executable, "clipsearch", asked, env=env)


def _int8_sides(work: Path, folder: Path) -> list[Side]:
    """int8 by the user's own way: a library calibrates by its images, and it counts only where its check passes."""
    from clipsearch.calibrating import calibrate

    sides = []
    for architecture in (SIZE_224, SIZE_256):
        name = checkpoints.model_name(checkpoints.write_checkpoint(work / "models", architecture))
        place = work / f"int8-{architecture}"
        settings = read_settings(data_dir=place, model=name, device="cpu", runtime="openvino")
        try:
            with Library.open(settings) as library:
                index_source(library, folder)
                report = calibrate(library)
        except ClipSearchError as error:
            print(f"  int8 is left out: {error.message}", flush=True)
            return []
        print(f"  int8, {architecture}: {report.model_dump_json()}", flush=True)
        if not report.passed:
            print("  int8 is left out: its check did not pass", flush=True)
            return []
        run = partial(_own_run, work, folder, architecture, "openvino", "int8", library.runtimes_folder)
        sides.append(Side(f"{INT8} {architecture}", run))
    return sides


def _cosines(report: Report, work: Path, folder: Path, runtimes: Sequence[str]) -> None:
    """The least cosine of a picture's embedding with that of torch in float32."""
    from clipsearch.encoder import open_encoder

    name = checkpoints.model_name(checkpoints.write_checkpoint(work / "models", SIZE_224))
    exact: Any = open_encoder(name, device="cpu", dtype="float32")
    paths = sorted(folder.iterdir())[:64]
    pixels = [
        exact.prepare(open_picture(path.read_bytes(), max_pixels=50_000_000, reduced_to=224).picture) for path in paths
    ]
    expected = exact.encode_prepared(pixels).vectors
    for runtime in runtimes:
        with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as cache:
            encoder: Any = open_encoder(name, device="cpu", runtime=runtime, cache=Path(cache))
            cosines = (encoder.encode_prepared(pixels).vectors * expected).sum(axis=1)
        report.add(f"clipsearch {runtime} ({encoder.dtype}): least cosine to float32", float(cosines.min()),
                   goal=">= 0.9999")  # fmt: skip


def _rival_sides(work: Path, folder: Path) -> list[Side]:
    pythons = {rival: environments.environment(work / "environments", rival) for rival in environments.PACKAGES}
    for rival, python in pythons.items():
        print(f"  {rival} {environments.versions(python, rival)}", flush=True)
    rclip_models = checkpoints.write_rclip_models(work / "rclip", SIZE_256)
    weights = checkpoints.torch_checkpoint(checkpoints.write_checkpoint(work / "models", SIZE_224))
    threads = cores()

    def rclip() -> IndexRun:
        with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as data_dir:
            for entry in rclip_models.iterdir():  # the models, and no database of an earlier run
                if entry.is_dir():
                    (Path(data_dir) / entry.name).symlink_to(entry)
            env = {"RCLIP_DATADIR": data_dir, "HF_HUB_OFFLINE": "1"}
            return index_run(pythons["rclip"], "rclip", {"folder": str(folder)}, env=env)

    def clip_retrieval() -> IndexRun:
        with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as output:
            asked = {
                "folder": str(folder), "output": output, "architecture": SIZE_224, "checkpoint": str(weights),
                "batch_size": BATCH, "workers": threads,
            }  # fmt: skip
            return index_run(pythons["clip-retrieval"], "clip_retrieval", asked, env={"WANDB_MODE": "disabled"})

    def transformers(dtype: str) -> Callable[[], IndexRun]:
        def run() -> IndexRun:
            with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as output:
                asked = {"folder": str(folder), "output": f"{output}/rows.pt", "dtype": dtype,
                         "batch_size": BATCH, "threads": threads}  # fmt: skip
                return index_run(pythons["transformers"], "transformers", asked)

        return run

    return [
        Side("rclip", rclip),
        Side("clip-retrieval", clip_retrieval),
        Side("transformers float32", transformers("float32")),
        Side("transformers bfloat16", transformers("bfloat16")),
    ]


def fresh_copies(paths: Sequence[Path], folder: Path, mark: str) -> Path:
    """The same pictures in ``folder`` as bytes that no library has met."""
    folder.mkdir(parents=True)
    for path in paths:
        [copy] = pictures.copies(path.read_bytes(), 1, mark)
        (folder / path.name).write_bytes(copy)
    return folder


def index_batches(library: Library, folder: Path, collection: str) -> list[tuple[float, int]]:
    """When each batch of indexing ``folder`` was done, and how many images were by then. The folder is removed."""
    noted: list[tuple[float, int]] = []

    def on_progress(progress: Any) -> None:
        if progress.encoded > (noted[-1][1] if noted else 0):
            noted.append((time.perf_counter(), progress.encoded))

    try:
        index_source(library, folder, collection=collection, on_progress=on_progress)
    finally:
        shutil.rmtree(folder)
    return noted


def steady_rate(batches: Sequence[tuple[float, int]]) -> float:
    """Images a second between the end of the first batch and that of the last but two.

    At both moments two batches lie decoded ahead, so that neither was given decoding for nothing. Raises ValueError
    for fewer than five batches.
    """
    if len(batches) < 5:
        raise ValueError(f"{len(batches)} batches have no middle")
    (first_at, first), (last_at, last) = batches[0], batches[-3]
    return (last - first) / (last_at - first_at)
