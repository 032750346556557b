"""A search asks a running server of its library: the same answer, in a process that loads next to nothing."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Outcome, Shelf, call, indexed_shelf, spawn
from library_fixtures import sqlite_url
from web_fixtures import Running, running_server

from clipsearch.announcement import FILE, HEADER, Announcement, database_identity, new_announcement, publish
from clipsearch.answers import Hit, SearchAnswer

# Beside what no command may load for its help: the half of the standard library that a search can do without.
KEPT_OUT = {"torch", "open_clip", "onnxruntime", "faiss", "sqlalchemy", "numpy", "PIL", "pydantic", "pydantic_settings",
            "flask", "rich", "psutil", "filelock", "asyncio"}  # fmt: skip
_NUMBER = re.compile(r"[-+]?[0-9]+\.[0-9]+")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def server(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, str(shelf.folder / "model"), data_dir=str(shelf.data)) as running:
        yield running


def settings(shelf: Shelf, **more: str) -> dict[str, str]:
    # A command that names a runtime answers by itself.
    return {**shelf.environment, "CLIPSEARCH_DTYPE": "float32", "CLIPSEARCH_RUNTIME": "auto", **more}


def both(shelf: Shelf, *arguments: str | Path, stdin: bytes = b"") -> tuple[Outcome, Outcome]:
    """The outcome by way of the server, and without it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clipsearch.library.Library.open", _not_needed)
        told = call(*arguments, "--server", stdin=stdin, environment=settings(shelf))
    own = call(*arguments, "--no-server", stdin=stdin, environment=settings(shelf, CLIPSEARCH_RUNTIME="torch"))
    assert (told.code, told.err) == (own.code, own.err)
    return told, own


def _not_needed(*_: Any, **__: Any) -> None:
    raise AssertionError("the process opened the library itself")


def test_the_server_stands_in_its_data_folder_while_it_is_ready(server: Running, shelf: Shelf) -> None:
    announced = json.loads((shelf.data / FILE).read_text())
    assert (announced["host"], announced["port"], announced["pid"]) == ("127.0.0.1", server.port, server.process.pid)
    assert (shelf.data / FILE).stat().st_mode & 0o777 == 0o600


def test_an_answer_by_way_of_the_server_loads_nothing_heavy(server: Running, shelf: Shelf) -> None:
    variables = settings(shelf, CLIPSEARCH_LOG_LEVEL="warning")
    done = spawn("search", "a red boat", "--json", environment=variables, python=("-X", "importtime"))
    assert SearchAnswer.model_validate(done.answer).hits
    loaded = {name.split(".")[0] for name in re.findall(r"^import time: .*\| +([\w.]+)$", done.err, re.MULTILINE)}
    assert {"click", "http"} <= loaded
    assert not loaded & KEPT_OUT


@pytest.mark.parametrize(
    "arguments",
    [
        ("a red boat",),
        ("a red boat", "-k", "3", "--offset", "2"),
        ("a red boat", "--min-score", "0.9"),
        ("--text", "boat", "--add", "2:a ship", "--minus", "0.5:the moon", "--collapse-duplicates", "--exact"),
        ("--stored", "2"),
        ("boat", "--glob", "*/picture-*", "--min-width", "10", "--format", "PNG,jpeg", "--to", "2090-01-01"),
        ("boat " * 100,),
    ],
)
def test_the_answer_is_the_one_that_the_process_gives_itself(
    server: Running, shelf: Shelf, arguments: tuple[str, ...]
) -> None:
    told, own = both(shelf, "search", *arguments, "--json")
    first, second = SearchAnswer.model_validate(told.answer), SearchAnswer.model_validate(own.answer)
    assert list(told.answer) == list(own.answer)
    assert [hit.score for hit in first.hits] == pytest.approx([hit.score for hit in second.hits], abs=1e-3)
    assert without_scores(first) == without_scores(second)


def without_scores(answer: SearchAnswer) -> SearchAnswer:
    return answer.model_copy(update={"hits": [hit.model_copy(update={"score": 0.0}) for hit in answer.hits]})


def test_the_server_tells_relevance_only_when_it_is_asked_to(server: Running, shelf: Shelf) -> None:
    plain, _ = both(shelf, "search", "a red boat", "--json")
    assert {hit["relevance"] for hit in plain.answer["hits"]} == {None}
    told, own = both(shelf, "search", "a red boat", "--json", "--relevance", "--min-relevance", "0")
    assert told.answer["cut"]["min_relevance"] == own.answer["cut"]["min_relevance"] == 0
    assert [hit["relevance"] for hit in told.answer["hits"]] == pytest.approx(
        [hit["relevance"] for hit in own.answer["hits"]], abs=1e-3
    )


