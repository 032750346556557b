"""Work slots: who waits longest comes first, few work at once, and the door knows which slots a request takes."""

from __future__ import annotations

import io
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from image_fixtures import encoded, flat
from web_fixtures import API, Site, small_site

from clipsearch.encoder import Encoder
from clipsearch.errors import Busy
from clipsearch.stages import aside
from clipsearch.web.admission import Admission, Channel
from clipsearch.web.context import EXTENSION, slots_by_route
from clipsearch.web.serving import Server
from clipsearch.web.slots import Turnstile, WorkSlots, work_of

HERE = f"{API}/collections/default"
LABELS = {"name": "held", "labels": ["cat", "dog"]}
SEARCH = b"GET %s/search?text=cat HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % HERE.encode()
ONE_PLACE = {"search_slots": 1, "search_queue": 0}
# A request to each view that says which slots it takes; {set} is a label set that is there.
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "classify.classify_images": ("POST", f"{API}/classify", {"data": {"image": "picture", "labels": ["cat", "dog"]}}),
    "classify.classify_images_with_sets": (
        "POST", f"{API}/classify/sets", {"data": {"image": "picture", "label_sets": ["held"]}},
    ),
    "classify.classify_with_label_set": ("POST", f"{API}/label-sets/held/classify", {"data": {"image": "picture"}}),
    "classify.classify_collection": ("POST", f"{HERE}/classify", {"json": {"label_set": "held"}}),
    "collections.statistics": ("GET", f"{HERE}/statistics", {}),
    "drafts.keep_examples": ("POST", f"{API}/examples", {"data": {"image": "picture"}}),
    "drafts.preview": ("POST", f"{HERE}/preview", {"json": {"labels": ["cat", "dog"]}}),
    "evaluate.evaluate": ("POST", f"{HERE}/evaluate", {"json": {"label_set": "held"}}),
    "evaluate.measure_index": ("GET", f"{HERE}/index-recall", {}),
    "images.original_file": ("GET", f"{HERE}/images/1/original", {}),
    "labels.add_label_examples": (
        "POST", f"{API}/label-sets/held/labels/cat/examples", {"data": {"image": "picture"}},
    ),
    "models.switch": ("PUT", f"{HERE}/model", {"json": {"model": "demo"}}),
    "search.search_by_text": ("GET", f"{HERE}/search?text=cat", {}),
    "search.search_by_upload": ("POST", f"{HERE}/search/image", {"data": {"image": "picture"}}),
    "search.similar": ("GET", f"{HERE}/images/1/similar", {}),
    "tags.apply_label_set": ("POST", f"{HERE}/tags", {"json": {"label_set": "held"}}),
}  # fmt: skip


def test_who_waits_longest_comes_first() -> None:
    turnstile, came = Turnstile(1), []
    assert turnstile.acquire()

    def come(number: int) -> None:
        turnstile.acquire()
        came.append(number)
        turnstile.release()

    waiting = []
    for number in range(8):
        waiting.append(threading.Thread(target=come, args=(number,), daemon=True))
        waiting[-1].start()
        _until(lambda number=number: len(turnstile._line) == number + 1)
    turnstile.release()
    for thread in waiting:
        thread.join(20)
    assert came == list(range(8))


def test_who_gives_up_leaves_no_place_taken() -> None:
    turnstile = Turnstile(1)
    assert turnstile.acquire()
    assert not turnstile.acquire(timeout=0.01)
    turnstile.release()
    assert turnstile.acquire(timeout=0.01)


