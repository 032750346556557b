"""One request to a server and its answer; knows keys, retries and how answers are read."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from clipsearch.answers import Answer
from clipsearch.client.problems import NoAnswer, ServerError, error_of, seconds_to_wait
from clipsearch.errors import ConfigError

Told = TypeVar("Told", bound=Answer)
Files = Sequence[tuple[str, tuple[str, bytes]]]

API = "/api/v1"
# However long a server asks to be left alone, a caller waits no longer than this at a time.
LONGEST_WAIT = 60.0
_FIRST_WAIT = 0.5
_READING = frozenset({"GET", "HEAD"})


class Transport:
    """Sends requests to one server. Safe to share between threads."""

    def __init__(self, url: str, key: str | None, timeout: float, retries: int) -> None:
        self.url = _checked(url)
        self._retries = retries
        headers = {"Accept": "application/json", "User-Agent": "clipsearch-client"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        # A redirection is not followed: it could carry the key to another server.
        self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=timeout, follow_redirects=False)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def read(self, kind: type[Told], path: str, /, **parameters: Any) -> Told:
        """The answer of this kind to a GET; parameters that are None are left out."""
        return self.told(kind, self.send("GET", path, params=_given(parameters)))

    def ask(self, kind: type[Told], path: str, body: Any = None, *, method: str = "POST", **options: Any) -> Told:
        """The answer of this kind to a body in JSON, or to ``files`` and ``data`` of a form."""
        return self.told(kind, self.send(method, path, json=body, **options))

    def told(self, kind: type[Told], response: httpx2.Response) -> Told:
        """The answer that a response holds; what a newer server says besides is left out."""
        try:
            return kind.model_validate_json(response.content, extra="ignore")
        except ValidationError as error:
            raise ServerError(
                f"the answer to {response.request.url.path} has another form than this version of the client knows; "
                "is the server of the same version?",
                response.status_code,
            ) from error

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Files | None = None,
        reads: bool = False,
    ) -> httpx2.Response:
        """The answer to a request, after as many more tries as are allowed; a write is marked so that it is done once.

        ``reads`` says that a POST changes nothing. Raises the error that the server tells of, NoAnswer.
        """
        headers = {} if reads or method in _READING else {"Idempotency-Key": uuid.uuid4().hex}
        body: dict[str, Any] = {"files": files, "data": data} if files is not None else {"json": json}
        if json is None and files is None:
            body = {}
        for attempt in range(self._retries + 1):
            usual = _FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311  so that clients do not march
            last = attempt == self._retries
            try:
                response = self._http.request(method, API + path, params=params, headers=headers, **body)
            except httpx2.RequestError as error:
                if last or isinstance(error, httpx2.ReadTimeout | httpx2.UnsupportedProtocol):
                    raise self._no_answer(error) from error
                time.sleep(usual)
                continue
            if response.is_success:
                return response
            wait = seconds_to_wait(response, usual)
            if wait is None or last:
                raise error_of(response)
            time.sleep(min(wait, LONGEST_WAIT))
        raise AssertionError("unreachable")

    @contextmanager
    def stream(self, path: str, *, timeout: float) -> Iterator[httpx2.Response]:
        """An answer that comes in pieces, ``timeout`` seconds apart at most. Raises the error that is told of; what
        breaks off raises httpx2's own."""
        with self._http.stream("GET", API + path, headers={"Accept": "text/event-stream"}, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise error_of(response)
            yield response

    def _no_answer(self, error: httpx2.RequestError) -> NoAnswer:
        return NoAnswer(f"the server at {self.url} does not answer: {str(error) or type(error).__name__}")


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _checked(url: str) -> str:
    try:
        found = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"{url!r} is no address of a server: {error}") from error
    if found.scheme not in {"http", "https"} or not found.host or found.userinfo:
        raise ConfigError("the server's address is like http://127.0.0.1:8000, without a user or a password")
    return str(found).rstrip("/")