def test_pictures_go_to_the_server_as_bytes(server: Running, shelf: Shelf) -> None:
    picture = shelf.pictures / "picture-3.png"
    for arguments, stdin in (((picture,), b""), (("-",), picture.read_bytes())):
        told, own = both(shelf, "search", *arguments, "--json", stdin=stdin)
        assert told.answer["hits"][0]["image"] == own.answer["hits"][0]["image"]
        assert told.answer["hits"][0]["image"]["uri"] == str(picture)


@pytest.mark.parametrize("form", [(), ("--paths-only",), ("--print0",)])
def test_people_and_scripts_see_no_difference(server: Running, shelf: Shelf, form: tuple[str, ...]) -> None:
    told, own = both(shelf, "search", "a red boat", *form)
    assert told.out == own.out


@pytest.mark.parametrize("more", [("--explain",), ("--group-by", "format"), ("--histogram", "--sort", "oldest")])
def test_whatever_is_told_of_an_answer_is_the_same(server: Running, shelf: Shelf, more: tuple[str, ...]) -> None:
    told, own = both(shelf, "search", "a red boat", "--minus", "0.5:the moon", *more)
    told_words, own_words = told.text.split(), own.text.split()
    assert [one for one in told_words if not _NUMBER.fullmatch(one)] == [
        one for one in own_words if not _NUMBER.fullmatch(one)
    ]
    assert [float(one) for one in told_words if _NUMBER.fullmatch(one)] == pytest.approx(
        [float(one) for one in own_words if _NUMBER.fullmatch(one)], abs=2e-3
    )


def test_each_hit_on_its_line_is_that_of_the_process_itself(server: Running, shelf: Shelf) -> None:
    told, own = both(shelf, "similar", "2", "--ndjson")
    first, second = ([Hit.model_validate_json(line) for line in done.out.splitlines()] for done in (told, own))
    assert [hit.image for hit in first] == [hit.image for hit in second]


def test_a_contact_sheet_is_drawn_from_the_servers_answer(server: Running, shelf: Shelf, tmp_path: Path) -> None:
    done = call("search", "boat", "--server", "--sheet", tmp_path / "sheet.png", environment=settings(shelf))
    assert done.code == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("boat", "--top", "0"), 2, "--top"),
        (("boat", "--from", "20240531"), 2, "--from"),
        ((" ",), 1, "empty"),
        (("boat", "-c", "nowhere"), 1, "nowhere"),
        (("boat", "-c", "no/where"), 1, "no/where"),
        (("--stored", "999"), 1, "999"),
        (("--stored", "nowhere.png"), 1, "nowhere.png"),
    ],
)
def test_what_cannot_be_answered_is_told_as_without_a_server(
    server: Running, shelf: Shelf, arguments: tuple[str, ...], code: int, words: str
) -> None:
    told = call("search", *arguments, "--server", environment=settings(shelf))
    assert (told.code, told.out) == (code, b"")
    assert words in told.err
    assert told.err == call("search", *arguments, "--no-server", environment=settings(shelf)).err


@dataclass
class Stranger:
    """A program on a port that answers each question in its own way, and counts them."""

    announcement: Announcement
    asked: list[str] = field(default_factory=list)


Reply = Callable[[str], tuple[int, dict[str, str], bytes]]


