"""The way out of the machine: names to addresses, and connections that end at their time; it alone knows sockets.

A connection is made to an address that was checked, by its number: the name is not looked up again, so that a second
answer of its server (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpcore2

from clipsearch.errors import FetchFailed

if TYPE_CHECKING:
    from httpcore2 import SOCKET_OPTION, NetworkStream


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """All addresses of a host, by number. Raises FetchFailed when there are none, or not in this time."""
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
    # The system's resolver takes no time limit: one that is stuck is left behind in its thread.
    threading.Thread(target=_resolve, args=(host, port, answers), name="resolve", daemon=True).start()
    try:
        found = answers.get(timeout=max(0.0, seconds))
    except queue.Empty:
        found = None
    if not found:
        raise FetchFailed(f"the host {host} cannot be found")
    return found


def _resolve(host: str, port: int, answers: queue.SimpleQueue[list[str] | None]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        answers.put(list(dict.fromkeys(str(address[0]) for *_, address in found)))
    except (OSError, UnicodeError):
        answers.put(None)


def connect(address: str, port: int, seconds: float) -> NetworkStream:
    """A connection to an address by its number. Raises httpcore2's ConnectError and ConnectTimeout."""
    return httpcore2.SyncBackend().connect_tcp(address, port, timeout=seconds)


@dataclass(frozen=True)
class Network:
    """How names are looked up and connections made; tests put their own in the place of the internet's."""

    resolve: Callable[[str, int, float], list[str]] = resolve
    connect: Callable[[str, int, float], NetworkStream] = connect
    tls: Callable[[], ssl.SSLContext] | None = None


INTERNET = Network()


class Deadline:
    """One moment by which everything has to be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds until then. Raises FetchFailed when there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise FetchFailed("the image did not come in time")
        return seconds


class CheckedBackend(httpcore2.NetworkBackend):
    """Connects to the addresses that were checked, whatever name the request bears; in all until the deadline."""

    def __init__(self, network: Network, addresses: list[str], deadline: Deadline) -> None:
        self._network = network
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """A connection to the first of the addresses that answers."""
        error: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            try:
                return _TimedStream(self._network.connect(address, port, self._deadline.left()), self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error


class _TimedStream(httpcore2.NetworkStream):
    """A stream whose every step has the time that is left, so that no drip of bytes outlasts the deadline."""

    def __init__(self, stream: NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
