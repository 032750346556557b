"""A real server on the loopback: uploads in every shape, slow and many clients, other processes, and its end."""

from __future__ import annotations

import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from library_fixtures import CountingEncoder, draw_many, index, library_with, picture
from web_fixtures import API, IMAGES, Running, received, running_server

from clipsearch.announcement import FILE
from clipsearch.answers import RunInfo
from clipsearch.config import read_settings
from clipsearch.database.runs import start_run
from clipsearch.encoder import Encoder
from clipsearch.errors import Busy, ConfigError
from clipsearch.following import cancel_run, interrupt_run, show_run
from clipsearch.indexing import IndexingOptions, queue_run
from clipsearch.inspecting import show_collection
from clipsearch.library import Library
from clipsearch.web import create_app
from clipsearch.web.jobs import Jobs
from clipsearch.web.serving import Server, _announcement

HERE = f"{API}/collections/default"
UPLOAD_LIMIT = 1_000_000

_INDEX = """
import sys, json, time
from pathlib import Path
from typing import Any
from clipsearch import open_library
arguments = json.loads(sys.argv[1])
with open_library(arguments["data_dir"], model=arguments["model"], device="cpu", dtype="float32") as library:
    print("ready", flush=True)
    for line in sys.stdin:
        library.index(Path(line.strip()))
        print(time.time(), flush=True)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Path:
    """A folder with pictures and a library that holds them."""
    folder = tmp_path_factory.mktemp("server")
    draw_many(folder / "photos", 6)
    with library_with(CountingEncoder(shared_encoder), folder / "data") as library:
        index(library, folder / "photos")
    return folder


@pytest.fixture(scope="module")
def server(place: Path, model_folder: Path) -> Iterator[Running]:
    """One that most tests share."""
    settings: dict[str, Any] = {"roots": str(place / "photos"), "max_upload_bytes": UPLOAD_LIMIT, "batch_size": 4}
    with running_server(place, str(model_folder), **settings) as running:
        yield running


def png() -> bytes:
    file = io.BytesIO()
    picture(3).save(file, "PNG")
    return file.getvalue()


def form(data: bytes, **fields: str) -> bytes:
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]  # fmt: skip
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return b"".join(parts) + head + data + b"\r\n--edge--\r\n"


def head(length: int | str | None, *more: str, path: str = f"{HERE}/search/image") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=edge",
             "Connection: close", *more]  # fmt: skip
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def chunks(data: bytes, size: int = 50_000) -> bytes:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in pieces) + b"0\r\n\r\n"


def test_it_serves_on_a_free_port_and_says_so_when_it_is_ready(server: Running, place: Path) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    assert (place / "ready").read_text() == server.address + "\n"
    assert server.get("/readyz") == (200, {"ready": True, "database": "ok", "model": "ok", "index": "ok"})
    listening = [one.laddr.ip for one in psutil.Process(server.process.pid).net_connections() if one.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_an_image_is_uploaded_found_and_shown(server: Running) -> None:
    body = form(png(), k="1")
    answer = server.say(head(len(body)) + body)
    assert status_of(answer) == 200
    hit = json.loads(answer.partition(b"\r\n\r\n")[2])["hits"][0]
    assert hit["image"]["uri"].endswith("0003.png")
    with urllib.request.urlopen(f"{server.address}{IMAGES}/{hit['image']['id']}/thumbnail") as shown:
        assert shown.read().startswith(b"\xff\xd8")
        assert "Server" not in shown.headers


def test_a_chunked_upload_is_taken_whole(server: Running) -> None:
    body = form(png(), k="1")
    answer = server.say(head(None, "Transfer-Encoding: chunked") + chunks(body, 7))
    assert status_of(answer) == 200
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["hits"][0]["image"]["uri"].endswith("0003.png")


@pytest.mark.parametrize("size", [UPLOAD_LIMIT + 1, UPLOAD_LIMIT + 600_000, 20_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_that_is_too_large_is_never_taken_in_part(server: Running, size: int, chunked: bool) -> None:
    body = form(png() + bytes(size - len(png())))
    data = head(None, "Transfer-Encoding: chunked") + chunks(body) if chunked else head(len(body)) + body
    started = time.monotonic()
    answer = server.say(data)
    assert status_of(answer) == 413
    assert b"application/problem+json" in answer
    assert time.monotonic() - started < 5


def test_a_body_beyond_every_limit_is_refused_before_it_came(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(head(10**12))
        connection.settimeout(5)
        assert status_of(received(connection)) == 413


@pytest.mark.parametrize(
    "line",
    [b"GARBAGE", b"GET /\xff", b"GET /\xff HTTP/1.1", "GET /ü HTTP/1.1".encode(), b"GET /a b HTTP/1.1",
     b"GET http://[ HTTP/1.1", b"\x16\x03\x01"],
)  # fmt: skip
def test_a_first_line_that_cannot_be_read_is_answered_and_the_log_stays_quiet(
    library: Library, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(create_app(library), library, "127.0.0.1", 0)
    running = threading.Thread(target=server.run)
    running.start()
    try:
        with caplog.at_level("INFO"), socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(line + b"\r\n\r\n")
            assert status_of(received(connection)) == 400
    finally:
        server.stop()
        running.join()
    told = [one for one in caplog.records if one.name.startswith(("clipsearch.web.admission", "waitress"))]
    assert [(one.levelname, one.exc_info) for one in told] == [("INFO", None)]


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "5, 6"])
def test_a_length_that_is_none_is_refused(server: Running, length: str) -> None:
    assert status_of(server.say(head(length) + b"hello")) == 400


def test_a_length_that_lies_gets_no_answer_from_half_a_body(server: Running) -> None:
    body = form(png())
    with server.connect() as connection:
        connection.sendall(head(len(body) + 500) + body)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(3)
        answer = received(connection)
    assert not answer or status_of(answer) >= 400
    short = server.say(head(len(body) - 300) + body)
    assert status_of(short) >= 400


def test_large_uploads_do_not_stay_in_memory(server: Running) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    body = form(bytes(20_000_000))
    for _ in range(5):
        assert status_of(server.say(head(len(body)) + body)) == 413
    assert process.memory_info().rss - before < 50_000_000


def test_a_head_that_is_too_large_is_refused(server: Running) -> None:
    answer = server.say(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n")
    assert status_of(answer) == 431


def test_slow_clients_do_not_hold_up_the_others(server: Running) -> None:
    held = []
    try:
        for _ in range(300):
            connection = server.connect()
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
            held.append(connection)
        for _ in range(100):
            connection = server.connect()
            connection.sendall(head(500_000) + b"--edge\r\n")
            held.append(connection)
        for path in ("/healthz", f"{HERE}/search?text=dog", f"{IMAGES}"):
            started = time.monotonic()
            assert server.get(path)[0] == 200
            assert time.monotonic() - started < 2
    finally:
        for connection in held:
            connection.close()


def test_what_another_process_indexed_is_found_within_two_seconds(
    server: Running, place: Path, model_folder: Path
) -> None:
    answers: list[int] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            for path in (f"{HERE}/search?text=dog&k=3", f"{IMAGES}/1/similar", f"{IMAGES}?limit=5"):
                answers.append(server.get(path)[0])

    arguments = json.dumps({"data_dir": str(place / "data"), "model": str(model_folder)})
    asking = [threading.Thread(target=keep_asking) for _ in range(2)]
    with subprocess.Popen([sys.executable, "-c", _INDEX, arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        for thread in asking:
            thread.start()
        try:
            for turn in range(5):
                # A copy: its embedding is taken over, so that the other process needs no model.
                shutil.copyfile(place / "photos" / "0000.png", place / "photos" / f"new-{turn}.png")
                print(place / "photos", file=other.stdin, flush=True)
                float(other.stdout.readline())
                committed = time.monotonic()
                while not _finds(server, turn):
                    assert time.monotonic() - committed < 2
                    time.sleep(0.02)
        finally:
            stop.set()
            for thread in asking:
                thread.join()
            other.stdin.close()
    assert len(answers) > 10
    assert set(answers) == {200}


def _finds(server: Running, turn: int) -> bool:
    found = server.post(f"{HERE}/search", {"terms": [{"text": "dog"}], "k": 100})[1]
    return any(hit["image"]["uri"].endswith(f"new-{turn}.png") for hit in found["hits"])


def test_a_job_runs_while_searches_are_answered(server: Running, place: Path) -> None:
    draw_many(place / "photos" / "job", 30, start=500)
    status, run = server.post(f"{API}/collections/job/jobs", {"source": str(place / "photos" / "job")})
    assert status == 202
    seen = []
    while run["state"] in {"queued", "running"}:
        assert server.get(f"{HERE}/search?text=dog")[0] == 200
        run = server.get(f"{API}/jobs/{run['id']}")[1]
        seen.append(run["done"])
    assert (run["state"], run["done"], run["total"]) == ("done", 30, 30)
    assert seen == sorted(seen)


def test_runs_of_processes_that_are_gone_are_told_as_interrupted(tmp_path: Path, shared_encoder: Encoder) -> None:
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data") as library:
        mine, theirs = library.create_collection("mine"), library.create_collection("theirs")
        with library.lease(mine, "a test") as lease:
            runs = {}
            for collection, holder in ((mine, lease.holder), (theirs, "process 1 on nowhere")):
                run_id = queue_run(library, collection, tmp_path)
                runs[run_id] = "running" if collection is mine else "interrupted"
                with library.database.write() as connection:
                    start_run(connection, run_id, holder)
            dead, here = "process 999999999 on {}, started 1000.00", socket.gethostname()
            for collection, waits, state in (
                (mine, None, "queued"),
                (theirs, None, "queued"),
                (mine, dead.format(here), "interrupted"),  # whoever holds the lease now
                (theirs, dead.format(here), "interrupted"),
                (mine, dead.format("nowhere"), "queued"),
                (theirs, dead.format("nowhere"), "interrupted"),
            ):
                run_id = queue_run(library, collection, tmp_path)
                runs[run_id] = state
                if waits:
                    with library.database.write() as connection:
                        connection.exec_driver_sql("UPDATE run SET holder = ? WHERE id = ?", (waits, run_id))
            create_app(library)
            assert {run_id: show_run(library, run_id).state for run_id in runs} == runs


def test_a_run_that_is_picked_up_after_all_tells_of_no_end(tmp_path: Path, shared_encoder: Encoder) -> None:
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data") as library:
        run_id = queue_run(library, library.create_collection("mine"), tmp_path)
        interrupt_run(library, run_id)
        assert show_run(library, run_id).error
        with library.database.write() as connection:
            start_run(connection, run_id, "process 1 on nowhere")
        run = show_run(library, run_id)
        assert (run.state, run.error, run.finished_at) == ("running", None, None)


def test_jobs_that_are_stopped_at_any_moment_are_never_left_unfinished(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountingEncoder(shared_encoder)
    draw_many(tmp_path / "photos", 40)
    with library_with(encoder, tmp_path / "data", roots=(tmp_path / "photos",), batch_size=1) as library:
        for delay in (0.0, 0.0, 0.001, 0.01, 0.1):
            jobs = Jobs(library)
            asked = [jobs.submit("default", str(tmp_path / "photos"), IndexingOptions()) for _ in range(3)]
            given_up = cancel_run(library, asked[-1].id)
            time.sleep(delay)
            jobs.stop(20)
            states = [show_run(library, one.id).state for one in asked]
            assert set(states) <= {"done", "interrupted", "cancelled"}
            assert states[-1] == given_up.state == "cancelled", "what was cancelled before stays so"
            with pytest.raises(Busy):
                jobs.submit("default", str(tmp_path / "photos"), IndexingOptions())


def test_a_job_that_is_taken_from_the_queue_as_the_server_stops_does_not_run(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, go_on = threading.Event(), threading.Event()

    def wait_at_the_start(library: Library, run_id: int) -> RunInfo:
        if threading.current_thread().name == "jobs" and not taken.is_set():
            taken.set()
            assert go_on.wait(20)
        return show_run(library, run_id)

    monkeypatch.setattr("clipsearch.web.jobs.show_run", wait_at_the_start)
    encoder = CountingEncoder(shared_encoder)
    draw_many(tmp_path / "photos", 2)
    with library_with(encoder, tmp_path / "data", roots=(tmp_path / "photos",)) as library:
        jobs = Jobs(library)
        run = jobs.submit("default", str(tmp_path / "photos"), IndexingOptions())
        assert taken.wait(20)
        stopping = threading.Thread(target=jobs.stop, args=(20,))
        stopping.start()
        while show_run(library, run.id).state == "queued":
            time.sleep(0.01)
        go_on.set()
        stopping.join(20)
        assert (show_run(library, run.id).state, encoder.images) == ("interrupted", 0)


def test_a_second_signal_ends_the_server_at_once(place: Path, model_folder: Path) -> None:
    with running_server(place, str(model_folder), wait=False) as running:
        body = form(png())
        held = [running.connect() for _ in range(3)]
        for connection in held:
            connection.sendall(head(len(body)) + body[:-5])
        running.process.send_signal(signal.SIGSTOP)
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGCONT)
        started = time.monotonic()
        assert running.process.wait(35) != 0
        assert time.monotonic() - started < 3
        for connection in held:
            connection.close()


def test_a_port_that_is_taken_is_told(tmp_path: Path, shared_encoder: Encoder) -> None:
    with socket.socket() as taken, library_with(CountingEncoder(shared_encoder), tmp_path / "data") as library:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port}"):
            Server(create_app(library), library, "127.0.0.1", port)


@pytest.mark.parametrize(
    ("bound", "announced"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.9", "127.0.0.9"), ("::1", "::1")],
)
def test_a_server_is_announced_where_this_machine_reaches_it(library: Library, bound: str, announced: str) -> None:
    found = _announcement(library, bound, 8000)
    assert found is not None
    assert (found.host, found.port) == (announced, 8000)


@pytest.mark.parametrize(
    ("host", "settings", "announced"),
    [("127.0.0.1", {}, True), ("127.0.0.1", {"require_key": "always"}, False), ("0.0.0.0", {}, False),
     ("127.0.0.1", {"allowed_hosts": ["photos.example"]}, False)],
)  # fmt: skip
def test_a_server_that_answers_to_keys_only_is_not_announced_for_commands_have_none(
    tmp_path: Path, shared_encoder: Encoder, host: str, settings: dict[str, Any], announced: bool
) -> None:
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data", **settings) as library:
        server = Server(create_app(library, host=host), library, host, 0)
        try:
            server.announce()
            assert (library.settings.data_dir / FILE).exists() == announced
        finally:
            server._withdraw()
            server.stop()
            server.run()


def test_a_server_is_announced_again_when_a_later_one_of_its_library_has_gone(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.web.serving.LOOK_SECONDS", 0.05)
    first, second = (Server(create_app(library), library, "127.0.0.1", 0) for _ in range(2))
    file = library.settings.data_dir / FILE
    first.announce()
    running = threading.Thread(target=first.run)
    running.start()
    try:
        second.announce()
        second.stop()
        second.run()
        until = time.monotonic() + 20.0
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert json.loads(file.read_text())["port"] == first.port
    finally:
        first.stop()
        running.join()
    assert not file.exists()


def test_a_server_that_this_machine_reaches_by_another_address_is_not_announced(library: Library) -> None:
    assert _announcement(library, "192.0.2.1", 8000) is None


def test_readiness_turns_while_the_server_stops(tmp_path: Path, shared_encoder: Encoder) -> None:
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data") as library:
        app = create_app(library)
        watch = app.extensions["clipsearch"].watch
        client = app.test_client()
        while client.get("/readyz").status_code != 200:
            time.sleep(0.01)
        watch.drain()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        refused = client.get(f"{API}/collections")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


# The last test: it ends the server that the others share.
def test_a_signal_lets_what_was_begun_finish(server: Running, place: Path) -> None:
    draw_many(place / "photos" / "long", 300, start=1_000)
    statuses: list[int] = []
    stopping = threading.Event()

    def keep_asking() -> None:
        while server.process.poll() is None:
            try:
                statuses.append(server.get(f"{HERE}/search?text=dog")[0])
            except OSError:
                # Not let in any more, which is right on the way out; half an answer would be no OSError.
                statuses.append(0 if stopping.is_set() else -1)
                return

    source = {"source": str(place / "photos" / "long")}
    _, run = server.post(f"{API}/collections/long/jobs", source)
    _, waiting = server.post(f"{API}/collections/wait/jobs", source)
    while server.get(f"{API}/jobs/{run['id']}")[1]["done"] == 0:
        time.sleep(0.02)
    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    while 200 not in statuses:
        time.sleep(0.02)
    stopping.set()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(35) == 0
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503, 0}
    with Library.open(read_settings(data_dir=place / "data")) as library:
        cut = show_run(library, run["id"])
        assert (cut.state, show_run(library, waiting["id"]).state) == ("interrupted", "interrupted")
        assert 0 < cut.done < 300
        assert show_collection(library, "long", with_index=False).lease is None
