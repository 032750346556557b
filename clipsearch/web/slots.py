"""Work slots: how many requests may work at once, and how many may wait; health is outside.

Pictures, which take a core and much memory each, have slots of their own, so that a search by words or by vector
never waits behind them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clipsearch.errors import Busy
from clipsearch.stages import check_time, time_left

SLOTS = 4
QUEUE = 16
# Enough searches at once that their words fill a batch of the model; more would only take turns.
SEARCH_SLOTS = 16
SEARCH_QUEUE = 48
# Waiting for other servers takes no core, but a thread and the memory of what comes: a few of the spare threads.
FETCH_SLOTS = 4
FETCH_QUEUE = 8
WAIT_SECONDS = 5.0


class WorkSlots:
    """A semaphore whose queue is bounded in length and in time."""

    def __init__(self, slots: int = SLOTS, queue: int = QUEUE, wait_seconds: float = WAIT_SECONDS) -> None:
        self.slots = slots
        self.queue = queue
        self._free = threading.BoundedSemaphore(slots)
        self._places = threading.BoundedSemaphore(slots + queue)
        self._wait_seconds = wait_seconds
        self._counting = threading.Lock()
        self._in_use = self._inside = 0

    @property
    def in_use(self) -> int:
        """How many slots are held at this moment."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot at this moment."""
        with self._counting:
            return self._inside - self._in_use

    @property
    def full(self) -> bool:
        """Whether nobody can come in at this moment, not even to wait."""
        return self._inside >= self.slots + self.queue

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot while the block runs. Raises Busy when the queue is full or the wait too long.

        A request under a deadline waits no longer than it may take, and begins nothing when its time is up.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("the server has all the work it can hold; try again in a moment", retry_after=1.0)
        self._count(inside=1)
        try:
            left = time_left()
            if not self._free.acquire(timeout=self._wait_seconds if left is None else min(left, self._wait_seconds)):
                raise Busy("the server did not get to this request in time; try again", retry_after=2.0)
            self._count(in_use=1)
            try:
                check_time()
                yield
            finally:
                self._count(in_use=-1)
                self._free.release()
        finally:
            self._count(inside=-1)
            self._places.release()

    def _count(self, *, inside: int = 0, in_use: int = 0) -> None:
        with self._counting:
            self._inside += inside
            self._in_use += in_use
