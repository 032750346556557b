"""The progress of a job as server-sent events: told as it comes, to a bounded number, until it is over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from library_fixtures import draw_many, index
from store_workers import BATCH
from switching_fixtures import NEW, OLD, counting, library_of_two
from web_fixtures import API, CheckedClient, Contract, Running, running_server

from clipsearch.answers import RunInfo
from clipsearch.errors import Busy, RunNotFound
from clipsearch.library import Library
from clipsearch.web import create_app, job_events
from clipsearch.web.context import EXTENSION, Context
from clipsearch.web.job_events import Streams, events

PICTURES = 3 * BATCH


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Library]:
    with library_of_two(tmp_path / "data", roots=(tmp_path / "photos",)) as library:
        draw_many(tmp_path / "photos", PICTURES)
        index(library, tmp_path / "photos")
        yield library


def parsed(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream: name and data; comments and the time of the next try are left out."""
    found = []
    for block in stream.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith((":", "retry")))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def run_info(**values: Any) -> RunInfo:
    plain = {"id": 7, "collection": "default", "source": "", "state": "running", "done": 0, "total": 10, "counts": {},
             "error": None, "created_at": "2026-11-01T00:00:00Z", "started_at": None, "finished_at": None}  # fmt: skip
    return RunInfo.model_validate(plain | values)


def test_a_job_is_told_until_it_ends(two: Library) -> None:
    app = create_app(two)
    client = app.test_client()
    counting(two, NEW).before_encoding = lambda _count: time.sleep(0.35)
    started = client.post(f"{API}/collections/default/models", json={"model": NEW})
    assert started.status_code == 403, "a model that nobody chose for this library"
    two.encoder_for(two.collection())
    from dataclasses import replace

    two.encoder_for(replace(two.collection(), model_name=NEW))  # the library knows it from now on
    started = client.post(f"{API}/collections/default/models", json={"model": NEW})
    assert started.status_code == 202
    run = started.get_json()
    assert (run["kind"], run["model"], run["state"]) == ("embed", NEW, "queued")
    began = time.monotonic()
    answer = client.get(f"{started.headers['Location']}/events", headers={"Last-Event-ID": "12"})
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    told = parsed(answer.get_data(as_text=True))
    seconds = time.monotonic() - began
    names = [name for name, _ in told]
    assert names == ["progress"] * (len(told) - 1) + ["end"]
    assert 3 <= len(told) - 1 <= 4 * seconds + 2, "at most four a second"
    dones = [one["done"] for _, one in told]
    assert dones == sorted(dones)
    assert told[-1][1] == client.get(started.headers["Location"]).get_json()
    assert (told[-1][1]["state"], told[-1][1]["done"]) == ("done", PICTURES)


def test_a_job_that_is_over_is_told_at_once_and_one_that_never_was_not_found(two: Library, tmp_path: Path) -> None:
    app = create_app(two)
    client = checked_client(app)
    done = index(two, tmp_path / "photos").run_id
    began = time.monotonic()
    told = parsed(client.get(f"{API}/jobs/{done}/events").get_data(as_text=True))
    assert [name for name, _ in told] == ["progress", "end"]
    assert time.monotonic() - began < 1.0
    assert client.get(f"{API}/jobs/999/events").status_code == 404


def checked_client(app: APIFlask) -> CheckedClient:
    client = app.test_client()
    return CheckedClient(client, Contract(client.get(f"{API}/openapi.json").get_json()))


def test_a_stream_ends_without_an_end_when_the_server_stops() -> None:
    stopping = iter([False, False, True])
    told = "".join(events(run_info(), run_info, lambda: next(stopping)))
    assert [name for name, _ in parsed(told)] == ["progress"]
    assert told.startswith("retry: 2000\n\n")


def test_a_stream_ends_after_a_while_and_gives_signs_of_life_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LOOK_SECONDS", 0.01), ("COMMENT_SECONDS", 0.1), ("LONGEST_SECONDS", 0.5)):
        monkeypatch.setattr(job_events, name, value)
    told = "".join(events(run_info(), run_info, lambda: False))
    assert 2 <= told.count(": still at it\n\n") <= 5
    assert [name for name, _ in parsed(told)] == ["progress"]


