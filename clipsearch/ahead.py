"""Works out what is to come in other threads, while what came first is used; in order, and not too far ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def ahead(
    executor: Executor, function: Callable[[Item], Outcome], items: Iterable[Item], window: Callable[[], int]
) -> Iterator[Outcome]:
    """What ``function`` makes of each item, in order, worked out up to ``window()`` items ahead."""
    waiting: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            while len(waiting) >= window():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
