"""Writes with an idempotency key: done once, answered alike, on SQLite and PostgreSQL, whatever breaks in between."""

from __future__ import annotations

import datetime as dt
import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from access_fixtures import bearer, locked_site, make_keys
from library_fixtures import CountingEncoder, draw, library_with, picture
from sqlalchemy import func, select, update
from web_fixtures import API, Site, small_site
from werkzeug.test import TestResponse

from clipsearch.database import idempotency as rows
from clipsearch.database.access_schema import idempotency as table
from clipsearch.encoder import Encoder
from clipsearch.errors import AlreadyRunning, Busy, LeaseLost, StorageFull
from clipsearch.inspecting import list_collections
from clipsearch.library import Library
from clipsearch.web import create_app, raw_body
from clipsearch.web import idempotency as writes

COLLECTIONS = f"{API}/collections"


@pytest.fixture
def site(tmp_path: Path, shared_encoder: Encoder, database_url: str) -> Iterator[Site]:
    """A site without pictures, on SQLite and on PostgreSQL."""
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data", database_url=database_url) as library:
        app = create_app(library)
        yield Site(library, app, app.test_client(), tmp_path)


def key(name: str = "one") -> dict[str, str]:
    return {"Idempotency-Key": name}


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def kept(library: Library) -> int:
    with library.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def age(library: Library, by: dt.timedelta) -> None:
    """Have every row lie further back."""
    with library.database.write() as connection:
        for stamp in connection.execute(select(table.c.created_at)).scalars().all():
            connection.execute(update(table).values(created_at=stamp - by))


def test_a_repeated_write_is_done_once_and_answered_alike(site: Site) -> None:
    first = site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    again = site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    for name in ("Content-Type", "Location"):
        assert first.headers[name] == again.headers[name]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    assert code(site.client.post(COLLECTIONS, json={"name": "a"})) == (409, "already_exists")


def test_an_answer_without_a_body_is_repeated_too(site: Site) -> None:
    site.library.create_collection("a")
    answers = [site.client.delete(f"{COLLECTIONS}/a", headers=key()) for _ in range(3)]
    assert [(one.status_code, one.data) for one in answers] == [(204, b"")] * 3
    assert site.client.delete(f"{COLLECTIONS}/a", headers=key("two")).status_code == 404


def test_a_refusal_is_kept_as_the_answer_that_it_is(site: Site) -> None:
    site.library.create_collection("a")
    assert code(site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())) == (409, "already_exists")
    site.library.delete_collection("a")
    again = site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    assert code(again) == (409, "already_exists")
    assert again.content_type == "application/problem+json"


@pytest.mark.parametrize("other", ["body", "path", "method", "query"])
def test_the_key_of_another_request_is_refused(site: Site, other: str) -> None:
    site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    method, path, body = "POST", COLLECTIONS, {"name": "a"}
    if other == "body":
        body = {"name": "b"}
    elif other == "path":
        path = f"{COLLECTIONS}/a"
    elif other == "query":
        path += "?x=1"
    method = {"path": "PATCH", "method": "PUT"}.get(other, method)
    if other == "method":
        path, body = f"{API}/label-sets/a", {"name": "a"}
    answer = site.client.open(path, method=method, json=body, headers=key())
    assert code(answer) == (422, "idempotency_mismatch")
    assert [one.name for one in list_collections(site.library)] == ["a"]


@pytest.mark.parametrize("odd", ["", "a b", "ä", "x" * 256, "a\tb"])
def test_a_key_that_is_no_visible_ascii_is_refused(site: Site, odd: str) -> None:
    answer = site.client.post(COLLECTIONS, json={"name": "a"}, headers={"Idempotency-Key": odd})
    assert code(answer) == (422, "invalid_request")
    assert list_collections(site.library) == []


def test_where_nothing_is_written_the_key_means_nothing(site: Site) -> None:
    for _ in range(2):
        answer = site.client.get(COLLECTIONS, headers=key())
        assert "Idempotency-Replayed" not in answer.headers
        site.client.post(f"{COLLECTIONS}/nowhere/search", json={"terms": [{"text": "a"}]}, headers=key())
        site.client.post(f"{API}/session", json={"key": "x"}, headers=key())
    assert kept(site.library) == 0


