"""Jobs on a server: start, list, show, cancel, and follow while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import httpx2
from pydantic import ValidationError

from clipsearch.answers import FailedFile, RunInfo
from clipsearch.answers.base import Answer
from clipsearch.answers.runs import ENDED
from clipsearch.client.transport import Transport, segment
from clipsearch.errors import ClipSearchError

POLL_SECONDS = 1.0
# A server that says nothing for so long is asked in the other way.
_SILENCE = 30.0


class _Jobs(Answer):
    jobs: list[RunInfo]


class _Failures(Answer):
    failures: list[FailedFile]
    total: int


class Jobs:
    """``client.jobs``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(self, collection: str, source: str, *, retry_failed: bool = False, allow_empty: bool = False) -> RunInfo:
        """Have the server index a folder or file of its own machine, under one of its CLIPSEARCH_ROOTS."""
        body = {"source": source, "retry_failed": retry_failed, "allow_empty": allow_empty}
        return self._transport.ask(RunInfo, f"/collections/{segment(collection)}/jobs", body)

    def all(
        self,
        *,
        collection: str | None = None,
        state: Sequence[str] = (),
        kind: Literal["index", "embed"] | None = None,
        limit: int = 100,
    ) -> list[RunInfo]:
        """The newest jobs, those of the command line among them."""
        asked = {"collection": collection, "state": list(state) or None, "kind": kind, "limit": limit}
        return self._transport.read(_Jobs, "/jobs", **asked).jobs

    def show(self, job_id: int) -> RunInfo:
        """How far a job has come, or how it ended. Raises RunNotFound."""
        return self._transport.read(RunInfo, f"/jobs/{job_id}")

    def failures(self, job_id: int) -> list[FailedFile]:
        """What a job could not take in, and why."""
        found: list[FailedFile] = []
        while True:
            page = self._transport.read(_Failures, f"/jobs/{job_id}/failures", offset=len(found))
            found += page.failures
            if not page.failures or len(found) >= page.total:
                return found

    def cancel(self, job_id: int) -> RunInfo:
        """Ask a job to stop after its batch."""
        return self._transport.ask(RunInfo, f"/jobs/{job_id}/cancel")

    def watch(self, job_id: int, *, poll_seconds: float = POLL_SECONDS) -> Iterator[RunInfo]:
        """How a job stands, whenever that changes, until it has ended; the last one says how.

        Server-sent events tell it as it happens; where they do not come, or break off, the server is asked every
        ``poll_seconds``. Raises RunNotFound, NoAnswer.
        """
        last: RunInfo | None = None
        for run in self._events(job_id):
            if run != last:
                last = run
                yield run
        while last is None or last.state not in ENDED:
            run = self.show(job_id)
            if run != last:
                last = run
                yield run
            if run.state not in ENDED:
                time.sleep(poll_seconds)

    def wait(self, job_id: int, on_progress: Callable[[RunInfo], None] | None = None) -> RunInfo:
        """How a job ended; ``on_progress`` is called whenever it has come further."""
        run = None
        for run in self.watch(job_id):
            if on_progress is not None:
                on_progress(run)
        return run or self.show(job_id)

    def _events(self, job_id: int) -> Iterator[RunInfo]:
        """What the server tells by itself, as long as it does; nothing where it has no such events."""
        try:
            with self._transport.stream(f"/jobs/{job_id}/events", timeout=_SILENCE) as response:
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    return
                yield from _runs(response.iter_lines())
        except (httpx2.TransportError, ClipSearchError, ValidationError):
            return  # asking in the other way tells what is wrong, if anything is


def _runs(lines: Iterator[str]) -> Iterator[RunInfo]:
    event, data = "message", []
    for line in lines:
        if line.startswith("event:"):
            event = line.partition(":")[2].strip()
        elif line.startswith("data:"):
            data.append(line.partition(":")[2].removeprefix(" "))
        elif not line:
            if data and event in {"progress", "end"} and "".join(data).startswith("{"):
                try:
                    yield RunInfo.model_validate_json("\n".join(data), extra="ignore")
                except ValidationError:
                    if event == "progress":
                        raise
            if event == "end":
                return
            event, data = "message", []
