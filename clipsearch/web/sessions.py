"""Who is signed in on the page: random tokens in memory, each for a key's prefix; the key itself is not kept.

A session ends with the key, after a week, when the server ends, and when too many others were begun.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict

SECONDS = 7 * 24 * 3600
MOST = 4_096
MOST_OF_ONE_KEY = 128


class Sessions:
    """Tokens by which keys that were shown once are known again. Thread-safe."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def begin(self, prefix: str) -> str:
        """A new token for the key of this prefix. Where there are too many, the oldest goes: first of the same key."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            own = [one for one, (whose, _) in self._held.items() if whose == prefix]
            if len(own) >= MOST_OF_ONE_KEY:
                del self._held[own[0]]
            elif len(self._held) >= MOST:
                self._held.popitem(last=False)
            self._held[token] = (prefix, time.monotonic() + self._seconds)
        return token

    def prefix_of(self, token: str) -> str | None:
        """The prefix of the key that this token stands for; None where it stands for none any more."""
        with self._lock:
            prefix, until = self._held.get(token, (None, 0.0))
            if prefix is not None and until <= time.monotonic():
                del self._held[token]
                return None
            return prefix

    def end(self, token: str) -> None:
        """Forget a token; no error where it is not known."""
        with self._lock:
            self._held.pop(token, None)
