"""The progress of a job as server-sent events; knows how many may listen, and when a stream ends.

Each stream holds one of the server's threads, so that there are few of them and none lasts for ever: the browser's
own EventSource opens a stream again that ended without the event ``end``. A client that went away is noticed at the
next comment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from clipsearch.answers import RunInfo
from clipsearch.answers.runs import ENDED
from clipsearch.errors import Busy, ClipSearchError, RunNotFound

MOST_STREAMS = 16
# Looked at four times a second, and told when something changed.
LOOK_SECONDS = 0.25
COMMENT_SECONDS = 2.0
LONGEST_SECONDS = 600.0
RETRY_MILLISECONDS = 2_000


class Streams:
    """The places for those who listen. Safe to share between threads."""

    def __init__(self, places: int = MOST_STREAMS) -> None:
        self.places = places
        self._free = threading.BoundedSemaphore(places)

    def take(self) -> Callable[[], None]:
        """A place, and what gives it back, once however often it is called. Raises Busy when there is none."""
        if not self._free.acquire(blocking=False):
            raise Busy(f"{self.places} listen to jobs already; ask for the job itself now and then", retry_after=5.0)
        given_back = threading.Event()
        lock = threading.Lock()

        def give_back() -> None:
            with lock:
                if not given_back.is_set():
                    given_back.set()
                    self._free.release()

        return give_back


def events(first: RunInfo, show: Callable[[], RunInfo], stopping: Callable[[], bool]) -> Iterator[str]:
    """The events of a job: ``progress`` with the RunInfo whenever it changed, and ``end`` with the last one.

    ``show`` looks at the job anew; ``stopping`` says whether the server is on its way out: the stream ends then
    without an ``end``, for the job may go on elsewhere.
    """
    started = said_at = time.monotonic()
    told: RunInfo | None = None
    run = first
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    while True:
        if run != told:
            told, said_at = run, time.monotonic()
            yield _event("progress", run)
        if run.state in ENDED:
            yield _event("end", run)
            return
        if stopping() or time.monotonic() - started > LONGEST_SECONDS:
            return
        if time.monotonic() - said_at >= COMMENT_SECONDS:
            said_at = time.monotonic()
            yield ": still at it\n\n"
        time.sleep(LOOK_SECONDS)
        try:
            run = show()
        except RunNotFound:
            run = run.model_copy(update={"state": "cancelled", "error": "the collection was deleted, and its jobs too"})
        except ClipSearchError:  # the database is busy for a moment
            continue


def _event(name: str, run: RunInfo) -> str:
    return f"event: {name}\ndata: {run.model_dump_json()}\n\n"
