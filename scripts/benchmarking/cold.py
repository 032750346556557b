"""Searching from the command line in a fresh process: alone, beside a server, and beside rclip on as many vectors."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarking import checkpoints, environments, libraries, words
from benchmarking.figures import Report
from benchmarking.processes import clipsearch_command, run, server

ARCHITECTURE = "ViT-B-32-256"  # rclip's own, so that both read a text with the same tower


def cold_searches(data_dir: Path, runs: int, first: int = 0) -> list[float]:
    """Seconds of each ``clipsearch search`` from the start of its process to its end, every query another."""
    command = [*clipsearch_command(), "search", "-c", libraries.COLLECTION, "--data-dir", str(data_dir), "--json"]
    return [run([*command, query]).seconds for query in words.queries(runs, first)]


def cold_search(report: Report, work: Path, *, vectors: int, runs: int, rivals: bool) -> None:
    """Our search from cold without and with a server, and rclip's, taking turns."""
    rows = libraries.made_rows(work, vectors)
    checkpoint = checkpoints.write_checkpoint(work / "models", ARCHITECTURE)
    folder = work / f"library-cold-{vectors}"
    with libraries.made_library(folder, rows, checkpoints.facts(checkpoint)) as library:
        library.keep_snapshot(library.collection())
    report.add("clipsearch, the very first search (exports the text encoder)", cold_searches(folder, 1), "s")
    alone, beside, theirs = [], [], []
    rclip = _rclip_search(work, rows) if rivals else None
    for number in range(1, runs + 1):
        alone += cold_searches(folder, 1, number)
        if rclip:
            theirs += rclip()
    with serving(folder):
        cold_searches(folder, 2, 1_000)
        beside = cold_searches(folder, runs, 2_000)
    report.add("clipsearch, no server running", alone, "s", goal="<= 1.0")
    report.add("clipsearch, a server of the library running", beside, "s")
    if theirs:
        report.add(f"rclip, {vectors:,} vectors in its database", theirs, "s")
        report.add("clipsearch without a server / rclip", report["clipsearch, no server running"]
                   / report[f"rclip, {vectors:,} vectors in its database"], goal="<= 1.0")  # fmt: skip
        report.add("clipsearch with a server / rclip", report["clipsearch, a server of the library running"]
                   / report[f"rclip, {vectors:,} vectors in its database"], goal="<= 0.5")  # fmt: skip


def _rclip_search(work: Path, rows: NDArray[np.float16]) -> _Rclip:
    python = environments.environment(work / "environments", "rclip")
    data_dir = work / f"rclip-{len(rows)}"
    data_dir.mkdir(parents=True, exist_ok=True)
    for entry in checkpoints.write_rclip_models(work / "rclip", ARCHITECTURE).iterdir():
        if entry.is_dir() and not (data_dir / entry.name).exists():
            (data_dir / entry.name).symlink_to(entry)
    pictures = data_dir / "pictures"
    pictures.mkdir(exist_ok=True)
    if not (data_dir / "db.sqlite3").is_file():
        _fill_rclip(python, data_dir, pictures, rows)
    return _Rclip(python, data_dir, pictures)


class _Rclip:
    """rclip's own command, its vectors and models where it looks for them."""

    def __init__(self, python: Path, data_dir: Path, pictures: Path) -> None:
        self._command: Sequence[str] = [str(python.with_name("rclip")), "--no-indexing"]
        self._env = {"RCLIP_DATADIR": str(data_dir), "HF_HUB_OFFLINE": "1"}
        self._pictures = pictures
        self._asked = 0

    def __call__(self) -> list[float]:
        """Seconds of one search."""
        self._asked += 1
        [query] = words.queries(1, self._asked)
        return [run([*self._command, query], env=self._env, cwd=self._pictures).seconds]


def _fill_rclip(python: Path, data_dir: Path, pictures: Path, rows: NDArray[np.float16]) -> None:
    """Vectors as rclip keeps them: float32, one row an image. Its own code makes the tables."""
    part = data_dir / "db.part"
    part.unlink(missing_ok=True)
    run([python, "-c", f"from rclip.db import DB; DB({str(part)!r}).close()"])
    connection = sqlite3.connect(part)
    statement = "INSERT INTO images(filepath, modified_at, size, vector, hash) VALUES (?, 0, 60000, ?, ?)"
    made = (
        (f"{pictures}/{number:08d}.jpg", row.astype(np.float32).tobytes(), f"{number:032x}")
        for number, row in enumerate(rows)
    )
    with connection:
        connection.executemany(statement, made)
    connection.close()
    os.replace(part, data_dir / "db.sqlite3")


@contextlib.contextmanager
def serving(data_dir: Path) -> Iterator[str]:
    """The address of ``clipsearch serve`` in a process of its own, ready, until the block ends."""
    address = f"http://127.0.0.1:{_free_port()}"
    command = [*clipsearch_command(), "serve", "--port", address.rpartition(":")[2], "--data-dir", str(data_dir)]
    env = {"CLIPSEARCH_COLLECTION": libraries.COLLECTION}
    with server(command, f"{address}/readyz", env=env):
        yield address


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
