"""How often one may ask: requests of a key or an address in a time, and keys that do not hold from an address.

Counted in memory, in windows of fixed length. A proxy's word for whom it speaks counts only where the settings say
how many proxies there are.
"""

from __future__ import annotations

import math
import threading
import time

from apiflask import APIFlask
from flask import Response, g, request
from flask_limiter import Limiter
from flask_limiter.errors import RateLimitExceeded
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.middleware.proxy_fix import ProxyFix

from clipsearch.config import Settings
from clipsearch.errors import RateLimited
from clipsearch.web.errors import problem
from clipsearch.web.readiness import HEALTH_PATHS

# Where keys are needed: enough for a page that shows thousands of thumbnails, and an end to what runs wild.
USUAL = "6000/minute"
FAILED_KEYS = "30/minute"


class Failures:
    """Counts keys that do not hold, by address. A key that holds is let in all the same, so that nobody can be locked
    out by others behind one proxy: with 256 random bits there is nothing to guess. Thread-safe."""

    def __init__(self, limit: str = FAILED_KEYS) -> None:
        self._limit = parse(limit)
        self._lock = threading.Lock()
        self._counts: FixedWindowRateLimiter | None = None

    def count(self, address: str) -> int:
        """Count one more; 0 while there may be more, else the seconds after which to try again."""
        with self._lock:
            # When it is first needed, for it starts a thread.
            counts = self._counts = self._counts or FixedWindowRateLimiter(MemoryStorage())
        if counts.hit(self._limit, address):
            return 0
        return max(1, math.ceil(counts.get_window_stats(self._limit, address).reset_time - time.time()))


def trust_proxies(app: APIFlask, settings: Settings) -> None:
    """Know a client behind proxies by its own address; the names that proxies pass on for hosts are not believed."""
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0)  # type: ignore[method-assign]


def limit_rate(app: APIFlask, settings: Settings, *, key_required: bool) -> None:
    """Put the limit before every view but health and static files; stands behind the guard that finds who asks."""
    chosen = settings.rate_limit or (USUAL if key_required else "none")
    if chosen == "none":
        return
    limiter = Limiter(
        _who, application_limits=[chosen], storage_uri="memory://", strategy="fixed-window", headers_enabled=True
    )
    limiter.request_filter(lambda: request.path in HEALTH_PATHS or request.endpoint == "static")
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, _answer_limit)


def _who() -> str:
    prefix: str | None = g.get("key_prefix")
    return f"key {prefix}" if prefix else f"address {request.remote_addr}"


def _answer_limit(error: RateLimitExceeded) -> Response:
    # The extension adds Retry-After, and how much is left, to every answer.
    return problem(429, f"more than {error.limit.limit} requests; Retry-After says when to go on",
                   RateLimited.code)  # fmt: skip