def test_each_holder_of_a_key_has_keys_of_its_own(tmp_path: Path, shared_encoder: Encoder) -> None:
    with locked_site(tmp_path, shared_encoder, pictures=0) as site:
        keys = make_keys(site)
        for number, holder in enumerate((keys.write, keys.admin)):
            answer = site.client.post(COLLECTIONS, json={"name": f"c{number}"}, headers={**key(), **bearer(holder)})
            assert answer.status_code == 201
        assert kept(site.library) == 2
        refused = site.client.post(COLLECTIONS, json={"name": "c0"}, headers={**key(), **bearer(keys.read)})
        assert code(refused) == (403, "missing_scope")
        assert kept(site.library) == 2


def test_what_failed_in_the_server_or_found_another_at_work_may_be_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for failure, status in (
        (RuntimeError("a fault"), 500),
        (Busy("too much to do"), 503),
        (StorageFull("no space"), 507),
        (AlreadyRunning("another one indexes"), 409),
        (LeaseLost("another one took over"), 409),
    ):

        def fail(*_: Any, failure: Exception = failure, **__: Any) -> None:
            raise failure

        with monkeypatch.context() as patch:
            patch.setattr(site.library, "create_collection", fail)
            assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).status_code == status
        assert kept(site.library) == 0
    assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).status_code == 201


def test_while_the_first_is_at_work_the_second_is_told_to_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    make = site.library.create_collection

    def slow(*arguments: Any, **options: Any) -> Any:
        begun.set()
        go_on.wait(20)
        return make(*arguments, **options)

    monkeypatch.setattr(site.library, "create_collection", slow)
    statuses: list[int] = []

    def first() -> None:
        client = site.app.test_client()
        statuses.append(client.post(COLLECTIONS, json={"name": "a"}, headers=key()).status_code)

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(20)
    second = site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    go_on.set()
    thread.join()
    assert code(second) == (409, "idempotency_in_progress")
    assert int(second.headers["Retry-After"]) >= 1
    assert statuses == [201]
    assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).headers["Idempotency-Replayed"] == "true"


def test_of_many_at_once_one_is_carried_out(site: Site) -> None:
    statuses: list[tuple[int, bool]] = []
    start = threading.Barrier(6)

    def ask() -> None:
        client = site.app.test_client()
        start.wait(20)
        answer = client.post(COLLECTIONS, json={"name": "a"}, headers=key())
        statuses.append((answer.status_code, "Idempotency-Replayed" in answer.headers))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count((201, False)) == 1
    assert set(statuses) <= {(201, False), (201, True), (409, False)}
    assert len(list_collections(site.library)) == 1


_CLAIM = """
import sys
from clipsearch.database import Database
from clipsearch.database import idempotency as rows
with Database(sys.argv[1]).write() as connection:
    assert rows.claim(connection, "nobody", "one", sys.argv[2]) is None
"""


def test_a_process_that_died_at_work_keeps_nobody_waiting(site: Site, database_url: str) -> None:
    with site.app.test_request_context(COLLECTIONS, method="POST", json={"name": "a"}):
        digest = writes._digest_of_request()
    subprocess.run([sys.executable, "-c", _CLAIM, database_url, digest], check=True)
    assert kept(site.library) == 1
    assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).status_code == 201
    assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).headers["Idempotency-Replayed"] == "true"


def test_a_process_of_another_host_is_waited_for_a_quarter_of_an_hour(site: Site) -> None:
    with site.library.database.write() as connection:
        assert rows.claim(connection, "nobody", "one", "0" * 64) is None
        elsewhere = {"host": "another host", "pid": 1, "process_started": 0.0}
        connection.execute(update(table).values(headers=elsewhere))
        assert rows.claim(connection, "nobody", "one", "0" * 64) is not None
    age(site.library, rows.ABANDONED)
    with site.library.database.write() as connection:
        assert rows.claim(connection, "nobody", "one", "0" * 64) is None


