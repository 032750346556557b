"""Starts programs, waits for them and tells what they cost; alone knows how to end them with all that they started."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SCRIPTS = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Ended:
    """How a program ended: seconds from start to end, and its highest memory (its children's with it), in MB."""

    seconds: float
    peak_mb: float
    output: str


@dataclass(frozen=True)
class IndexRun:
    """One indexing by one software, as its own clock saw it. Rates are images a second."""

    images: int
    rate: float  # from the end of the first batch to that of the last
    whole_rate: float  # from the program's start to its end
    start_up: float  # seconds until the first batch was done
    peak_mb: float  # the process alone
    tree_mb: float  # with the processes that it started
    told: dict[str, Any]


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, limit: float = 900
) -> Ended:
    """Run a program to its end. Raises RuntimeError with the end of its output when it fails."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})}, cwd=cwd,
        )  # fmt: skip
        with _ended_at_last(process), _watched(process.pid) as peak:
            code = process.wait(timeout=limit)
            seconds = time.monotonic() - started
        output.seek(0)
        text = output.read()
    if code:
        raise RuntimeError(f"{Path(str(command[0])).name} ended with {code}:\n{text[-3000:]}")
    return Ended(seconds, peak[0], text)


def run_runner(python: Path | str, runner: str, asked: dict[str, Any], env: Mapping[str, str] | None = None) -> Ended:
    """Run ``runners/<runner>.py`` with an environment's Python, told by JSON; raises as ``run``."""
    path = os.pathsep.join(filter(None, (str(SCRIPTS), os.environ.get("PYTHONPATH"))))
    return run(
        [python, "-m", f"benchmarking.runners.{runner}", json.dumps(asked)], env={"PYTHONPATH": path, **(env or {})}
    )


def index_run(python: Path | str, runner: str, asked: dict[str, Any], env: Mapping[str, str] | None = None) -> IndexRun:
    """Run ``runners/index_<runner>.py`` in its environment and read what it measured."""
    with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as folder:
        result = Path(folder) / "result.json"
        started = time.monotonic()
        ended = run_runner(python, f"index_{runner}", asked | {"result": str(result)}, env)
        told = json.loads(result.read_text(encoding="utf-8"))
    (first_at, first), (last_at, images) = told["batches"][0], told["batches"][-1]
    return IndexRun(
        images=images,
        rate=(images - first) / (last_at - first_at),
        whole_rate=images / (told["ended"] - started),
        start_up=first_at - started,
        peak_mb=told["peak_mb"],
        tree_mb=max(ended.peak_mb, told["peak_mb"]) if told["children_peak_mb"] > 50 else told["peak_mb"],
        told=told,
    )


@contextlib.contextmanager
def server(command: Sequence[str | Path], ready: str, *, env: Mapping[str, str] | None = None) -> Iterator[int]:
    """A server until the block ends; gives its process id once a GET of ``ready`` (a URL) is answered.

    Raises RuntimeError when it does not come up within five minutes.
    """
    import urllib.error
    import urllib.request

    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        with _ended_at_last(process):
            deadline = time.monotonic() + 300
            while True:
                try:
                    with urllib.request.urlopen(ready, timeout=30):
                        break
                except (urllib.error.URLError, OSError) as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        output.seek(0)
                        raise RuntimeError(f"the server did not come up: {output.read()[-3000:]}") from error
                    time.sleep(0.1)
            yield process.pid


def clipsearch_command() -> list[str]:
    """The command line of the clipsearch that is measured: this interpreter's."""
    beside = Path(sys.executable).with_name("clipsearch")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "clipsearch.cli"]


@contextlib.contextmanager
def _ended_at_last(process: subprocess.Popen[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                started = psutil.Process(process.pid).children(recursive=True)
                process.terminate()
                for child in started:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """The highest memory of a process and its children, in MB; shared pages are counted once (PSS)."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            with contextlib.suppress(psutil.Error):
                tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                peak[0] = max(peak[0], sum(_memory(process) for process in tree) / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(full, "pss", full.rss))
