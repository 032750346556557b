"""A thousand labels: for a million stored embeddings at once, and for one picture that comes over HTTP."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarking import checkpoints, libraries, pictures, words
from benchmarking.figures import Report, percentile, repeated
from benchmarking.local_server import Client, served, upload
from benchmarking.searching import opened_library
from benchmarking.vectors import make_space
from clipsearch.classifying import classify_all
from clipsearch.config import read_settings
from clipsearch.database import label_embeddings as label_vectors
from clipsearch.database import label_sets as label_rows
from clipsearch.database.embeddings import changes_after
from clipsearch.label_files import draft_of
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.queries import Labels

LABELS = 1_000
SET = "many"
ARCHITECTURE = "ViT-B-32"
BLOCK = 20_000


def classify_many(report: Report, work: Path, *, vectors: int, runs: int) -> None:
    """The best label of every stored embedding; reading apart, and every top-1 held to float32."""
    rows = libraries.made_rows(work, vectors)
    labels = make_space(vectors).texts(LABELS, stream=2)
    with opened_library(work, rows) as library:
        reading = repeated(lambda: _read(library), 1, warm=0)
        report.add(
            "reading the embeddings from rows", reading, "s", note="SQL, as a rebuilding of the index reads them"
        )
        _keep_labels(library, labels)
        found: list[NDArray[np.int64]] = []

        def label_all() -> None:
            predictions = classify_all(library, Labels(label_set=SET), top=1)
            found[:] = [block.ranked.positions[:, 0] for block in predictions]

        report.add("the best label of each, embeddings in memory", repeated(label_all, runs), "s", goal="<= 4")
        expected = np.concatenate([_best(rows[start : start + BLOCK], labels) for start in range(0, vectors, BLOCK)])
        same = float(np.mean(np.concatenate(found) == expected))
    report.add("top-1 equal to float32", same, goal=">= 0.99999", note=f"{int((1 - same) * vectors + 0.5)} differ")


def _read(library: Library) -> None:
    collection = library.collection()
    model = library.model_of(collection)
    if model is None:
        raise RuntimeError("the made library has no model")
    with library.database.read() as connection:
        for _ in changes_after(connection, collection.id, model.id, model.model.dimension, -1):
            pass


def _keep_labels(library: Library, vectors: NDArray[np.float32]) -> None:
    """A label set whose embeddings came with it, so that no model is asked for them."""
    save_label_set(library, SET, draft_of([(label, ()) for label in words.labels(len(vectors))]), replace=True)
    model = library.model_of(library.collection())
    if model is None:
        raise RuntimeError("the made library has no model")
    with library.database.write() as connection:
        label_vectors.save_label_embeddings(connection, label_rows.get_label_set(connection, SET), model.id, vectors)


def _best(rows: NDArray[np.float16], labels: NDArray[np.float32]) -> NDArray[np.int64]:
    """The best label of each row by a plain product in float32 of what is stored, int64 [n]."""
    stored = labels.astype(np.float16).astype(np.float32)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    images = np.asarray(rows, dtype=np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    best: NDArray[np.int64] = (images @ stored.T).argmax(axis=1)
    return best


def classify_http(report: Report, work: Path, *, runs: int) -> None:
    """Uploads of 640×480 with a stored set of labels, its embeddings kept; every picture another."""
    name = checkpoints.model_name(checkpoints.write_checkpoint(work / "models", ARCHITECTURE))
    folder = work / "pictures-640x480-500"
    paths = pictures.write_jpegs(folder, runs + 5)[: runs + 5]
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as scratch:
        settings = read_settings(data_dir=Path(scratch), model=name, device="cpu")
        with Library.open(settings) as library:
            save_label_set(library, "many", draft_of([(label, ()) for label in words.labels(LABELS)]))
            encoder = library.encoder(name)
            requests = []
            for path in paths:
                body, content_type = upload("image", path.read_bytes())
                requests.append(("POST", "/api/v1/label-sets/many/classify", body, content_type))
            with served(library) as address:
                client = Client(address)
                started = time.perf_counter()
                client.timed(requests[:1])
                report.add(f"the first request, which embeds the {LABELS:,} labels", time.perf_counter() - started, "s")
                client.timed(requests[1:5])
                taken = [1000 * seconds for seconds in client.timed(requests[5:])]
                client.close()
            report.settings["encoder"] = f"{type(encoder).__name__} {encoder.dtype}"
            report.add("one upload, labels kept: p50", percentile(taken, 0.5), "ms", goal="<= 40",
                       note=f"p99 {percentile(taken, 0.99):.0f} ms")  # fmt: skip
            prompts = [f"a photo of a {label}" for label in words.labels(LABELS)]
            started = time.perf_counter()
            encoder.encode_texts(prompts)
            uncached = (time.perf_counter() - started) * 1000 + percentile(taken, 0.5)
            report.add("the same with the labels embedded anew", uncached, "ms")
