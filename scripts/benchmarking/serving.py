"""Millions of vectors behind the HTTP server: 32 clients on the same machine, every query another."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from benchmarking import checkpoints, libraries, words
from benchmarking.cold import serving
from benchmarking.figures import Report, percentile
from benchmarking.neighbours import Exam, recall
from benchmarking.processes import run_runner
from benchmarking.searching import exams
from benchmarking.vectors import make_space

ARCHITECTURE = "ViT-B-32"
CLIENTS = 32
BATCH = 32
ROUTE = f"/api/v1/collections/{libraries.COLLECTION}/search"

Request = tuple[str, str, str | None]


def prepare(report: Report, work: Path, *, vectors: int) -> Path:
    """The library of ``vectors`` under a model of random weights, with its index on disk; kept for the next time."""
    model = checkpoints.facts(checkpoints.write_checkpoint(work / "models", ARCHITECTURE))
    folder = work / f"library-served-{vectors}"
    started = time.perf_counter()
    with libraries.made_library(folder, libraries.made_rows(work, vectors), model) as library:
        filled = time.perf_counter()
        library.keep_snapshot(library.collection())
    if filled - started > 5:
        report.add("filling the library", (filled - started), "s", note="vectors made first, where they were not there")
    if time.perf_counter() - filled > 5:
        report.add("building its index from rows", time.perf_counter() - filled, "s")
    return folder


def serve(report: Report, work: Path, *, vectors: int, seconds: float, queries: int, runs: int) -> None:
    """Single searches by vector, batches, and searches by text, and the recall of what came back over HTTP."""
    folder = prepare(report, work, vectors=vectors)
    all_exams = exams(work, libraries.made_rows(work, vectors), queries)
    asked = _Vectors(vectors)
    with serving(folder) as address:
        _warm(address, asked)
        for exam in all_exams:
            _recall(report, address, exam)
        singles = _repeated(address, lambda count: [_single(asked.take()) for _ in range(count)], 500, seconds, runs)
        _tell(report, "single searches by vector", singles, 1, ">= 400")
        batches = _repeated(
            address, lambda count: [_batch([asked.take() for _ in range(BATCH)]) for _ in range(count)], 40, seconds,
            runs,
        )  # fmt: skip
        _tell(report, f"vectors in batches of {BATCH}", batches, BATCH, ">= 1000")
        texts = iter(words.queries(500_000, 10_000))
        by_text = _repeated(
            address, lambda count: [("GET", f"{ROUTE}?k=10&text={quote(next(texts))}", None) for _ in range(count)],
            150, seconds, runs,
        )  # fmt: skip
        _tell(report, "searches by text, encoding included", by_text, 1, ">= 150")


class _Vectors:
    """Queries that are never repeated: pictures and texts of the space in turns."""

    def __init__(self, vectors: int) -> None:
        self._space = make_space(vectors)
        self._kept: list[NDArray[np.float32]] = []
        self._stream = 100

    def take(self) -> NDArray[np.float32]:
        """The next one, float32 [dimension]."""
        if not self._kept:
            self._stream += 1
            images = self._space.images(2_000, 1_000_000 + self._stream)
            texts = self._space.texts(2_000, self._stream)
            self._kept = [row for pair in zip(images, texts, strict=True) for row in pair]
        return self._kept.pop()


def _term(vector: NDArray[np.float32]) -> dict[str, Any]:
    return {"terms": [{"vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}], "k": 10}


def _single(vector: NDArray[np.float32]) -> Request:
    return "POST", ROUTE, json.dumps(_term(vector))


def _batch(vectors: list[NDArray[np.float32]]) -> Request:
    return "POST", f"{ROUTE}/batch", json.dumps({"queries": [_term(vector) for vector in vectors]})


def _warm(address: str, asked: _Vectors) -> None:
    _load(address, [_single(asked.take()) for _ in range(500)])
    _load(address, [("GET", f"{ROUTE}?k=10&text={quote(text)}", None) for text in words.queries(64)])


def _recall(report: Report, address: str, exam: Exam) -> None:
    told = _load(address, [_single(query) for query in exam.queries])
    found = [np.array(ids[0], dtype=np.int64) for ids in told["ids"]]
    report.add(f"{exam.kind} queries: recall@10 over HTTP", recall(found, exam.truth), goal=">= 0.95")


def _repeated(address: str, make: Any, first: int, seconds: float, runs: int) -> list[dict[str, Any]]:
    """``runs`` loads that each last about ``seconds``; the first, of ``first`` requests, tells how many that takes."""
    trial = _load(address, make(first))
    count = max(CLIENTS * 4, int(first / trial["seconds"] * seconds))
    return [_load(address, make(count)) for _ in range(runs)]


def _tell(report: Report, name: str, loads: list[dict[str, Any]], each: int, goal: str) -> None:
    rates = [len(load["latencies"]) * each / load["seconds"] for load in loads]
    latencies = [one for load in loads for one in load["latencies"]]
    note = f"p50 {percentile(latencies, 0.5) * 1000:.0f} ms, p99 {percentile(latencies, 0.99) * 1000:.0f} ms"
    report.add(f"{name}, {CLIENTS} clients", rates, "a second", goal=goal, note=note)
    report.add(f"{name}: p99", percentile(latencies, 0.99) * 1000, "ms")


def _load(address: str, requests: list[Request]) -> dict[str, Any]:
    """What the load generator, a process of its own, saw. Raises RuntimeError for any answer that was no 200."""
    parts = urlsplit(address)
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as scratch:
        given, result = Path(scratch) / "requests.json", Path(scratch) / "result.json"
        given.write_text(json.dumps(requests), encoding="utf-8")
        asked = {"host": parts.hostname, "port": parts.port, "clients": CLIENTS, "requests": str(given),
                 "result": str(result)}  # fmt: skip
        run_runner(sys.executable, "load", asked)
        told: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if told["failed"] is not None:
        raise RuntimeError(f"not every search was answered: {told['statuses']}, {told['failed']}")
    return told
