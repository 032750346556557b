"""What is written of requests, and what never is: lines in text and JSON, and twenty planted secrets."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import call
from web_fixtures import API, IMAGES, Site, small_site

from clipsearch.config import read_settings
from clipsearch.encoder import Encoder
from clipsearch.log_lines import JsonLines, TextLines, redacted
from clipsearch.web.access_log import writes_access_lines

HERE = f"{API}/collections/default"


@contextmanager
def written(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    """All that the software and its libraries log meanwhile, as it would stand on stderr."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root, ours, access = logging.getLogger(), logging.getLogger("clipsearch"), logging.getLogger("clipsearch.access")
    levels = [one.level for one in (root, ours, access)]
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        for one, level in zip((root, ours, access), levels, strict=True):
            one.setLevel(level)


@contextmanager
def logging_site(folder: Path, encoder: Encoder, **settings: Any) -> Iterator[Site]:
    with small_site(folder, encoder, pictures=2, **settings) as site:
        yield site


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_request_is_one_line_of_json_that_names_no_address(tmp_path: Path, shared_encoder: Encoder) -> None:
    with written(JsonLines()) as stream, logging_site(tmp_path, shared_encoder, log_format="json") as site:
        stream.truncate(0)
        stream.seek(0)
        found = site.client.get(f"{HERE}/search?text=my+private+wish", headers={"X-Request-Id": "mine-1"})
        site.client.get(f"{API}/collections/family/images/7")
        site.client.get("/no/such/place?who=me")
    lines = [one for one in lines_of(stream) if one["logger"] == "clipsearch.access"]
    assert [(one["route"], one["status"]) for one in lines] == [
        ("/api/v1/collections/{name}/search", 200),
        ("/api/v1/collections/{name}/images/{image_id}", 404),
        ("unmatched", 404),
    ]
    first = lines[0]
    assert first["request_id"] == "mine-1" == found.headers["X-Request-Id"]
    assert first["method"] == "GET"
    assert first["bytes"] == len(found.data)
    assert 0 < first["ms"] < 60_000
    assert lines[1]["code"] == "collection_not_found"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert not re.search("wish|family|/no/such|who=me", stream.getvalue())


def test_a_line_of_text_says_the_same(tmp_path: Path, shared_encoder: Encoder) -> None:
    with written(TextLines()) as stream, logging_site(tmp_path, shared_encoder, access_log=True) as site:
        site.client.get(f"{IMAGES}/999", headers={"X-Request-Id": "mine-2"})
    assert re.search(
        r"^INFO clipsearch\.access: GET /api/v1/collections/\{name\}/images/\{image_id\} 404 in [\d.]+ ms "
        r"bytes=\d+ code=image_not_found request_id=mine-2$",
        stream.getvalue(), flags=re.MULTILINE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "writes"),
    [
        ({}, False),
        ({"log_format": "json"}, True),
        ({"log_level": "info"}, True),
        ({"log_level": "debug"}, True),
        ({"log_level": "info", "access_log": False}, False),
        ({"log_format": "json", "access_log": False}, False),
        ({"access_log": True}, True),
    ],
)
def test_lines_are_written_where_they_are_wanted(settings: dict[str, Any], writes: bool) -> None:
    assert writes_access_lines(read_settings(**settings)) is writes


def test_a_fault_is_told_with_its_traceback_and_without_the_address(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("postgresql://me:hunter2hunter2@db/photos is gone")

    with written(JsonLines()) as stream, logging_site(tmp_path, shared_encoder, log_format="json") as site:
        monkeypatch.setattr("clipsearch.web.api.status.status", fail)
        answer = site.client.get(f"{API}/status?secret=1")
    assert answer.status_code == 500
    fault = next(one for one in lines_of(stream) if "exception" in one)
    assert answer.get_json()["request_id"] in fault["message"]
    assert "RuntimeError" in fault["exception"]
    assert "hunter2" not in stream.getvalue()
    assert "hunter2" not in answer.get_data(as_text=True)


SECRETS = [
    *(f"cs_{letter * 8}_{letter * 20}{number:04}" for number, letter in enumerate("abcdefgh")),
    *(f"pass-{number}-{'word' * 3}" for number in range(6)),
    *(f"{'dG9rZW4' * 2}{number}xyz" for number in range(6)),
]
URL = "postgresql+psycopg://user:{}@127.0.0.1:1/photos"


def test_twenty_planted_secrets_are_found_nowhere(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, passwords, tokens = SECRETS[:8], SECRETS[8:14], SECRETS[14:]
    assert len(set(SECRETS)) == 20
    said: list[str] = []
    for formatter in (JsonLines(), TextLines()):
        with (
            written(formatter) as stream,
            logging_site(tmp_path / formatter.__class__.__name__, shared_encoder, access_log=True) as site,
        ):
            log = logging.getLogger("clipsearch.test")
            for key in keys:
                for path in (f"/{key}", f"{API}/collections/{key}", f"{HERE}/search?text={key}&colour={key}",
                             f"{API}/label-sets/{key}", f"{API}/jobs/{key}"):  # fmt: skip
                    headers = {"Authorization": f"Bearer {key}", "X-Api-Key": key, "X-Request-Id": key}
                    said.append(site.client.get(path, headers=headers).get_data(as_text=True))
                said.append(site.client.post(f"{API}/collections", json={"name": "x/" + key}).get_data(as_text=True))
                log.warning("key %s was refused, headers %r", key, {"Authorization": f"Bearer {key}"})
            for password in passwords:
                log.error("no connection to %s", URL.format(password))
                log.error("settings: password=%s", password)
                try:
                    raise ConnectionError(URL.format(password))
                except ConnectionError:
                    log.exception("the database went away")
                done = call("config", "show", "--json", environment={"CLIPSEARCH_DATABASE_URL": URL.format(password)})
                said += [done.text, done.err]
                done = call("config", "show", environment={"CLIPSEARCH_DATABASE_URL": URL.format(password)})
                said += [done.text, done.err]
                done = call("status", environment={"CLIPSEARCH_DATABASE_URL": URL.format(password)})
                said += [done.text, done.err]
            for token in tokens:
                for kind in ("Bearer", "Basic"):
                    answer = site.client.get(f"{HERE}/search", headers={"Authorization": f"{kind} {token}"})
                    said.append(answer.get_data(as_text=True))
                    log.warning("Authorization: %s %s", kind, token)
                log.warning("Authorization=%s, X-Api-Key: %s", token, token)
                log.warning("%r", {"authorization": f"Basic {token}", "x-api-key": token})
            said.append(site.client.get("/metrics").get_data(as_text=True))
        said.append(stream.getvalue())
        assert stream.getvalue().count("\n") > 100
    everything = "\n".join(said)
    assert [secret for secret in SECRETS if secret in everything] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
        ("file:///home/me/a@b.jpg", "file:///home/me/a@b.jpg"),
        ("key cs_ab12cd34_0123456789abcdef was used", "key cs_ab12cd34_*** was used"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("the label cookie, and a basic photo", "the label cookie, and a basic photo"),
        ("sslmode=require&password=hunter22&x=1", "sslmode=require&password=***&x=1"),
    ],
)
def test_secrets_are_taken_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown
