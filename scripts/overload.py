"""Ask a server for ten times what it can do, and measure how it bears that.

    python scripts/overload.py --seconds 60

Starts a server of its own over a picture-book with the demo model, measures what it takes alone and how much it can
do, then sends several kinds of requests at ten times that rate, whether or not answers come. Told are: how health
answered meanwhile, what became of the requests, how long those took that were served (from the moment each was due),
and after how long the server was itself again. The load comes from processes of its own, on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTOR = 10.0
PICTURES = 200
# Requests that one generator has under way at once; the server takes a thousand connections.
IN_FLIGHT = 300
GENERATORS = 2
HERE = "/api/v1/collections/default"
WORDS = "a red ball|a house by a lake|a dog on a beach|snow on a mountain|two birds|a green car at night".split("|")
# How often each kind is sent.
KINDS = {"text": 10, "stored image": 4, "upload": 3, "classify": 2, "thumbnail": 1}


@dataclass
class Sample:
    """What came of one request: its kind, its status (0: no answer), seconds from when it was due, Retry-After."""

    kind: str
    status: int
    seconds: float
    retry_after: bool


@dataclass
class Report:
    """What a run measured; times are in seconds."""

    pictures: int
    seconds: float
    capacity: float
    offered: float
    sent: int
    not_sent: int
    statuses: dict[str, int]
    without_retry_after: int
    served_per_second: float
    unloaded_p99: dict[str, float]
    served_p50: dict[str, float]
    served_p99: dict[str, float]
    queue_seconds: float
    health_median: float
    health_p99: float
    health_worst: float
    recovery: float
    late: list[str] = field(default_factory=list)


def run_overload(address: str, *, seconds: float, factor: float = FACTOR, pictures: int = PICTURES) -> Report:
    """Measure the server at this address, whose default collection holds at least ``pictures`` images."""
    photo = _get(address, f"{HERE}/images/1/thumbnail")[1]
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        task = {"address": address, "photo": file.name, "images": pictures}
        settled = max(3.0, seconds / 10)
        unloaded = _generate({**task, "clients": 1, "seconds": settled}, 1)
        able = _generate({**task, "clients": 8, "seconds": settled}, 2)
        capacity = sum(one.status == 200 for one in able) / settled
        health: list[float] = []
        over = threading.Event()
        probe = threading.Thread(target=_probe, args=(address, health, over))
        probe.start()
        load = _generate({**task, "rate": factor * capacity / GENERATORS, "seconds": seconds}, GENERATORS)
        ended = time.monotonic()
        over.set()
        probe.join()
        recovery = _recovery(address, ended, _p99(unloaded).get("text", 0.1))
    return _report(pictures, seconds, factor, capacity, unloaded, load, health, recovery)


def _report(
    pictures: int, seconds: float, factor: float, capacity: float, unloaded: list[Sample], load: list[Sample],
    health: list[float], recovery: float,
) -> Report:  # fmt: skip
    answered = [one for one in load if one.status >= 0]
    served = [one for one in answered if one.status == 200]
    alone, under = _p99(unloaded), _p99(served)
    wait = 5.0
    return Report(
        pictures=pictures, seconds=seconds, capacity=round(capacity, 1), offered=round(factor * capacity, 1),
        sent=len(answered), not_sent=len(load) - len(answered),
        statuses={str(status): count for status, count in sorted(Counter(one.status for one in answered).items())},
        without_retry_after=sum(one.status == 503 and not one.retry_after for one in answered),
        served_per_second=round(len(served) / seconds, 1), unloaded_p99=alone,
        served_p50=_quantiles(served, 0.5), served_p99=under, queue_seconds=wait,
        health_median=_quantile(health, 0.5), health_p99=_quantile(health, 0.99), health_worst=_quantile(health, 1.0),
        recovery=round(recovery, 2),
        late=[kind for kind, value in under.items() if value > 2 * alone.get(kind, value) + wait],
    )  # fmt: skip


def _p99(samples: list[Sample]) -> dict[str, float]:
    return _quantiles([one for one in samples if one.status == 200], 0.99)


def _quantiles(samples: list[Sample], share: float) -> dict[str, float]:
    return {kind: _quantile([one.seconds for one in samples if one.kind == kind], share)
            for kind in KINDS if any(one.kind == kind for one in samples)}  # fmt: skip


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4)


def _get(address: str, path: str, timeout: float = 30.0) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address + path, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def _probe(address: str, seconds: list[float], over: threading.Event) -> None:
    while not over.is_set():
        started = time.monotonic()
        status, _ = _get(address, "/healthz")
        seconds.append(time.monotonic() - started if status == 200 else 60.0)
        over.wait(0.1)


def _recovery(address: str, ended: float, usual: float) -> float:
    """How long after the load's end three searches in a row were answered in about the usual time."""
    good = 0
    while time.monotonic() - ended < 60:
        started = time.monotonic()
        status, _ = _get(address, f"{HERE}/search?text=dog")
        good = good + 1 if status == 200 and time.monotonic() - started < max(0.25, 2 * usual) else 0
        if good == 3:
            return time.monotonic() - ended
    return 60.0


# The load, each generator in a process of its own -----------------------------------------------------------


