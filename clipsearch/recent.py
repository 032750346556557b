"""What the house remembers in memory for as long as there is room: values by key, forgotten by their age and size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

# Of what is remembered of label sets: a hundred thousand labels of 512 dimensions take 205 million bytes.
RECENT_BYTES = 256 * 2**20


class Recent:
    """Values by key, up to a number of bytes; the one that was not asked for longest goes first. Thread-safe."""

    def __init__(self, limit: int = RECENT_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> object | None:
        """The value of this key, or None."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def keep(self, key: Hashable, value: object, size: int) -> None:
        """Remember a value of ``size`` bytes, unless it is larger than all that may be kept."""
        with self._lock:
            self._bytes -= self._held.pop(key, (None, 0))[1]
            if size > self._limit:
                return
            self._held[key] = (value, size)
            self._bytes += size
            while self._bytes > self._limit:
                self._bytes -= self._held.popitem(last=False)[1][1]
