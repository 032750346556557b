"""The short benchmark: six figures in under 50 seconds, with nothing but the project installed, and no network."""

from __future__ import annotations

import json
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarking import checkpoints, libraries, neighbours, pictures, words
from benchmarking.camera import Camera
from benchmarking.cold import cold_searches
from benchmarking.figures import percentile, seconds_of
from benchmarking.indexing import fresh_copies, index_batches, steady_rate
from benchmarking.local_server import Client, served, upload
from benchmarking.runners.bound import measure_bound
from benchmarking.vectors import make_space
from clipsearch.config import read_settings
from clipsearch.label_files import draft_of
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.vector_index import build_index

FIGURES = (
    "text_query_vs_fp32",
    "index_vs_bound",
    "index_vs_open_clip_plain_12mp",
    "classify_1000_labels_ms",
    "cold_search_s",
    "search_200k_p50_ms",
)
QUERY = "a dog on a beach"


@dataclass(frozen=True)
class Scale:
    """How much of everything; the defaults fill 50 seconds of two cores."""

    most_images: int = 256
    index_seconds: float = 2.0  # how long one indexing may take; a slow machine gets fewer images
    picture_size: tuple[int, int] = pictures.SMALL
    camera_images: int = 16
    camera_originals: int = 2
    camera_size: tuple[int, int] = pictures.CAMERA
    runs: int = 1
    text_runs: int = 15
    labels: int = 1_000
    requests: int = 12
    cold_vectors: int = 25_000
    cold_runs: int = 1
    search_vectors: int = 200_000
    queries: int = 120


Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Candidate:
    """The model that is measured: its name, and its network in float32 with its tokenizer, to run it plainly."""

    name: str
    network: Any
    tokenizer: Any


def random_candidate(folder: Path, architecture: str = "ViT-B-32") -> Candidate:
    """A model of random weights, its checkpoint in ``folder``."""
    network = checkpoints.random_network(architecture)
    import open_clip

    checkpoint = checkpoints.write_checkpoint(folder, architecture, network)
    return Candidate(checkpoints.model_name(checkpoint), network, open_clip.get_tokenizer(architecture))


def quick(
    scale: Scale | None = None, say: Any = print, make: Callable[[Path], Candidate] = random_candidate
) -> Figures:
    """Every figure of FIGURES: ``value`` is what is judged, ``ours`` and ``reference`` are what it is made of."""
    scale = scale or Scale()
    logging.getLogger().setLevel(logging.ERROR)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="clipsearch-quick-") as name:
        started = time.monotonic()
        bench = _Bench(scale, Path(name), make(Path(name) / "models"))
        say(f"the model: {time.monotonic() - started:.1f} s")
        try:
            for figure in FIGURES:
                started = time.monotonic()
                figures[figure] = getattr(bench, figure)()
                say(f"{figure}: {json.dumps(figures[figure])} ({time.monotonic() - started:.1f} s)")
        finally:
            bench.close()
    return figures


