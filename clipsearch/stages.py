"""The stages of answering a request: how long each takes, and whether there is time left for the next one.

A door that answers under a deadline sets a watch for its thread; what embeds, searches and reads rows says which
stage it begins. Without a watch, as on the command line and in the threads of an indexing run, nothing happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Literal

from clipsearch.errors import DeadlineExceeded

Stage = Literal["embed_text", "embed_image", "search", "read_rows"]


@dataclass(frozen=True)
class StageWatch:
    """Who is told of each stage that ended and its seconds, and when the time is up.

    ``deadline`` is a moment of ``time.monotonic()``, None for no end; ``seconds`` is how long the whole may take.
    """

    told: Callable[[Stage, float], None]
    deadline: float | None = None
    seconds: float = 0.0

    @property
    def left(self) -> float | None:
        """The seconds that are left, 0 when the time is up; None without an end."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        """Raises DeadlineExceeded when the time is up."""
        if self.left == 0.0:
            raise DeadlineExceeded(
                f"the server did not get this done within {self.seconds:g} seconds; try again, or ask for less at once",
                retry_after=2.0,
            )


_watch: ContextVar[StageWatch | None] = ContextVar("clipsearch_stages", default=None)
_aside: ContextVar[Callable[[], AbstractContextManager[None]]] = ContextVar("clipsearch_aside", default=nullcontext)


def begin_watch(watch: StageWatch) -> Token[StageWatch | None]:
    """Watch the stages of this thread from now on, until ``end_watch`` is given what this gives."""
    return _watch.set(watch)


def end_watch(token: Token[StageWatch | None]) -> None:
    """Watch as before ``begin_watch``."""
    _watch.reset(token)


def time_left() -> float | None:
    """The seconds that this thread's request has left; None where nothing ends it."""
    watch = _watch.get()
    return None if watch is None else watch.left


def check_time() -> None:
    """Raises DeadlineExceeded when this thread's request has no time left."""
    watch = _watch.get()
    if watch is not None:
        watch.check()


@contextmanager
def may_step_aside(how: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Have ``aside`` mean ``how`` to this thread: others work while it holds what ``how()`` gives."""
    token = _aside.set(how)
    try:
        yield
    finally:
        _aside.reset(token)


def aside() -> AbstractContextManager[None]:
    """Held while this thread only waits, for the model or for company in its batch; others may work meanwhile."""
    return _aside.get()()


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """One stage. Raises DeadlineExceeded before it begins when there is no time left for it."""
    watch = _watch.get()
    if watch is None:
        yield
        return
    watch.check()
    started = time.monotonic()
    try:
        yield
    finally:
        watch.told(name, time.monotonic() - started)
