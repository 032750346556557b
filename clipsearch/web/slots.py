"""Work slots: how many requests may work at once, and how many may wait; health is outside.

Pictures, which take a core and much memory each, have slots of their own, so that a search by words or by vector
never waits behind them.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from clipsearch.errors import Busy
from clipsearch.stages import check_time, may_step_aside, time_left

Work = Literal["pictures", "searches"]
View = TypeVar("View", bound=Callable[..., Any])

SLOTS = 4
QUEUE = 8
# Enough searches at once that their words fill a batch of the model; more would only take turns.
SEARCH_SLOTS = 16
SEARCH_QUEUE = 48
# Of those so many are at work; the others have the model work for them. Python runs one thread at a time: with more,
# each takes turns with all others, and with whoever reads requests. Measured on two cores; more may search an index.
SEARCHES_AT_ONCE = max(2, (os.cpu_count() or 1) // 2)
# Waiting for other servers takes no core, but a thread and the memory of what comes: a few of the spare threads.
FETCH_SLOTS = 4
FETCH_QUEUE = 8
WAIT_SECONDS = 5.0
# After so long, who stepped aside goes on beside those at work.
RETURN_SECONDS = 1.0
NO_PLACE = "the server has all the work it can hold; try again in a moment"
_NOT_IN_TIME = "the server did not get to this request in time; try again"
_MARK = "clipsearch_work"


class Turnstile:
    """A semaphore that lets in who waits longest; of a plain one, who comes by at the right moment takes the place."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._line: deque[threading.Lock] = deque()

    def acquire(self, timeout: float | None = None) -> bool:
        """Wait for a place, ``timeout`` seconds at most; whether it was got."""
        with self._lock:
            if self._places:
                self._places -= 1
                return True
            turn = threading.Lock()
            turn.acquire()
            self._line.append(turn)
        if turn.acquire(timeout=-1 if timeout is None else timeout):
            return True
        with self._lock:
            if turn not in self._line:  # it was given the place as it gave up
                return True
            self._line.remove(turn)
            return False

    def release(self) -> None:
        """Give the place to who waits longest, or back."""
        with self._lock:
            if self._line:
                self._line.popleft().release()
            else:
                self._places += 1


class WorkSlots:
    """A semaphore whose queue is bounded in length and in time.

    ``at_once`` of those who hold a slot may work at once, all if it is not given; the others wait, or have the model
    work for them.
    """

    def __init__(
        self,
        slots: int = SLOTS,
        queue: int = QUEUE,
        wait_seconds: float = WAIT_SECONDS,
        *,
        at_once: int | None = None,
    ) -> None:
        self.slots = slots
        self.queue = queue
        self._free = Turnstile(slots)
        self._places = threading.BoundedSemaphore(self.places)
        self._at_work = threading.BoundedSemaphore(slots if at_once is None else at_once)
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
    def places(self) -> int:
        """How many requests may hold a slot or wait for one."""
        return self.slots + self.queue

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot while the block runs. Raises Busy when the queue is full or the wait too long, DeadlineExceeded.

        A request under a deadline waits no longer than it may take, and begins nothing when its time is up.
        """
        if not self._places.acquire(blocking=False):
            raise Busy(NO_PLACE, retry_after=1.0)
        left = time_left()
        until = time.monotonic() + (self._wait_seconds if left is None else min(left, self._wait_seconds))
        self._count(inside=1)
        try:
            if not self._free.acquire(timeout=max(0.0, until - time.monotonic())):
                raise Busy(_NOT_IN_TIME, retry_after=2.0)
            self._count(in_use=1)
            try:
                check_time()
                with self._work(until):
                    yield
            finally:
                self._count(in_use=-1)
                self._free.release()
        finally:
            self._count(inside=-1)
            self._places.release()

    @contextmanager
    def _work(self, until: float) -> Iterator[None]:
        """Be one of those at work, but while ``stages.aside`` is held. Raises Busy."""
        if not self._at_work.acquire(timeout=max(0.0, until - time.monotonic())):
            raise Busy(_NOT_IN_TIME, retry_after=2.0)
        held = True

        @contextmanager
        def give_way() -> Iterator[None]:
            nonlocal held
            if held:
                self._at_work.release()
                held = False
            try:
                yield
            finally:
                # Those at work may wait for a lock that this thread holds: then it goes on beside them.
                held = held or self._at_work.acquire(timeout=RETURN_SECONDS)

        try:
            with may_step_aside(give_way):
                yield
        finally:
            if held:
                self._at_work.release()

    def _count(self, *, inside: int = 0, in_use: int = 0) -> None:
        with self._counting:
            self._inside += inside
            self._in_use += in_use


def takes_slot_for(work: Work, *, may_fetch: bool = False) -> Callable[[View], View]:
    """Say of a view that each of its valid requests takes a slot of this kind: with no place left there, it need not
    be read. ``may_fetch``: before that it may wait for other servers. Stands next to the function."""

    def mark(view: View) -> View:
        setattr(view, _MARK, (work, may_fetch))
        return view

    return mark


def work_of(view: Callable[..., Any], *, fetches: bool = False) -> Work | None:
    """The slots that this view said it takes; None where it takes none, or that depends on the request.

    ``fetches``: whether this server asks other servers. Who waits for those must not keep a place from others.
    """
    work, may_fetch = getattr(view, _MARK, (None, False))
    return None if fetches and may_fetch else work
