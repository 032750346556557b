"""One query among a million on one thread: time, recall, filters, opening, rebuilding; and the real label vectors."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarking import libraries
from benchmarking.figures import Report, percentile, seconds_of
from benchmarking.neighbours import Exam, exact, examined, one_thread, recall
from benchmarking.runners.stopwatch import peak_mb
from benchmarking.vectors import geometry, make_space
from clipsearch.database.filtering import filtered_ids
from clipsearch.library import Library
from clipsearch.queries import Filters
from clipsearch.vector_index import build_index

_EPOCH = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def exams(work: Path, rows: NDArray[np.float16], queries: int) -> list[Exam]:
    """Image and text-like queries with their true neighbours among ``rows`` (ids count from 1); kept in ``work``."""
    path = work / f"exams-{len(rows)}-{queries}.npz"
    space = make_space(len(rows), rows.shape[1])
    kinds = {"image": space.image_queries(queries), "text": space.texts(queries)}
    if not path.is_file():
        print(f"looking for the true neighbours among {len(rows):,}", flush=True)
        truth = exact(rows, np.concatenate(list(kinds.values()))) + 1
        np.savez(path, truth=truth)
    with np.load(path) as kept:
        truth = kept["truth"]
    return [
        Exam(kind, asked, truth[number * queries : (number + 1) * queries])
        for number, (kind, asked) in enumerate(kinds.items())
    ]


def search(report: Report, work: Path, *, vectors: int, queries: int) -> None:
    """p50 and recall of single queries on one thread; the geometry of what is searched; memory."""
    rows = libraries.made_rows(work, vectors)
    space = make_space(vectors)
    found = geometry(np.asarray(rows[:5_000], dtype=np.float32), space.texts(2_000))
    report.settings["geometry"] = found.__dict__
    library = opened_library(work, rows)
    with library:
        view = library.index(library.collection())
        if view is None:
            raise RuntimeError("the made library has no index")
        index: Any = view.index
        report.settings |= {"kind": index.kind, "trial": str(getattr(index, "trial", None))}
        report.add("index memory", index.memory_bytes / 1e9, "GB", note=f"{index.kind}, {len(index):,} vectors")
        everything: list[float] = []
        with one_thread():
            for exam in exams(work, rows, queries):
                examined(index, Exam(exam.kind, exam.queries[:50], exam.truth[:50]))  # pages it in
                seconds, share = examined(index, exam)
                everything += seconds
                report.add(f"one {exam.kind} query, one thread: p50", percentile(seconds, 0.5) * 1000, "ms",
                           goal="<= 2", note=f"p99 {percentile(seconds, 0.99) * 1000:.2f} ms")  # fmt: skip
                report.add(f"{exam.kind} queries: recall@10", share, goal=">= 0.97")
            few = Exam("image", exam.queries[:20], exam.truth[:20])
            seconds, share = examined(index, few, exact=True)
            report.add("the same, exact scan of all: p50", percentile(seconds, 0.5) * 1000, "ms")
            report.add("exact scan: recall@10", share)
        report.add("all queries together: p50", percentile(everything, 0.5) * 1000, "ms", goal="<= 2")
    _real(report)


def filters(report: Report, work: Path, *, vectors: int, queries: int) -> None:
    """Filters that keep a tenth, a hundredth and a thousandth: the SQL part and the vector part apart."""
    rows = libraries.made_rows(work, vectors)
    with opened_library(work, rows) as library:
        row = library.collection()
        view = library.index(row)
        if view is None:
            raise RuntimeError("the made library has no index")
        all_exams = exams(work, rows, queries)
        with one_thread():
            plain = [second for exam in all_exams for second in examined(view.index, exam)[0]]
            unfiltered = report.add("no filter: vector part, p50", percentile(plain, 0.5) * 1000, "ms")
            for share in (0.1, 0.01, 0.001):
                kept = int(vectors * share)
                # A stretch of the middle: times grow with the ids, and groups lie across them.
                first = vectors // 2 - kept // 2
                chosen = Filters(
                    taken_from=_EPOCH + dt.timedelta(minutes=first + 1),
                    taken_to=_EPOCH + dt.timedelta(minutes=first + kept),
                )
                sql, among = _timed_ids(library, row.id, chosen)
                report.add(f"filter keeping {share:.1%}: SQL part", sql, "ms", note=f"{len(among):,} rows")
                taken: list[float] = []
                found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
                for exam in all_exams:
                    truth = exact(rows[first : first + kept], exam.queries) + first + 1
                    for query in exam.queries:
                        started = time.perf_counter()
                        [answer] = view.index.search(query, 10, among=among)
                        taken.append(time.perf_counter() - started)
                        found.append((answer.ids, truth[len(found) % len(truth)]))
                p50 = report.add(f"filter keeping {share:.1%}: vector part, p50", percentile(taken, 0.5) * 1000, "ms")
                report.add(f"filter keeping {share:.1%}: vector part / unfiltered", p50 / unfiltered, goal="<= 5")
                got = recall([ids for ids, _ in found], np.stack([true for _, true in found]))
                report.add(f"filter keeping {share:.1%}: recall@10", got, goal=">= 0.99")


def open_and_rebuild(report: Report, work: Path, *, vectors: int, runs: int) -> None:
    """Opening a collection from its snapshot in a library just opened, and building its index from rows."""
    rows = libraries.made_rows(work, vectors)
    opened_library(work, rows).close()
    folder = _folder(work, vectors)
    query = make_space(vectors).image_queries(1)[0]
    opened, answered = [], []
    for _ in range(runs):
        started = time.perf_counter()
        with Library.open(_settings(folder)) as library:
            view = library.index(library.collection())
            if view is None:
                raise RuntimeError("the made library has no index")
            opened.append(time.perf_counter() - started)
            view.index.search(query, 10)
            answered.append(time.perf_counter() - started)
    report.add("opening library and index from the snapshot", opened, "s", goal="<= 2")
    report.add("opening, first answer included", answered, "s")
    with Library.open(_settings(folder)) as library:
        row = library.collection()
        report.add("rebuilding from rows, snapshot written", seconds_of(lambda: library.rebuild_index(row)), "s",
                   goal="<= 60")  # fmt: skip


def opened_library(work: Path, rows: NDArray[np.float16]) -> Library:
    """The made library with its index built and on disk."""
    library = libraries.made_library(_folder(work, len(rows)), rows, libraries.plain_model())
    started = time.perf_counter()
    library.keep_snapshot(library.collection())
    print(f"the library's index is there: {time.perf_counter() - started:.1f} s", flush=True)
    return library


def _folder(work: Path, vectors: int) -> Path:
    return work / f"library-{vectors}"


def _settings(folder: Path) -> Any:
    from clipsearch.config import read_settings

    return read_settings(data_dir=folder, collection=libraries.COLLECTION)


def _timed_ids(library: Library, collection_id: int, chosen: Filters) -> tuple[list[float], NDArray[np.int64]]:
    taken, ids = [], np.empty(0, dtype=np.int64)
    for _ in range(5):
        started = time.perf_counter()
        with library.database.read() as connection:
            ids = filtered_ids(connection, collection_id, chosen)
        taken.append((time.perf_counter() - started) * 1000)
    return taken, ids


def _real(report: Report) -> None:
    """The 2,148 real label embeddings as a collection: neighbours of pictures and of other labels, and the geometry."""
    folder = os.environ.get("CLIPSEARCH_REFERENCE_DATA")
    place = Path(folder or "") / "real_clip"
    if not folder or not place.is_dir():
        return
    texts = np.concatenate([np.load(path) for path in sorted(place.glob("clip_vitb32_text_*_fp16.npy"))])
    images = np.load(place / "clip_vitb32_image_embeddings_fp16.npy")
    texts, images = _unit(texts), _unit(images)
    real = geometry(images, texts)
    report.settings["geometry of real embeddings"] = real.__dict__
    index = build_index(texts.shape[1], np.arange(len(texts), dtype=np.int64), texts, exact_bytes=0)
    name = f"{len(texts):,} real label embeddings ({index.kind})"
    for kind, queries in (("image", images), ("text", texts[::7])):
        _, share = examined(index, Exam(kind, queries, exact(texts, queries)))
        report.add(f"{name}: {kind} recall@10", share, note=f"{len(queries)} queries")


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    single = rows.astype(np.float32)
    unit: NDArray[np.float32] = single / np.linalg.norm(single, axis=1, keepdims=True)
    return unit


def growth(report: Report, work: Path, *, vectors: int, queries: int) -> None:
    """One size of a collection in this process: building, memory, snapshot, opening, one query."""
    from clipsearch.vector_index import Stand, load_snapshot, save_snapshot

    rows = libraries.made_rows(work, vectors)
    all_exams = exams(work, rows, queries)
    texts = make_space(vectors).texts(512, stream=1)
    started = time.perf_counter()
    built: Any = build_index(
        rows.shape[1], np.arange(1, len(rows) + 1, dtype=np.int64), rows, text_like={"text": texts}
    )
    size = f"{vectors:,}"
    report.add(f"{size}: building the index from vectors", time.perf_counter() - started, "s", note=built.kind)
    report.add(f"{size}: index memory", built.memory_bytes / 1e6, "MB")
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-", dir=work) as scratch:
        place = Path(scratch)
        stand = Stand(collection="1", model="made", dimension=rows.shape[1], revision=1, token="0" * 16)
        started = time.perf_counter()
        save_snapshot(place, built, stand)
        report.add(f"{size}: writing the snapshot", time.perf_counter() - started, "s")
        del built
        started = time.perf_counter()
        loaded: Any = load_snapshot(place, collection="1", model="made", dimension=rows.shape[1])
        report.add(f"{size}: opening the snapshot", time.perf_counter() - started, "s")
        index = loaded[0]
        with one_thread():
            for exam in all_exams:
                examined(index, Exam(exam.kind, exam.queries[:50], exam.truth[:50]))
                seconds, share = examined(index, exam)
                report.add(f"{size}: one {exam.kind} query, p50", percentile(seconds, 0.5) * 1000, "ms",
                           note=f"recall@10 {share:.3f}")  # fmt: skip
        del index, loaded
    report.add(f"{size}: peak memory of the process", _peak_gb(), "GB", note="the vectors' mapped file included")


def _peak_gb() -> float:
    return peak_mb() * 1024 / 1e6
