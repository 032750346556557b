"""A real server on a port of its own in this process, which can be told to stumble."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from werkzeug.serving import make_server

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Stumbling:
    """An app that answers as ``mishaps`` say, one for each request, and as it would when there are none left.

    A status is answered in the app's place, with ``retry_after``; "cut" breaks the connection before the app is asked,
    "lost" after it has answered.
    """

    app: Wsgi
    mishaps: deque[int | str] = field(default_factory=deque)
    retry_after: str | None = "0"
    requests: list[str] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        mishap = self.mishaps.popleft() if self.mishaps else None
        if isinstance(mishap, int):
            named = [] if self.retry_after is None else [("Retry-After", self.retry_after)]
            start_response(f"{mishap} Mishap", [("Content-Type", "text/plain"), *named])
            return [b"a proxy says no"]
        if mishap is not None:
            if mishap == "lost":
                b"".join(self.app(environ, lambda *_: lambda _data: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        return self.app(environ, start_response)


@dataclass
class Served:
    """Where the server is, and what it stumbles over."""

    url: str
    stumbling: Stumbling


@contextmanager
def served(app: Wsgi) -> Iterator[Served]:
    """The app on a port of the loopback while the block runs."""
    stumbling = Stumbling(app)
    server = make_server("127.0.0.1", 0, stumbling, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", stumbling)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