def test_places_are_neither_lost_nor_made_by_those_who_give_up_in_between() -> None:
    turnstile, inside, most = Turnstile(2), [], []

    def come() -> None:
        for number in range(300):
            if turnstile.acquire(timeout=0.0001 * (number % 3)):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                turnstile.release()

    threads = [threading.Thread(target=come, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert max(most) <= 2
    assert [turnstile.acquire(timeout=0) for _ in range(3)] == [True, True, False]


def test_of_those_with_a_slot_few_work_at_once_and_who_waits_for_the_model_steps_aside() -> None:
    slots, go_on, at_work = WorkSlots(3, 0, at_once=1), threading.Event(), []

    def work(number: int) -> None:
        with slots.taken():
            at_work.append(number)
            with aside():
                go_on.wait(10)
            at_work.append(number)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    _until(lambda: len(at_work) == 3)  # one works at once, and still all wait for the model together
    assert slots.in_use == 3
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert sorted(at_work) == [0, 0, 1, 1, 2, 2]
    assert slots.in_use == slots.waiting == 0


def test_who_does_not_come_to_work_in_time_is_told_so() -> None:
    slots, go_on = WorkSlots(2, 0, wait_seconds=0.05, at_once=1), threading.Event()

    def hold() -> None:
        with slots.taken():
            go_on.wait(10)

    holding = threading.Thread(target=hold, daemon=True)
    holding.start()
    _until(lambda: slots.in_use == 1)
    with pytest.raises(Busy, match="in time"), slots.taken():
        pass
    go_on.set()
    holding.join(20)
    with slots.taken():
        assert slots.in_use == 1


def test_a_lock_that_is_held_while_one_steps_aside_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.web.slots.RETURN_SECONDS", 0.05)
    slots, lock, done = WorkSlots(2, 0, at_once=1), threading.Lock(), []
    aside_now, came = threading.Event(), threading.Event()

    def load() -> None:  # as a model is, whose check embeds texts
        with slots.taken(), lock, aside():
            aside_now.set()
            came.wait(10)
        done.append("loaded")

    def need() -> None:
        aside_now.wait(10)
        with slots.taken():
            came.set()
            with lock:
                done.append("needed")

    threads = [threading.Thread(target=one, daemon=True) for one in (load, need)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == ["loaded", "needed"]
    for _ in range(3):  # nothing was given back twice, or kept
        with slots.taken():
            assert slots.in_use == 1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    """A site with one slot of each kind, and no queue."""
    settings = {"work_slots": 1, "work_queue": 0, "search_slots": 1, "search_queue": 0}
    with small_site(tmp_path_factory.mktemp("small"), shared_encoder, pictures=2, **settings) as site:
        assert site.client.post(f"{API}/label-sets", json=LABELS).status_code == 201
        yield site


def test_every_view_that_says_which_slots_it_takes_is_asked_here(small: Site) -> None:
    said = {endpoint for endpoint, view in small.app.view_functions.items() if work_of(view)}
    assert said == set(REQUESTS)


@pytest.mark.parametrize("endpoint", REQUESTS)
def test_a_view_takes_the_slots_it_says(small: Site, endpoint: str) -> None:
    method, path, body = REQUESTS[endpoint]
    if "data" in body:
        picture = encoded(flat("RGB", (9, 99, 199)), "JPEG")
        fields = body["data"].items()
        body = {"data": {key: (io.BytesIO(picture), "a.jpg") if one == "picture" else one for key, one in fields}}
    context = small.app.extensions[EXTENSION]
    work = work_of(small.app.view_functions[endpoint])
    with (context.slots if work == "pictures" else context.search_slots).taken():
        answer = small.client.open(path, method=method, **body)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "busy")


def test_who_may_wait_for_other_servers_keeps_no_place_from_others(tmp_path: Path, shared_encoder: Encoder) -> None:
    for fetches in (False, True):
        with small_site(tmp_path / str(fetches), shared_encoder, pictures=1, fetch_urls=fetches) as site:
            slots_of = slots_by_route(site.app)
            assert (slots_of("POST", f"{API}/classify") is None) is fetches
            assert slots_of("POST", f"{HERE}/search/image") is site.app.extensions[EXTENSION].slots
            assert slots_of("GET", f"{HERE}/search") is site.app.extensions[EXTENSION].search_slots
            assert slots_of("POST", f"{HERE}/search") is None
            assert slots_of("OPTIONS", f"{HERE}/search") is None


@contextmanager
def served(folder: Path, encoder: Encoder, **settings: Any) -> Iterator[tuple[Site, Server]]:
    with small_site(folder, encoder, pictures=2, **settings) as site:
        server = Server(site.app, site.library, "127.0.0.1", 0)
        running = threading.Thread(target=server.run)
        running.start()
        try:
            yield site, server
        finally:
            server.stop()
            running.join()


def test_the_door_refuses_whom_the_slots_have_no_place_for_and_lets_in_all_others(
    tmp_path: Path, shared_encoder: Encoder
) -> None:
    with (
        served(tmp_path, shared_encoder, work_slots=1, work_queue=1, queue_seconds=60) as (site, server),
        ExitStack() as held,
    ):
        slots = site.app.extensions[EXTENSION].slots
        held.callback(slots._free.release)
        assert slots._free.acquire()  # so that those who have a place wait
        asked = b"POST %s/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n" % HERE.encode()
        search = b"GET %s/search?text=cat HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % HERE.encode()
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            for _ in range(slots.places):
                held.enter_context(_holding(server))
            _until(lambda: server._admission._inside[slots] >= slots.places)
            # In one go: each is answered in its turn, and the connection stays open for the last.
            one.sendall(asked * 3 + search)
            told = _read(one, 4)
        metrics = site.client.get("/metrics").get_data(as_text=True)
    assert [answer.partition(b" ")[2][:3] for answer in told] == [b"503", b"503", b"503", b"200"]
    assert all(b"\r\nRetry-After: 1\r\n" in answer for answer in told[:3])
    assert 'clipsearch_rejected_total{reason="busy"} 3.0' in metrics


def test_a_page_of_another_site_is_refused_by_the_app_which_lets_it_read_that(
    tmp_path: Path, shared_encoder: Encoder
) -> None:
    settings = {**ONE_PLACE, "cors_origins": ("https://pages.example",)}
    with served(tmp_path, shared_encoder, **settings) as (site, server), _connected(server) as one:
        slots = site.app.extensions[EXTENSION].search_slots
        server._admission._inside[slots] = 1
        with slots.taken():
            one.sendall(SEARCH.replace(b"\r\n\r\n", b"\r\nOrigin: https://pages.example\r\n\r\n"))
            told = _read(one, 1)[0]
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nAccess-Control-Allow-Origin: https://pages.example\r\n" in told


@pytest.mark.parametrize(
    ("line", "body"), [(b"GET %s HTTP/1.0", True), (b"HEAD %s HTTP/1.1\r\nConnection: close", False)]
)
def test_a_refusal_ends_the_connection_of_who_asked_for_that(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch, line: bytes, body: bool
) -> None:
    with served(tmp_path, shared_encoder) as (_, server):
        monkeypatch.setattr(server._admission, "_longest", 0)
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.settimeout(10)
            one.sendall((line % HERE.encode() + b"\r\nHost: 127.0.0.1\r\n\r\n") * 3)
            told = b""
            while piece := one.recv(65_536):
                told += piece
    head, _, rest = told.partition(b"\r\n\r\n")
    assert told.count(b"HTTP/1.1 ") == 1, "what follows is not answered"
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nConnection: close" in head
    assert bool(rest) is body


def test_who_asks_one_after_the_other_is_never_refused(tmp_path: Path, shared_encoder: Encoder) -> None:
    with served(tmp_path, shared_encoder, **ONE_PLACE) as (_, server), _connected(server) as one:
        told = []
        for _ in range(100):
            one.sendall(SEARCH)
            told += _read(one, 1)
        one.sendall(SEARCH * 3)
        told += _read(one, 3)
    assert {answer[:13] for answer in told} == {b"HTTP/1.1 200 "}


def test_who_sends_many_at_once_is_refused_a_few_times_and_then_left(tmp_path: Path, shared_encoder: Encoder) -> None:
    with served(tmp_path, shared_encoder, **ONE_PLACE) as (site, server), ExitStack() as held:
        held.enter_context(site.app.extensions[EXTENSION].search_slots.taken())
        server._admission._inside[site.app.extensions[EXTENSION].search_slots] = 1
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.settimeout(10)
            one.sendall(SEARCH * 300)
            told = b""
            while piece := one.recv(65_536):
                told += piece
    assert told.count(b"HTTP/1.1 503 ") == 16
    assert told.count(b"\r\nConnection: close\r\n") == 1


def test_those_inside_are_answered_when_the_server_stops(tmp_path: Path, shared_encoder: Encoder) -> None:
    with served(tmp_path, shared_encoder) as (_, server):
        ask = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        for one in ask:
            one.sendall(SEARCH)
            assert _read(one, 1)[0].startswith(b"HTTP/1.1 200 ")
        server.stop()
        for one in ask:
            one.sendall(SEARCH)
        statuses = {_read(one, 1)[0][9:12] for one in ask}
        for one in ask:
            one.close()
    assert statuses <= {b"200", b"503"}


def test_leave_to_send_a_body_is_given_after_a_refusal(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = b"POST %s/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    places = iter([True])  # for the first one: the next is refused by the thread that answered that
    monkeypatch.setattr(Admission, "_has_place", lambda _self, _request: next(places, False))
    with served(tmp_path, shared_encoder) as (_, server), _connected(server) as one:
        one.sendall(SEARCH + SEARCH + head % HERE.encode())
        told = b""
        while b"HTTP/1.1 100 Continue" not in told:
            told += one.recv(65_536)
    assert re.findall(rb"HTTP/1.1 (\d+)", told) == [b"200", b"503", b"100"]


def test_a_connection_that_cannot_be_heard_closes_itself_and_not_the_door(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("made to fail")

    with served(tmp_path, shared_encoder) as (_, server):
        address = ("127.0.0.1", server.port)
        with monkeypatch.context() as broken:
            broken.setattr(Channel, "received", fail)
            for _ in range(3):
                with socket.create_connection(address) as one:
                    one.settimeout(10)
                    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                    assert one.recv(1) == b""
        with socket.create_connection(address) as one:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert _read(one, 1)[0].startswith(b"HTTP/1.1 200 ")


def _holding(server: Server) -> socket.socket:
    """A connection whose request is let in, and waits for its slot."""
    body = b'{"labels": ["cat", "dog"]}'
    head = (
        b"POST %s/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(head % (HERE.encode(), len(body)) + body)
    return connection


def _connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def _read(connection: socket.socket, answers: int) -> list[bytes]:
    connection.settimeout(10)
    told: list[bytes] = []
    rest = b""
    while len(told) < answers:
        while b"\r\n\r\n" not in rest:
            rest += connection.recv(65_536)
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(rest) < length:
            rest += connection.recv(65_536)
        told.append(head + b"\r\n")
        rest = rest[length:]
    return told


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