def test_a_job_that_goes_with_its_collection_is_over() -> None:
    def gone() -> RunInfo:
        raise RunNotFound("there is no run 7")

    told = parsed("".join(events(run_info(), gone, lambda: False)))
    assert [name for name, _ in told] == ["progress", "progress", "end"]
    assert told[-1][1]["state"] == "cancelled"
    assert "deleted" in told[-1][1]["error"]


def test_a_database_that_is_busy_for_a_moment_ends_no_stream() -> None:
    answers = iter([None, run_info(state="done", done=10)])

    def show() -> RunInfo:
        answer = next(answers)
        if answer is None:
            raise Busy("busy")
        return answer

    assert [name for name, _ in parsed("".join(events(run_info(), show, lambda: False)))] == ["progress"] * 2 + ["end"]


def test_places_are_bounded_and_given_back_once() -> None:
    streams = Streams(2)
    first, _second = streams.take(), streams.take()
    with pytest.raises(Busy, match="2 listen to jobs already"):
        streams.take()
    first()
    first()
    streams.take()
    with pytest.raises(Busy):
        streams.take()


def test_a_request_for_the_head_alone_keeps_no_place(two: Library, tmp_path: Path) -> None:
    app = create_app(two)
    held: Context = app.extensions[EXTENSION]
    done = index(two, tmp_path / "photos").run_id
    for _ in range(held.streams.places + 4):
        assert app.test_client().head(f"{API}/jobs/{done}/events").status_code == 200
    assert app.test_client().get(f"{API}/jobs/{done}/events").status_code == 200


@pytest.mark.servers
def test_listeners_are_few_and_those_that_go_away_make_room(tmp_path: Path, migrated_file: Path) -> None:
    """A real server: 16 listen, the next is told to come back, and a closed connection frees its place."""
    from library_fixtures import sqlite_url

    sqlite_url(tmp_path / "data", migrated_file)
    draw_many(tmp_path / "photos", 2)
    with library_of_two(tmp_path / "data") as library:
        index(library, tmp_path / "photos")
        from clipsearch.database.embedding_runs import kept_alive
        from clipsearch.switching import queue_embedding

        run_id = queue_embedding(library, None, NEW)
        with (
            kept_alive(library.database, run_id, 600),
            running_server(tmp_path, OLD, wait=False) as server,
        ):
            path = f"{API}/jobs/{run_id}/events"
            listeners = [listening(server, path) for _ in range(16)]
            assert server.get(path)[0] == 503
            assert server.get("/healthz")[0] == 200
            for one in listeners[:4]:
                one.close()
            deadline = time.monotonic() + 30
            while (status := first_status(server, path)) == 503:
                assert time.monotonic() < deadline, "the places were not given back"
                time.sleep(0.1)
            assert status == 200
            # Those that still listen are let go as the server stops.
            stopping = time.monotonic()
            server.process.terminate()
            assert server.process.wait(40) == 0
            assert time.monotonic() - stopping < 15
            for one in listeners[4:]:
                one.close()


def listening(server: Running, path: str) -> Any:
    connection = server.connect()
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {server.address[7:]}\r\n\r\n".encode())
    seen = b""
    while b"event: progress" not in seen:
        piece = connection.recv(4_096)
        assert piece, seen
        seen += piece
    assert b" 200 " in seen.splitlines()[0]
    return connection


def first_status(server: Running, path: str) -> int:
    with server.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {server.address[7:]}\r\n\r\n".encode())
        return int(connection.recv(4_096).split()[1])


def test_streams_do_not_share_what_they_tell() -> None:
    """Two that listen to the same job at once hear the same."""
    ended = run_info(state="done", done=10)
    told: list[str] = []
    threads = [threading.Thread(target=lambda: told.append("".join(events(run_info(), lambda: ended, lambda: False))))
               for _ in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 4
    assert len(set(told)) == 1
