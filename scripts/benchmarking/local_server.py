"""Serves an open library from a thread of this process, and asks servers over HTTP with one kept connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from clipsearch.library import Library


@contextlib.contextmanager
def served(library: Library) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    from clipsearch.web import create_app
    from clipsearch.web.serving import Server

    server = Server(create_app(library), library, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.stop()
        thread.join()


class Client:
    """One connection that is kept open. ``ask`` raises RuntimeError for any answer but a 200."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        """The answer's JSON."""
        headers = {"Content-Type": content_type} if body is not None else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path[:200]}: {answer.status} {data[:1000]!r}")
        return json.loads(data)

    def timed(self, requests: Sequence[tuple[str, str, bytes | None, str]]) -> list[float]:
        """Seconds of each request, one after the other."""
        taken = []
        for method, path, body, content_type in requests:
            started = time.perf_counter()
            self.ask(method, path, body, content_type)
            taken.append(time.perf_counter() - started)
        return taken

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def upload(name: str, data: bytes, fields: dict[str, str] | None = None) -> tuple[bytes, str]:
    """A form with one image, and its content type."""
    border = secrets.token_hex(16)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in (fields or {}).items()
    ]
    head = f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="picture.jpg"\r\n'
    parts.append(head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n")
    return b"".join(parts) + f"--{border}--\r\n".encode(), f"multipart/form-data; boundary={border}"
