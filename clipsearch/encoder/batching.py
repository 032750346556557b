"""Runs many inputs through a network in batches; alone knows what to do when GPU memory is too small."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clipsearch.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


class Turns:
    """A lock that goes to the one who waits, not back to the one who just had it.

    A plain lock is mostly taken again by the thread that gave it back: a query would wait until a whole
    folder has been indexed.
    """

    def __init__(self) -> None:
        self._queue = threading.Lock()
        self._running = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn and hold it."""
        with self._queue:  # a waiting thread holds this, so whoever comes back stands behind it
            self._running.acquire()
        try:
            yield
        finally:
            self._running.release()


class Batches:
    """Cuts inputs into batches of ``size``, which is halved, and stays so, when memory runs out."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, count: int, compute: Callable[[int, int], torch.Tensor]) -> list[torch.Tensor]:
        """``compute(start, stop)`` for stretches that cover 0 to ``count`` in order.

        Raises ModelUnavailable when not even one input fits into the memory.
        """
        parts: list[torch.Tensor] = []
        start = 0
        while start < count:
            stop = min(start + self.size, count)
            part = _attempt(compute, start, stop)
            if part is None:
                self._shrink(stop - start)
            else:
                parts.append(part)
                start = stop
        return parts

    def _shrink(self, tried: int) -> None:
        import torch

        if tried == 1:
            raise ModelUnavailable(
                "The GPU's memory is too small for this model with even one input: use a smaller model,"
                " device cpu, or end what else runs on the GPU."
            )
        torch.cuda.empty_cache()
        self.size = max(1, min(self.size, tried // 2))
        _log.warning("The GPU's memory was too small for a batch of %d: going on with %d.", tried, self.size)


def _attempt(compute: Callable[[int, int], torch.Tensor], start: int, stop: int) -> torch.Tensor | None:
    # The error holds the frames that hold the tensors: memory is only free again after its except block.
    import torch

    try:
        return compute(start, stop)
    except torch.OutOfMemoryError:
        return None
