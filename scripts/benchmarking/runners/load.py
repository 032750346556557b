"""Asks an HTTP server from many clients at once, each with one kept connection, and notes every answer and its time."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from benchmarking.runners.stopwatch import told

_END_OF_HEAD = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """Sends the next request as soon as the last was answered; the requests are made beforehand."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: Any = None
        self._received = bytearray()
        self._expected: int | None = None
        self._number = -1
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Gather one answer, hand it over, go on."""
        self._received += data
        if self._expected is None:
            end = self._received.find(_END_OF_HEAD)
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._expected = end + len(_END_OF_HEAD) + int(length)
        if len(self._received) >= self._expected:
            body = bytes(self._received)
            self._received.clear()
            self._expected = None
            self._load.answered(self._number, time.perf_counter() - self._sent_at, body)
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """A server that hangs up has failed."""
        self._load.lost(error)

    def _next(self) -> None:
        self._number = self._load.take()
        if self._number < 0:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._load.requests[self._number])


class Load:
    """The requests, who takes which, and what came of them."""

    def __init__(self, requests: list[bytes], clients: int) -> None:
        self.requests = requests
        self._next = 0
        self._open = clients
        self.seconds: list[float] = [0.0] * len(requests)
        self.answers: list[bytes] = [b""] * len(requests)
        self.done = asyncio.get_running_loop().create_future()

    def take(self) -> int:
        """The number of the next request, -1 when there is none."""
        if self._next == len(self.requests):
            return -1
        self._next += 1
        return self._next - 1

    def answered(self, number: int, seconds: float, answer: bytes) -> None:
        """Note an answer."""
        self.seconds[number], self.answers[number] = seconds, answer

    def lost(self, error: Exception | None) -> None:
        """A connection is closed: by us at the end, or by a failure."""
        self._open -= 1
        if error is not None and not self.done.done():
            self.done.set_exception(error)
        elif self._open == 0 and not self.done.done():
            self.done.set_result(None)


async def _run(asked: dict[str, Any], requests: list[bytes]) -> dict[str, Any]:
    load = Load(requests, asked["clients"])
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    for _ in range(asked["clients"]):
        await loop.create_connection(lambda: Client(load), asked["host"], asked["port"])
    await load.done
    ended = time.perf_counter()
    statuses = [answer[9:12].decode() for answer in load.answers]
    bodies = [answer.partition(_END_OF_HEAD)[2] for answer in load.answers]
    pairs = list(zip(bodies, statuses, strict=True))
    return {
        "seconds": ended - started,
        "latencies": load.seconds,
        "statuses": {status: statuses.count(status) for status in set(statuses)},
        "failed": next((body[:500].decode() for body, status in pairs if status != "200"), None),
        "ids": [_ids(json.loads(body)) if status == "200" else [] for body, status in pairs],
    }


def _ids(answer: dict[str, Any]) -> list[list[int]]:
    return [[hit["image"]["id"] for hit in one["hits"]] for one in answer.get("answers", [answer])]


def _request(asked: dict[str, Any], method: str, path: str, body: str | None) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {asked['host']}:{asked['port']}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    data = body.encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def main() -> None:
    """Told: host, port, clients, requests (a file of [method, path, body]), result."""
    asked = told()
    given = json.loads(Path(asked["requests"]).read_text(encoding="utf-8"))
    requests = [_request(asked, *one) for one in given]
    Path(asked["result"]).write_text(json.dumps(asyncio.run(_run(asked, requests))), encoding="utf-8")


if __name__ == "__main__":
    main()