class _Bench:
    """What the figures share: one model of random weights in float32 and in an open library."""

    def __init__(self, scale: Scale, folder: Path, candidate: Candidate) -> None:
        self._scale, self._folder = scale, folder
        self._model, self._eager, self._tokenizer = candidate.name, candidate.network, candidate.tokenizer
        # Torch: another runtime would first convert the model, for a third of the time that there is.
        settings = read_settings(
            data_dir=folder / "library", model=self._model, device="cpu", runtime="torch", batch_size=16
        )
        self._library = Library.open(settings)
        self._encoder: Any = self._library.encoder(self._model)

    def close(self) -> None:
        """Close the library."""
        self._library.close()

    def text_query_vs_fp32(self) -> dict[str, float]:
        """Milliseconds of one short text query, ours and by eager float32 over the whole context."""
        import torch

        def eager() -> Any:
            with torch.inference_mode():
                return self._eager.encode_text(self._tokenizer([QUERY]), normalize=True)

        ours, reference = [], []
        for number in range(-2, self._scale.text_runs):
            [text] = words.queries(1, number + 3)
            pair = seconds_of(partial(self._encoder.encode_texts, [text])), seconds_of(eager)
            if number >= 0:
                ours.append(pair[0] * 1000)
                reference.append(pair[1] * 1000)
        self._eager = None  # half a gigabyte
        return _ratio(ours, reference)

    def index_vs_bound(self) -> dict[str, float]:
        """Images a second of indexing 640×480 files, and what model and decoder could do together."""
        scale, batch, rates = self._scale, self._encoder.batch_size, []
        paths = pictures.write_jpegs(self._folder / "pictures", batch, scale.picture_size)
        bounds = [self._bound(paths)]
        # Whole batches: the first and the last two do not count. A slow machine gets fewer, and one run.
        batches = max(6, min(scale.most_images, int(bounds[0] * scale.index_seconds)) // batch)
        slow = batches * batch > 2 * bounds[0] * scale.index_seconds
        paths = pictures.write_jpegs(self._folder / "pictures", batches * batch, scale.picture_size)
        for number in range(1 if slow else scale.runs):
            copies = fresh_copies(paths, self._folder / f"copies-{number}", f"{number}-")
            rates.append(steady_rate(index_batches(self._library, copies, f"pictures-{number}")))
            bounds.append(self._bound(paths[: 2 * batch]))
        # What was measured just before and just after each run.
        around = [(before + after) / 2 for before, after in pairwise(bounds)]
        return _ratio(rates, around) | {"images": len(paths)}

    def _bound(self, paths: list[Path]) -> float:
        limit = self._library.settings.max_pixels
        return measure_bound(self._encoder, paths, limit, sample=len(paths), rounds=1)["bound"]

    def index_vs_open_clip_plain_12mp(self) -> dict[str, float]:
        """Images a second of indexing 12-megapixel files, and of embedding them behind open_clip's transform."""
        scale = self._scale
        originals = pictures.write_jpegs(self._folder / "camera", scale.camera_originals, scale.camera_size)
        folder = self._folder / "camera-copies"
        folder.mkdir()
        paths = []
        for number in range(scale.camera_images):
            paths.append(folder / f"{number:05d}.jpg")
            [copy] = pictures.copies(originals[number % len(originals)].read_bytes(), 1, f"{number}:")
            paths[-1].write_bytes(copy)
        whole = Camera(self._library, self._encoder, self._folder).whole(paths, 1)
        return _ratio(whole["ours"], whole["plain"])

    def classify_1000_labels_ms(self) -> dict[str, float]:
        """Milliseconds of classifying one upload over HTTP; beside it, of embedding picture and labels anew."""
        labels = words.labels(self._scale.labels)
        save_label_set(self._library, "many", draft_of([(label, ()) for label in labels]))
        data = pictures.jpeg(1, pictures.SMALL, next(iter(pictures.photographs()[:1]), None))
        requests = []
        for copy in pictures.copies(data, self._scale.requests + 2, "classify"):
            body, content_type = upload("image", copy)
            requests.append(("POST", "/api/v1/label-sets/many/classify", body, content_type))
        with served(self._library) as address:
            client = Client(address)
            client.timed(requests[:2])  # the first embeds the labels, which are kept then
            ours = [seconds * 1000 for seconds in client.timed(requests[2:])]
            client.close()
        # Some of them, for the time: the cost of texts is in proportion to their number.
        prompts = [f"a photo of a {label}" for label in labels[:64]]
        share = len(labels) / len(prompts)
        uncached = seconds_of(lambda: self._encoder.encode_texts(prompts)) * 1000 * share
        return {"value": _median(ours), "ours": _median(ours), "reference": uncached + _median(ours)}

    def cold_search_s(self) -> dict[str, float]:
        """Seconds of one search by words from the command line, and of a process that loads torch and the model."""
        rows = libraries.rows_in_memory(make_space(self._scale.cold_vectors), self._scale.cold_vectors)
        folder = self._folder / "cold"
        rows = rows[:, : self._encoder.model.dimension]
        with libraries.made_library(folder, _unit_halves(rows), self._encoder.model) as library:
            library.keep_snapshot(library.collection())
        # What indexing has kept for the searches of this library serves here too.
        kept = self._library.settings.data_dir / "runtimes"
        if kept.is_dir():
            shutil.copytree(kept, folder / "runtimes", dirs_exist_ok=True)
        [_, *ours] = cold_searches(folder, self._scale.cold_runs + 1)  # the first verifies it
        program = (
            "import sys; from clipsearch.config import read_settings; from clipsearch.library import Library\n"
            "from clipsearch.encoder import open_encoder; from clipsearch.searching import search\n"
            "from clipsearch.queries import Query, Term\n"
            "with Library.open(read_settings(data_dir=sys.argv[1])) as library:\n"
            "    vector = open_encoder(sys.argv[2], device='cpu').encode_texts([sys.argv[3]]).vectors[0]\n"
            "    term = Term(vector=tuple(map(float, vector)))\n"
            "    print(search(library, Query(terms=(term,)), collection='made').model_dump_json())\n"
        )
        command = [sys.executable, "-c", program, str(folder), self._model, QUERY]
        reference = seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))
        value = _median(ours)
        return {"value": value, "ours": value, "reference": reference, "vectors": self._scale.cold_vectors}

    def search_200k_p50_ms(self) -> dict[str, float]:
        """Milliseconds of one vector query on one thread, and of an exact scan; recall for both kinds of query."""
        count, asked = self._scale.search_vectors, self._scale.queries
        space = make_space(count)
        rows = libraries.rows_in_memory(space, count)
        index = build_index(
            space.dimension, np.arange(count, dtype=np.int64), rows, text_like={"text": space.texts(400, stream=1)}
        )
        kinds = {"image": space.image_queries(asked), "text": space.texts(asked)}
        together = neighbours.exact(rows, np.concatenate(list(kinds.values())))
        taken: list[float] = []
        recalls: dict[str, float] = {}
        with neighbours.one_thread():
            for number, (kind, queries) in enumerate(kinds.items()):
                exam = neighbours.Exam(kind, queries, together[number * asked : (number + 1) * asked])
                seconds, recalls[f"recall_{kind}"] = neighbours.examined(index, exam)
                taken += [1000 * one for one in seconds]
            few = neighbours.Exam("image", kinds["image"][:20], together[:20])
            reference = [1000 * one for one in neighbours.examined(index, few, exact=True)[0]]
        p50 = percentile(taken, 0.5)
        return {"value": p50, "ours": p50, "reference": percentile(reference, 0.5), **recalls}


def _ratio(ours: list[float], reference: list[float]) -> dict[str, float]:
    values = [one / other for one, other in zip(ours, reference, strict=True)]
    return {"value": _median(values), "ours": _median(ours), "reference": _median(reference)}


def _median(values: list[float]) -> float:
    return float(statistics.median(values))


def _unit_halves(rows: Any) -> Any:
    single = rows.astype(np.float32)
    return (single / np.linalg.norm(single, axis=1, keepdims=True)).astype(np.float16)
