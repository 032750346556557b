"""What a client makes of a server's refusals, whatever they hold; and that nothing secret shows in its help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as some
from server_fixtures import served

from clipsearch.client import Client, NoAnswer, ServerError
from clipsearch.client.problems import PROBLEM_TYPE, error_of, seconds_to_wait
from clipsearch.errors import AlreadyRunning, Busy, ClipSearchError, ImageNotFound

CODES = ["image_not_found", "busy", "rate_limited", "already_running", "server_error", "error", "no_such_code", ""]
NAMES = ["self", "args", "message", "status", "told", "retry_after", "request_id", "position", "code", "details", "é"]
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text() | some.sampled_from(NAMES), inner),
    max_leaves=6,
)
PROBLEMS = some.fixed_dictionaries(
    {},
    optional={
        "code": some.sampled_from(CODES) | VALUES,
        "detail": some.text() | VALUES,
        "request_id": VALUES,
        "details": some.dictionaries(some.sampled_from(NAMES) | some.text(), VALUES) | VALUES,
    },
)


def told(status: int, body: bytes, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, content=body, headers={"Content-Type": PROBLEM_TYPE, **headers})


@given(problem=PROBLEMS | VALUES, status=some.sampled_from([400, 404, 409, 429, 500, 503]), wait=some.text())
def test_whatever_a_problem_holds_it_is_an_error_of_the_house(problem: Any, status: int, wait: str) -> None:
    response = told(status, json.dumps(problem).encode(), **{"Retry-After": wait.encode("ascii", "ignore").decode()})
    error = error_of(response)
    assert isinstance(error, ClipSearchError)
    assert isinstance(error.message, str)
    if isinstance(error, Busy):
        assert error.retry_after >= 0.0
    assert (seconds_to_wait(response, 1.0) or 0.0) >= 0.0


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe", b'{"code": ' + b"1" * 10_000 + b"}", b""])
def test_what_is_no_problem_at_all_is_an_error_of_the_server(body: bytes) -> None:
    assert isinstance(error_of(told(400, body)), ServerError)


@pytest.mark.parametrize(
    "wait", ["Mon, 01 Jan 0001 00:00:00 +2300", "Fri, 31 Dec 9999 23:59:59 -2300", "nan", "-5", "soon"]
)
def test_a_time_to_wait_that_nobody_can_read_is_none(wait: str) -> None:
    seconds = seconds_to_wait(told(503, b"", **{"Retry-After": wait}), 1.0)
    assert seconds is not None
    assert seconds >= 0.0


def test_details_of_any_name_are_kept() -> None:
    said = {"code": "image_not_found", "details": {"self": 1, "message": "x", "position": 3}}
    error = error_of(told(400, json.dumps(said).encode()))
    assert isinstance(error, ImageNotFound)
    assert error.details == {"self": 1, "message": "x", "position": 3}


def refusing(code: str, **headers: str) -> tuple[Callable[..., Iterable[bytes]], list[str]]:
    """An app that refuses with 409 and this code, twice, and then tells how it is; and whom it was asked by."""
    asked: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked.append(environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        if len(asked) > 2:
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"name": "a", "model": "demo", "images": 0, "failures": 0, "index": "none"}']
        start_response("409 CONFLICT", [("Content-Type", PROBLEM_TYPE), *headers.items()])
        return [json.dumps({"code": code, "detail": "another is at work"}).encode()]

    return app, asked


def test_a_collection_that_another_works_on_is_asked_again_where_the_server_says_when() -> None:
    app, asked = refusing("already_running", **{"Retry-After": "0"})
    with served(app) as server, Client(server.url, retries=3) as client:
        assert client._transport.send("POST", "/x").status_code == 200
        assert len(asked) == 3
        assert len(set(asked)) == 1
        asked.clear()
        with Client(server.url, retries=1) as hasty, pytest.raises(AlreadyRunning):
            hasty._transport.send("POST", "/x")
        assert len(asked) == 2


@pytest.mark.parametrize(("code", "headers"), [("already_running", {}), ("already_exists", {"Retry-After": "0"})])
def test_a_refusal_that_does_not_pass_is_told_at_once(code: str, headers: dict[str, str]) -> None:
    app, asked = refusing(code, **headers)
    with served(app) as server, Client(server.url, retries=3) as client, pytest.raises(ClipSearchError):
        client._transport.send("POST", "/x")
    assert len(asked) == 1


def test_an_answer_that_is_not_packed_as_it_says_is_none() -> None:
    def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Encoding", "gzip")])
        return [b"no gzip"]

    with served(app) as server, Client(server.url, retries=0) as client, pytest.raises(NoAnswer):
        client.status()


def test_help_shows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import inspect, pydoc
import clipsearch, clipsearch.client, clipsearch.client.client, clipsearch.config, clipsearch.environment
for one in (clipsearch, clipsearch.client, clipsearch.client.client, clipsearch.config, clipsearch.environment):
    print(pydoc.render_doc(one, renderer=pydoc.plaintext))
print(inspect.signature(clipsearch.client.Client))
"""
    monkeypatch.setenv("CLIPSEARCH_KEY", "cs_verysecret")
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "whereabouts" in shown
    assert "cs_verysecret" not in shown


def test_a_client_finds_its_server_in_the_environment_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSEARCH_URL", "http://127.0.0.1:9")
    with Client() as client:
        assert "http://127.0.0.1:9" in repr(client)
