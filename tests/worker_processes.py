"""Processes for the tests to race and to kill, each in a few milliseconds.

They are forked off one that has imported the house and started no thread. A worker is a function of a test module;
what it prints goes to a file, where it stays when the worker is killed.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
_PRELOADED = (
    "faiss",
    "alembic.command",
    "clipsearch.indexing",
    "clipsearch.searching",
    "clipsearch.inspecting",
    "library_fixtures",
)


@dataclass
class Worker:
    """One forked process."""

    pid: int
    output: Path
    _parent: Workers

    def kill(self) -> None:
        """SIGKILL, as from the kernel; the process is gone when this returns."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit status, negative for a signal."""
        status: int = self._parent.ask({"wait": self.pid})
        return status

    def wait_until_printed(self, word: str, seconds: float = 60.0) -> None:
        """Wait until it has printed this word."""
        deadline = time.monotonic() + seconds
        while word not in self.printed():
            assert time.monotonic() < deadline, self.printed()
            assert "Traceback" not in self.printed(), self.printed()
            time.sleep(0.005)

    def printed(self) -> str:
        """What it has printed so far, errors included."""
        return self.output.read_text() if self.output.exists() else ""


class Workers:
    """Starts workers; ``run`` gives one that is at work already."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, function: str, output: Path, *arguments: Any) -> Worker:
        """Call ``module:function`` of the tests with JSON values."""
        pid = self.ask({"run": function, "arguments": arguments, "output": str(output)})
        return Worker(pid, output, self)

    def all_succeed(self, workers: list[Worker]) -> None:
        """Wait for all of them; what a failed one printed is the failure's message."""
        for worker in workers:
            assert worker.wait() == 0, worker.printed()

    def ask(self, command: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def started_workers() -> Iterator[Workers]:
    """The process that the workers are forked from, for as long as the block runs."""
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=TESTS) as process:
        yield Workers(process)
        assert process.stdin is not None
        process.stdin.close()


def _serve() -> None:
    for name in _PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        command = json.loads(line)
        answer = _fork(command) if "run" in command else _exit_status(command["wait"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _exit_status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork(command: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        file = os.open(command["output"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        module, _, name = command["run"].partition(":")
        getattr(importlib.import_module(module), name)(*command["arguments"])
        status = 0
    except BaseException:  # noqa: BLE001  nothing may unwind into the loop of the parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