def test_after_a_day_a_key_may_be_used_again_and_old_rows_are_gone(site: Site) -> None:
    site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    site.client.post(COLLECTIONS, json={"name": "b"}, headers=key("other"))
    age(site.library, rows.KEPT)
    assert site.client.post(COLLECTIONS, json={"name": "c"}, headers=key()).status_code == 201
    assert kept(site.library) == 1


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise Busy("another writer")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "keep_answer", fail)
        assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).status_code == 201
    assert "could not be kept" in caplog.text
    assert code(site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())) == (409, "idempotency_in_progress")


def test_an_answer_too_large_to_keep_is_not_made_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "LARGEST_ANSWER", 10)
    assert site.client.post(COLLECTIONS, json={"name": "a"}, headers=key()).status_code == 201
    answer = site.client.post(COLLECTIONS, json={"name": "a"}, headers=key())
    assert code(answer) == (409, "idempotency_answer_gone")
    assert "201" in answer.get_json()["detail"]


# Forms --------------------------------------------------------------------------------------------------------


def png(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def form(boundary: str, data: bytes, name: str = "a.png") -> dict[str, Any]:
    """A form with one file, as a client with this boundary writes it."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    body = head + data + f"\r\n--{boundary}--\r\n".encode()
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


def test_the_boundary_of_a_form_does_not_make_it_another_request(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=0) as site:
        site.client.put(f"{API}/label-sets/x", json={"labels": ["a", "b"]})
        path = f"{API}/label-sets/x/labels/a/examples"
        first = site.client.post(path, headers=key(), **form("edge-1", png(1)))
        assert first.status_code == 200, first.text
        again = site.client.post(path, headers=key(), **form("another-much-longer-edge", png(1)))
        assert again.headers["Idempotency-Replayed"] == "true"
        assert code(site.client.post(path, headers=key(), **form("edge-1", png(2)))) == (422, "idempotency_mismatch")
        assert code(site.client.post(path, headers=key(), **form("edge-1", png(1), "b.png")))[0] == 422


def digest(site: Site, body: bytes, boundary: str, **environ: Any) -> str:
    options = {"data": body, "content_type": f"multipart/form-data; boundary={boundary}", "environ_overrides": environ}
    with site.app.test_request_context(COLLECTIONS, method="POST", **options):
        return writes._digest_of_request()


def test_a_boundary_that_falls_between_two_pieces_is_seen(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a body is cut, its digest is that of the whole; and of two bodies that differ it never is the same."""
    with small_site(tmp_path, shared_encoder, pictures=0) as site:
        found, body = set(), b""
        for boundary in ("aab", "a", "abababab", "x" * 70):
            body = f"--{boundary}\r\n\r\naaababaabab\r\n--{boundary}--".replace("aaababaabab", "zz-zz").encode()
            for size in (1, 2, 3, 5, 8, 1_000):
                monkeypatch.setattr(raw_body, "PIECE", size)
                found.add(digest(site, body, boundary))
        assert len(found) == 1
        assert digest(site, body.replace(b"zz-zz", b"zz-zy"), boundary) not in found


def test_a_body_that_cannot_be_read_twice_is_kept_aside_for_the_view(tmp_path: Path, shared_encoder: Encoder) -> None:
    class OneWay(io.RawIOBase):
        """A stream as other servers hand it over."""

        def __init__(self, data: bytes) -> None:
            self._inner = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._inner.readinto(buffer)

    with small_site(tmp_path, shared_encoder, pictures=0) as site:
        body = b'{"name": "a"}'
        for replayed in (False, True):
            environ = {"wsgi.input": OneWay(body)}
            answer = site.client.post(
                COLLECTIONS, headers=key(), data=body, content_type="application/json", environ_overrides=environ
            )
            assert answer.status_code == 201
            assert ("Idempotency-Replayed" in answer.headers) is replayed


def test_a_job_is_started_once_however_often_it_is_asked_for(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=1) as site:
        draw(site.photos / "more.png", 50)
        path = f"{COLLECTIONS}/default/jobs"
        answers = [site.client.post(path, json={"source": str(site.photos)}, headers=key()) for _ in range(3)]
        assert {one.status_code for one in answers} == {202}
        assert len({one.headers["Location"] for one in answers}) == 1
        site.app.extensions["clipsearch"].jobs.stop(20)
