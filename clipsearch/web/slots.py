"""Work slots: how many requests may work at once, and how many may wait; health is outside.

Pictures, which take a core and much memory each, have slots of their own, so that a search by words or by vector
never waits behind them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clipsearch.errors import Busy

SLOTS = 4
QUEUE = 16
# Enough searches at once that their words fill a batch of the model; more would only take turns.
SEARCH_SLOTS = 16
SEARCH_QUEUE = 48
WAIT_SECONDS = 5.0


class WorkSlots:
    """A semaphore whose queue is bounded in length and in time."""

    def __init__(self, slots: int = SLOTS, queue: int = QUEUE, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = threading.BoundedSemaphore(slots)
        self._places = threading.BoundedSemaphore(slots + queue)
        self._wait_seconds = wait_seconds

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot while the block runs. Raises Busy when the queue is full or the wait too long."""
        if not self._places.acquire(blocking=False):
            raise Busy("the server has all the work it can hold; try again in a moment", retry_after=1.0)
        try:
            if not self._free.acquire(timeout=self._wait_seconds):
                raise Busy("the server did not get to this request in time; try again", retry_after=2.0)
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._places.release()
