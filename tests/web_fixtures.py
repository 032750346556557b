"""A site for the web tests: an app around a small library, a client, and a real server in a process of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from apiflask import APIFlask
from flask.testing import FlaskClient
from library_fixtures import CountingEncoder, draw_many, index, library_with
from werkzeug.test import TestResponse

from clipsearch.encoder import Encoder
from clipsearch.library import Library
from clipsearch.web import create_app

API = "/api/v1"
IMAGES = f"{API}/collections/default/images"
PICTURES = 6

_SERVE = """
import sys, json
from pathlib import Path
from clipsearch.config import read_settings
from clipsearch.library import Library
from clipsearch.web import serve
arguments = json.loads(sys.argv[1])
with Library.open(read_settings(**arguments["settings"])) as library:
    serve(library, "127.0.0.1", 0, ready_file=Path(arguments["ready_file"]))
"""


@dataclass
class Site:
    """An app with some pictures indexed."""

    library: Library
    app: APIFlask
    client: FlaskClient
    photos: Path


@contextmanager
def small_site(folder: Path, encoder: Encoder, *, pictures: int = PICTURES, **settings: Any) -> Iterator[Site]:
    """A site in ``folder``; its roots hold the pictures' folder and nothing else."""
    photos = folder / "photos"
    draw_many(photos, pictures)
    chosen = {"roots": (photos,)} | settings
    with library_with(CountingEncoder(encoder), folder / "data", **chosen) as library:
        if pictures:
            index(library, photos)
        app = create_app(library)
        yield Site(library, app, app.test_client(), photos)


@dataclass
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def get(self, path: str, timeout: float = 20.0) -> tuple[int, dict[str, Any]]:
        """Status and JSON."""
        return self.send(urllib.request.Request(self.address + path), timeout)

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """The same for a body in JSON."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        return self.send(request)

    def send(self, request: urllib.request.Request, timeout: float = 20.0) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def say(self, data: bytes) -> bytes:
        """Send raw bytes, and give the answer until the server closes or falls silent."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.settimeout(5)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or says nothing for the socket's time."""
    answer = b""
    try:
        while piece := connection.recv(65_536):
            answer += piece
            head, _, body = answer.partition(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:") and len(body) >= int(line.partition(b":")[2]):
                    return answer
    except (TimeoutError, ConnectionResetError):
        pass
    return answer


@contextmanager
def running_server(folder: Path, model: str, *, wait: bool = True, **settings: Any) -> Iterator[Running]:
    """A server over the library in ``folder / "data"``, ready when this yields; stopped when the block ends."""
    ready_file = folder / "ready"
    ready_file.unlink(missing_ok=True)
    chosen = {"data_dir": str(folder / "data"), "model": model, "device": "cpu", "dtype": "float32"} | settings
    arguments = json.dumps({"settings": chosen, "ready_file": str(ready_file)})
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, arguments], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        deadline = time.monotonic() + 60
        while wait and not ready_file.exists():
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not get ready"
            time.sleep(0.05)
        yield Running(process, address)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Contract:
    """Holds answers against the document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = {
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): operations
            for path, operations in document["paths"].items()
        }

    def check(self, method: str, path: str, response: TestResponse) -> None:
        """The answer's status is foreseen, and its JSON has the form that is promised for it."""
        path = path.partition("?")[0]
        operation = next(many for pattern, many in self._paths.items() if pattern.fullmatch(path))[method.lower()]
        assert str(response.status_code) in operation["responses"], (method, path, response.status_code)
        promised = operation["responses"][str(response.status_code)]
        if "$ref" in promised:
            promised = self._document["components"]["responses"][promised["$ref"].rpartition("/")[2]]
        content = promised.get("content")
        if content is None:
            assert response.data == b""
            return
        if response.mimetype not in content:
            assert set(content) <= {"image/jpeg", "image/*"}, (response.mimetype, set(content))
            return
        schema = {**content[response.mimetype]["schema"], "components": self._document["components"]}
        if response.is_json:
            jsonschema.Draft202012Validator(schema).validate(response.get_json())


@dataclass
class CheckedClient:
    """A client whose every answer is held against the document."""

    client: FlaskClient
    contract: Contract

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._ask("GET", path, options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self._ask("POST", path, options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self._ask("PUT", path, options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self._ask("PATCH", path, options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self._ask("DELETE", path, options)

    def _ask(self, method: str, path: str, options: dict[str, Any]) -> TestResponse:
        response = self.client.open(path, method=method, **options)
        self.contract.check(method, path, response)
        return response


def checked(site: Site) -> CheckedClient:
    """The site's client, checked."""
    return CheckedClient(site.client, Contract(site.client.get(f"{API}/openapi.json").get_json()))