def _generate(task: dict[str, Any], generators: int) -> list[Sample]:
    processes = []
    for number in range(generators):
        words = json.dumps({**task, "seed": number})
        processes.append(subprocess.Popen([sys.executable, __file__, "--generate", words], stdout=subprocess.PIPE))
    samples = []
    for process in processes:
        out, _ = process.communicate()
        samples += [Sample(*one) for one in json.loads(out)]
    return samples


class Generator:
    """Sends requests over kept connections: at a rate, whatever comes back, or as fast as some clients get answers."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.host, _, port = task["address"].partition("://")[2].partition(":")
        self.port = int(port)
        self.task = task
        self.chance = random.Random(task["seed"])
        self.photo = Path(task["photo"]).read_bytes()
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.samples: list[Sample] = []

    async def run(self) -> list[Sample]:
        """Everything that was sent, and with the status -1 what was due while too much was under way."""
        ends = time.monotonic() + self.task["seconds"]
        if "clients" in self.task:
            await asyncio.gather(*(self._client(ends) for _ in range(self.task["clients"])))
            return self.samples
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while due < ends:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            kind = self._kind()
            if len(under_way) >= IN_FLIGHT:
                self.samples.append(Sample(kind, -1, 0.0, False))
            else:
                one = asyncio.create_task(self._send(kind, due))
                under_way.add(one)
                one.add_done_callback(under_way.discard)
            due += self.chance.expovariate(self.task["rate"])
        await asyncio.gather(*under_way)
        return self.samples

    async def _client(self, ends: float) -> None:
        while time.monotonic() < ends:
            await self._send(self._kind(), time.monotonic())

    def _kind(self) -> str:
        return self.chance.choices(list(KINDS), list(KINDS.values()))[0]

    async def _send(self, kind: str, due: float) -> None:
        status, head = 0, b""
        try:
            async with asyncio.timeout(60):
                reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
                writer.write(self._request(kind))
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ", 2)[1])
                length = next((int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n")
                               if line.startswith(b"content-length:")), 0)  # fmt: skip
                await reader.readexactly(length)
            if b"connection: close" in head.lower():
                writer.close()
            else:
                self.idle.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            status = 0
        self.samples.append(Sample(kind, status, time.monotonic() - due, b"\r\nretry-after:" in head.lower()))

    def _request(self, kind: str) -> bytes:
        words, image = self.chance.choice(WORDS), self.chance.randint(1, self.task["images"])
        if kind == "text":
            return self._head("GET", f"{HERE}/search?text={words.replace(' ', '+')}+{self.chance.randint(1, 999)}")
        if kind == "stored image":
            return self._head("GET", f"{HERE}/images/{image}/similar")
        if kind == "thumbnail":
            return self._head("GET", f"{HERE}/images/{image}/thumbnail")
        if kind == "upload":
            return self._form(f"{HERE}/search/image")
        return self._form("/api/v1/classify", labels=("dog", "cat", "house"))

    def _head(self, method: str, path: str, *more: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *more]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _form(self, path: str, **fields: tuple[str, ...]) -> bytes:
        parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
                 for name, values in fields.items() for value in values]  # fmt: skip
        file = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + self.photo
        body = b"".join(parts) + file + b"\r\n--edge--\r\n"
        return self._head("POST", path, "Content-Type: multipart/form-data; boundary=edge",
                          f"Content-Length: {len(body)}") + body  # fmt: skip


# The server -------------------------------------------------------------------------------------------------


@contextmanager
def demo_server(folder: Path, pictures: int = PICTURES) -> Iterator[str]:
    """The address of a server over a picture-book in ``folder``, ready; it is stopped when the block ends."""
    environment = {**os.environ, "CLIPSEARCH_DATA_DIR": str(folder / "library"), "CLIPSEARCH_MODEL": "demo",
                   "CLIPSEARCH_DEVICE": "cpu"}  # fmt: skip
    command = [sys.executable, "-m", "clipsearch.cli"]
    from clipsearch.demo.picture_book import draw_picture_book

    draw_picture_book(folder / "pictures", count=pictures)
    subprocess.run([*command, "index", str(folder / "pictures")], env=environment, check=True, capture_output=True)
    ready = folder / "ready"
    server = subprocess.Popen(
        [*command, "serve", "--port", "0", "--ready-file", str(ready)], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not ready.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the server did not get ready")
            time.sleep(0.1)
        yield ready.read_text().strip()
    finally:
        server.terminate()
        server.wait(60)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the load lasts")
    parser.add_argument("--factor", type=float, default=FACTOR, help="how many times what the server can do")
    parser.add_argument("--address", help="a server that runs already, with at least --pictures images")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--generate", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.generate:
        samples = asyncio.run(Generator(json.loads(given.generate)).run())
        json.dump([list(asdict(one).values()) for one in samples], sys.stdout)
        return
    chosen = {"seconds": given.seconds, "factor": given.factor, "pictures": given.pictures}
    if given.address:
        report = run_overload(given.address, **chosen)
    else:
        with tempfile.TemporaryDirectory() as folder, demo_server(Path(folder), given.pictures) as address:
            report = run_overload(address, **chosen)
    print(json.dumps(asdict(report), indent=2))


if __name__ == "__main__":
    main()