@contextmanager
def stranger(shelf: Shelf, reply: Reply, **changes: Any) -> Iterator[Stranger]:
    """One that is announced as the server of this shelf."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append(self.path)
            status, headers, body = reply(found.announcement.identity)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        database = database_identity(shelf.data, None)
        assert database is not None
        port = listening.server_address[1]
        announcement = new_announcement("127.0.0.1", port, database=database, device="cpu", dtype="float32")
        found = Stranger(replace(announcement, **changes))
        publish(shelf.data, found.announcement)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield found
        finally:
            listening.shutdown()
            thread.join()
            (shelf.data / FILE).unlink(missing_ok=True)


EMPTY = {"collection": "default", "model": "m", "hits": [], "revision": 1, "stale": False, "truncated": False,
         "unknown_words": [], "notice": "told by another"}  # fmt: skip


def as_ours(status: int, body: Any) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda identity: (status, {HEADER: identity}, data)


@pytest.fixture
def alone(tmp_path: Path, shelf: Shelf, migrated_file: Path) -> Shelf:
    """A library without images: it needs no model to say so."""
    own = Shelf(tmp_path)
    sqlite_url(own.data, migrated_file)
    made = call("collections", "create", "default", environment=settings(own, CLIPSEARCH_MODEL="demo"))
    assert made.code == 0, made.err
    return own


def says(done: Outcome) -> str:
    assert done.code == 3
    return str(done.answer["notice"])


OWN = "the collection 'default' holds no images yet"


def test_a_server_that_proves_itself_is_believed(alone: Shelf) -> None:
    with stranger(alone, as_ours(200, EMPTY)) as found:
        assert says(call("search", "boat", "--json", environment=settings(alone))) == "told by another"
    assert found.asked == ["/api/v1/collections/default/search"]


@pytest.mark.parametrize(
    "reply",
    [
        as_ours(503, {"code": "busy"}),
        as_ours(404, {"code": "not_found"}),
        as_ours(401, {"code": "unauthorized"}),
        as_ours(200, b"<html>"),
        as_ours(200, b"\xff"),
        as_ours(200, []),
        as_ours(200, {"hits": []}),
        as_ours(200, {**EMPTY, "hits": [{"rank": 1}]}),
        as_ours(200, {**EMPTY, "stale": True}),
        lambda _: (413, {}, b"the body is too large for the HTTP server"),
        lambda _: (200, {}, json.dumps(EMPTY).encode()),
    ],
)
def test_where_the_server_is_of_no_use_the_process_answers_itself(alone: Shelf, reply: Reply) -> None:
    with stranger(alone, reply) as found:
        done = call("search", "boat", "--json", environment=settings(alone))
        assert (alone.data / FILE).exists()
    assert len(found.asked) == 1
    assert says(done) == OWN
    assert done.err == f"{OWN}\n", "nobody is told but those who read the debug log"


def test_another_program_on_its_port_is_not_believed_and_not_asked_again(alone: Shelf) -> None:
    with stranger(alone, lambda _: (200, {HEADER: "someone else"}, json.dumps(EMPTY).encode())) as found:
        for _ in range(2):
            assert says(call("search", "boat", "--json", environment=settings(alone))) == OWN
    assert len(found.asked) == 1


def test_one_that_is_not_there_any_more_is_taken_away(alone: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    with stranger(alone, as_ours(200, EMPTY)) as found:
        gone = found.announcement
    publish(alone.data, gone)
    done = call("--debug", "search", "boat", "--json", environment=settings(alone))
    assert says(done) == OWN
    assert "ConnectionRefusedError" in caplog.text
    assert not (alone.data / FILE).exists()


def test_the_server_of_another_library_is_not_asked(alone: Shelf) -> None:
    with stranger(alone, as_ours(200, EMPTY), database="file 1:1") as found:
        assert says(call("search", "boat", "--json", environment=settings(alone))) == OWN
    assert found.asked == []


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("--no-server",), {}),
        ((), {"CLIPSEARCH_USE_SERVER": "false"}),
        ((), {"CLIPSEARCH_USE_SERVER": "no"}),
        (("--dtype", "bfloat16"), {}),
        ((), {"CLIPSEARCH_DEVICE": "cuda"}),
        ((), {"CLIPSEARCH_RUNTIME": "torch"}),
        ((), {"CLIPSEARCH_RECALL_FLOOR": "0.99"}),
    ],
)
def test_a_server_is_not_asked_against_the_settings(
    alone: Shelf, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    with stranger(alone, as_ours(200, EMPTY)) as found:
        done = call("search", "boat", "--json", *arguments, environment=settings(alone, **variables))
    assert says(done) == OWN
    assert found.asked == []


@pytest.mark.parametrize(("wanted", "answers"), [("auto", OWN), ("float32", OWN), ("int8", "told by another")])
def test_a_server_in_int8_answers_only_those_who_asked_for_it(alone: Shelf, wanted: str, answers: str) -> None:
    with stranger(alone, as_ours(200, EMPTY), dtype="int8"):
        assert says(call("search", "boat", "--json", environment=settings(alone, CLIPSEARCH_DTYPE=wanted))) == answers


def test_a_collection_that_no_address_can_name_is_refused_as_without_a_server(alone: Shelf) -> None:
    with stranger(alone, as_ours(200, EMPTY)) as found:
        done = call("search", "boat", "-c", "\udcff", environment=settings(alone))
    assert found.asked == []
    assert done.code == 1
    assert done.err == call("search", "boat", "-c", "\udcff", "--no-server", environment=settings(alone)).err


# The last test: it ends the server that the others share.
def test_a_server_that_stops_takes_its_announcement_away(server: Running, shelf: Shelf) -> None:
    assert (shelf.data / FILE).exists()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(35) == 0
    assert not (shelf.data / FILE).exists()
