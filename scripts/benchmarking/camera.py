"""Indexing pictures of 12 megapixels: ours, and the same model behind open_clip's plain transform."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarking import checkpoints, pictures
from benchmarking.figures import Report, seconds_of
from benchmarking.indexing import SIZE_224, fresh_copies
from benchmarking.plain_pipeline import embed, plain_transform
from clipsearch.config import read_settings
from clipsearch.images import open_picture
from clipsearch.indexing import index_source
from clipsearch.library import Library


def index_12mp(report: Report, work: Path, *, images: int, runs: int) -> None:
    """Camera pictures: decoding alone, and the whole run, beside the same model behind open_clip's plain transform."""
    folder = work / f"pictures-12mp-{images}"
    paths = pictures.write_jpegs(folder, images, pictures.CAMERA)
    checkpoint = checkpoints.write_checkpoint(work / "models", SIZE_224)
    name = checkpoints.model_name(checkpoint)
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as scratch:
        settings = read_settings(data_dir=Path(scratch) / "data", model=name, device="cpu")
        with Library.open(settings) as library:
            camera = Camera(library, library.encoder(name), Path(scratch))
            decoding = camera.decoding(paths[:8], runs)
            report.add("decoding, one thread: plain", decoding["plain"], "images/s")
            report.add("decoding, one thread: ours", decoding["ours"], "images/s")
            ratio = [ours / plain for ours, plain in zip(decoding["ours"], decoding["plain"], strict=True)]
            report.add("decoding: ours / plain", ratio, goal=">= 4")
            camera.whole(paths[:2], 1)  # the first run of a library keeps more than pictures
            whole = camera.whole(paths, runs)
            report.add("whole run: plain, pipelined", whole["plain"], "images/s")
            report.add("whole run: ours", whole["ours"], "images/s")
            ratio = [ours / plain for ours, plain in zip(whole["ours"], whole["plain"], strict=True)]
            report.add("whole run: ours / plain", ratio, goal=">= 1.7")
            drawn = not pictures.photographs()
            note = "drawn pictures only: no photographs at hand" if drawn else ""
            cosines = camera.cosines(paths if drawn else paths[1::2])
            report.add("least cosine of embeddings, ours and plain", min(cosines), goal=None if drawn else ">= 0.999",
                       note=note)  # fmt: skip


class Camera:
    """12-megapixel files through one encoder, ours and by the plain transform."""

    def __init__(self, library: Library, encoder: Any, scratch: Path) -> None:
        self._library, self._encoder, self._scratch = library, encoder, scratch
        self._plain = plain_transform(encoder.model.image_size)
        self._run = 0

    def _ours(self, path: Path) -> Any:
        encoder = self._encoder
        opened = open_picture(path.read_bytes(), max_pixels=50_000_000, reduced_to=encoder.model.image_size)
        return encoder.prepare(opened.picture)

    def decoding(self, paths: Sequence[Path], runs: int) -> dict[str, list[float]]:
        """Images a second of one thread from file to the model's input."""
        rates: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(runs):
            for name, prepare in (("plain", self._plain), ("ours", self._ours)):
                rates[name].append(len(paths) / seconds_of(partial(_each, prepare, paths)))
        return rates

    def whole(self, paths: Sequence[Path], runs: int) -> dict[str, list[float]]:
        """Images a second from the first look to the last commit: ours with all that indexing does, the plain one
        embedding only. Not after a first batch: by then most of so few pictures would be decoded."""
        rates: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(runs):
            rates["plain"].append(len(paths) / seconds_of(partial(embed, self._encoder, paths, self._plain)))
            copies = self._fresh_copies(paths)
            indexing = partial(index_source, self._library, copies, collection=f"run-{self._run}")
            rates["ours"].append(len(paths) / seconds_of(indexing))
            shutil.rmtree(copies)
        return rates

    def cosines(self, paths: Sequence[Path]) -> list[float]:
        """Cosine of each file's embedding by the two ways."""
        pairs = [
            self._encoder.encode_prepared(np.stack([self._plain(path), self._ours(path)])).vectors for path in paths
        ]
        return [float(pair[0] @ pair[1]) for pair in pairs]

    def _fresh_copies(self, paths: Sequence[Path]) -> Path:
        self._run += 1
        return fresh_copies(paths, self._scratch / f"copies-{self._run}", f"{self._run}-")


def _each(prepare: Callable[[Path], Any], paths: Sequence[Path]) -> None:
    for path in paths:
        prepare(path)
