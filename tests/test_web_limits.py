"""Requests that are wrong, large or odd: each is refused in words, and none is a fault of the server."""

from __future__ import annotations

import base64
import io
import json
import random
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from library_fixtures import picture
from web_fixtures import API, IMAGES, Contract, Site, small_site
from werkzeug.test import TestResponse

from clipsearch.encoder import Encoder
from clipsearch.errors import Busy, ClipSearchError, ConfigError, StorageFull
from clipsearch.web import create_app
from clipsearch.web.slots import WorkSlots

HERE = f"{API}/collections/default"
UPLOAD_LIMIT = 100_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder, max_upload_bytes=UPLOAD_LIMIT) as site:
        yield site


@pytest.fixture(scope="module")
def contract(site: Site) -> Contract:
    return Contract(site.client.get(f"{API}/openapi.json").get_json())


def problem(response: TestResponse) -> dict[str, Any]:
    """The body of an error, in the one form that errors have."""
    assert response.content_type == "application/problem+json", response.data[:300]
    body: dict[str, Any] = response.get_json()
    assert body["status"] == response.status_code
    assert all(body[name] for name in ("detail", "title", "code"))
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert "Traceback" not in response.get_data(as_text=True)
    return body


def png(size: int = 0) -> bytes:
    file = io.BytesIO()
    picture(1).save(file, "PNG")
    return file.getvalue() + bytes(max(0, size - len(file.getvalue())))


def bomb(width: int = 40_000, height: int = 40_000) -> bytes:
    """A small PNG whose header declares more pixels than any limit allows."""
    header = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\x00\x00\x00"
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
        + b"\x00\x00\x00\x04IDAT" + b"\x00" * 8
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("", 422),
        ("text=", 400),
        ("text=%20", 400),
        ("text=a&text=b", 422),
        ("text=a%00b", 422),
        ("text=a&k=0", 422),
        ("text=a&k=1001", 422),
        ("text=a&k=1e9", 422),
        ("text=a&k=1000000000000000000000000", 422),
        ("text=a&k=" + "9" * 5_000, 422),
        ("text=a&k=1000&offset=9001", 422),
        ("text=a&k=1000&offset=9000", 200),
        ("text=a&offset=-1", 422),
        ("text=a&min_score=nan", 422),
        ("text=a&min_score=inf", 422),
        ("text=a&min_score=2", 422),
        ("text=a&colour=red", 422),
        ("text=a&exact=perhaps", 422),
        ("text=a&taken_from=yesterday", 422),
        ("text=a&taken_from=0001-01-01", 200),
        ("text=a&min_width=-1", 422),
        ("text=a&min_width=99999999999", 422),
        ("text=a&path_glob=[", 200),
        ("text=a&path_glob=" + "*a" * 40, 200),
        ("text=a&path_prefix=%00", 422),
        ("text=a&formats=" + "&formats=".join("x" * 17), 422),
        ("text=" + "x" * 10_000, 200),
        ("text=" + "x" * 10_001, 422),
        ("text=%ff%fe", 200),
        ("text=%ed%a0%80", 200),
        ("text=" + "%F0%9F%90%95" * 50, 200),
    ],
)  # fmt: skip
def test_arguments_of_a_search(site: Site, contract: Contract, arguments: str, status: int) -> None:
    answer = site.client.get(f"{HERE}/search?{arguments}")
    assert answer.status_code == status, answer.data[:300]
    contract.check("GET", f"{HERE}/search", answer)
    if status != 200:
        problem(answer)


DEEP = "[" * 50_000 + "]" * 50_000
TERM = '{"terms": [{"text": "a"}]'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ("null", 422),
        ("[]", 422),
        ("{}", 422),
        ('{"terms": []}', 422),
        ("nonsense", 422),
        (TERM, 422),
        (DEEP, 422),
        ('{"terms": ' + DEEP + "}", 422),
        (TERM + ', "k": NaN}', 422),
        (TERM + ', "k": 1e999}', 422),
        (TERM + ', "min_score": -Infinity}', 422),
        (TERM + ', "k": "5"}', 422),
        (TERM + ', "k": true}', 422),
        (TERM + ', "k": 5.5}', 422),
        (TERM + ', "k": 5.0}', 200),
        (TERM + ', "k": ' + "9" * 5_000 + "}", 422),
        (TERM + ', "k": 1, "k": 2}', 422),
        (TERM + ', "colour": 1}', 422),
        (TERM + ', "k": 1000, "offset": 9001}', 422),
        ('{"terms": [{"text": "\\ud800"}]}', 422),
        ('{"terms": [{"text": "a\\u0000b"}]}', 422),
        ('{"terms": [{"text": "a"}], "\\ud800": 1}', 422),
        ('{"terms": [{"text": "a"}], "filters": {"attributes": {"\\ud800": {}}}}', 422),
        ('{"terms": [{"text": "\\ud83d\\udc15"}]}', 200),
        ('{"terms": [{"text": "a", "image_id": 1}]}', 422),
        ('{"terms": [{}]}', 422),
        ('{"terms": [{"image_id": 0}]}', 422),
        ('{"terms": [{"image_id": 9223372036854775807}]}', 404),
        ('{"terms": [{"image_id": 9223372036854775808}]}', 422),
        ('{"terms": [{"image": "/etc/passwd"}]}', 422),
        ('{"terms": [{"image": "aGFsbG8="}]}', 400),
        ('{"terms": [{"image": "****"}]}', 422),
        ('{"terms": [{"vector": []}]}', 422),
        ('{"terms": [{"vector": [1, 2]}]}', 400),
        ('{"terms": [{"vector": [0' + ", 0" * 23 + "]}]}", 400),
        ('{"terms": [{"vector": [1e308' + ", 1e308" * 23 + "]}]}", 400),
        ('{"terms": [{"vector": ["1"]}]}', 422),
        ('{"terms": [{"vector": "AACAPw=="}]}', 400),
        ('{"terms": [{"vector": "AACAPwAA"}]}', 422),
        ('{"terms": [{"vector": "' + "AACAPwAAgD8AAIA/" * 8 + '"}]}', 200),
        ('{"terms": [{"vector": "not base64"}]}', 422),
        ('{"terms": [{"text": "a"}, {"text": "a", "weight": -1}]}', 400),
        ('{"terms": [{"text": "a", "weight": 1e9}]}', 422),
        ('{"terms": [' + ", ".join(['{"text": "a"}'] * 17) + "]}", 422),
        (TERM + ', "filters": {"path_glob": "*", "formats": ["PNG"]}}', 200),
        (TERM + ', "filters": {"uri; DROP TABLE image": 1}}', 422),
        (TERM + ', "filters": {"path_prefix": "\' OR 1=1 --"}}', 200),
    ],
)  # fmt: skip
def test_bodies_of_a_search(site: Site, contract: Contract, body: str, status: int) -> None:
    answer = site.client.post(f"{HERE}/search", data=body, content_type="application/json")
    assert answer.status_code == status, answer.data[:300]
    contract.check("POST", f"{HERE}/search", answer)
    if status != 200:
        problem(answer)


def test_bytes_that_are_no_utf8_are_no_json(site: Site) -> None:
    answer = site.client.post(f"{HERE}/search", data=b'{"terms": [{"text": "\xff"}]}', content_type="application/json")
    assert problem(answer)["status"] == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", f"{API}/nowhere", 404),
        ("GET", f"{API}/collections/nowhere", 404),
        ("GET", f"{API}/collections/a%00b", 404),
        ("GET", f"{API}/collections/" + "x" * 201, 404),
        ("GET", f"{API}/collections/nowhere/images", 404),
        ("GET", f"{API}/collections/nowhere/search?text=a", 404),
        ("GET", f"{IMAGES}/0", 404),
        ("GET", f"{IMAGES}/-1", 404),
        ("GET", f"{IMAGES}/one", 404),
        ("GET", f"{IMAGES}/99", 404),
        ("GET", f"{IMAGES}/9223372036854775807", 404),
        ("GET", f"{IMAGES}/9223372036854775808", 404),
        ("GET", f"{IMAGES}/" + "9" * 5_000, 404),
        ("GET", f"{IMAGES}/1/thumbnail?size=321", 422),
        ("GET", f"{IMAGES}/1/thumbnail?size=99999", 422),
        ("GET", f"{IMAGES}?limit=1001", 422),
        ("GET", f"{IMAGES}?after=9223372036854775808", 422),
        ("GET", f"{HERE}/failures?offset=-1", 422),
        ("GET", f"{API}/jobs/99", 404),
        ("GET", f"{API}/label-sets/nowhere", 404),
        ("POST", f"{API}/jobs/99/cancel", 404),
        ("PUT", f"{API}/collections", 405),
        ("DELETE", "/", 405),
        ("POST", f"{HERE}/search", 415),
        ("POST", f"{HERE}/search/image", 415),
        ("POST", f"{API}/classify", 415),
    ],
)  # fmt: skip
def test_paths_and_methods(site: Site, method: str, path: str, status: int) -> None:
    answer = site.client.open(path, method=method)
    assert problem(answer)["status"] == status
    if status == 405:
        assert answer.headers["Allow"]


def form(**fields: Any) -> dict[str, Any]:
    return {"image": (io.BytesIO(png()), "a.png"), **fields}


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/search/image", {"k": "3"}, 200),
        ("/search/image", {"k": ["3", "4"]}, 422),
        ("/search/image", {"k": (io.BytesIO(b"3"), "k")}, 422),
        ("/search/image", {"colour": "red"}, 422),
        ("/search/image", {"image": "a text"}, 422),
        ("/search/image", {"image": [(io.BytesIO(png()), "a"), (io.BytesIO(png()), "b")]}, 422),
        ("/search/image", {"image": (io.BytesIO(b""), "a.png")}, 400),
        ("/search/image", {"image": (io.BytesIO(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "a.svg")}, 400),
        ("/search/image", {"image": (io.BytesIO(bomb()), "a.png")}, 400),
        ("/search/image", {"image": (io.BytesIO(png(UPLOAD_LIMIT)), "a.png")}, 200),
        ("/search/image", {"image": (io.BytesIO(png(UPLOAD_LIMIT + 1)), "a.png")}, 413),
        ("/search/image", {"path_glob": "x" * 200_000}, 413),
        ("/search/image", {f"field{number}": "x" for number in range(70)}, 413),
        ("/classify", {"labels": ["a", "b"]}, 200),
        ("/classify", {}, 422),
        ("/classify", {"labels": ["a"]}, 400),
        ("/classify", {"labels": ["a", ""]}, 400),
        ("/classify", {"labels": ["a", "x" * 201]}, 400),
        ("/classify", {"labels": ["a", "b"], "label_set": "animals"}, 422),
        ("/classify", {"label_set": "nowhere"}, 404),
        ("/classify", {"labels": ["a", "b"], "templates": ["no place"]}, 400),
        ("/classify", {"labels": ["a", "b"], "collection": "nowhere"}, 404),
        ("/classify", {"labels": ["a", "b"], "top": "0"}, 422),
        ("/classify", {"labels": ["a", "b"], "image": (io.BytesIO(png(UPLOAD_LIMIT + 1)), "a.png")}, 413),
        ("/classify", {"labels": ["a", "b"], "image": [(io.BytesIO(png()), "a.png") for _ in range(65)]}, 422),
    ],
)
def test_forms(site: Site, path: str, fields: dict[str, Any], status: int) -> None:
    here = HERE + path if path.startswith("/search") else API + path
    answer = site.client.post(here, data=_fresh(form(**fields)), content_type="multipart/form-data")
    assert answer.status_code == status, answer.data[:300]
    if status != 200:
        problem(answer)


def _fresh(fields: dict[str, Any]) -> dict[str, Any]:
    # A stream that another case has read is at its end.
    for value in fields.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, tuple):
                one[0].seek(0)
    return fields


def test_a_form_that_breaks_off_is_refused(site: Site) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + png()
    for cut in (20, 60, len(body)):
        answer = site.client.post(
            f"{HERE}/search/image", data=body[:cut], content_type="multipart/form-data; boundary=x"
        )
        assert problem(answer)["status"] in {400, 422}


def test_bodies_in_json_have_their_limits(site: Site) -> None:
    large = json.dumps({"name": "x", "labels": ["a" * 100] * 11_000})
    answer = site.client.post(f"{API}/label-sets", data=large, content_type="application/json")
    assert problem(answer)["status"] == 413
    image = base64.b64encode(png(UPLOAD_LIMIT + 1)).decode()
    answer = site.client.post(f"{HERE}/search", json={"terms": [{"image": image}]})
    assert problem(answer)["code"] == "too_large"
    answer = site.client.post(f"{API}/classify", json={"images": [image], "labels": ["a", "b"]})
    assert problem(answer)["code"] == "too_large"


def test_random_requests_are_never_a_fault(site: Site) -> None:
    chance = random.Random(5)
    values = ["", "a", "\x00", "%", "'", '"', "0", "-1", "1e5", "9" * 30, "😀", "../..", "null", "[]", "{}", "x" * 300]
    names = ["text", "k", "offset", "min_score", "path_glob", "formats", "taken_to", "after", "limit", "size", "q"]
    paths = ["/search", "/images", "/images/1", "/images/1/thumbnail", "/images/1/similar", "/failures", ""]
    for _ in range(150):
        query = [(chance.choice(names), chance.choice(values)) for _ in range(chance.randrange(4))]
        answer = site.client.get(HERE + chance.choice(paths), query_string=query)
        assert answer.status_code < 500, (query, answer.data[:300])
        page = site.client.get("/", query_string=[("q", chance.choice(values)), ("similar", chance.choice(values))])
        assert page.status_code == 200


def test_a_fault_of_ours_is_told_by_its_id_alone(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(site.library)

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError("a secret")

    answer = app.test_client().get("/fails")
    body = problem(answer)
    assert body["status"] == 500
    assert "secret" not in answer.get_data(as_text=True)
    assert body["request_id"] in caplog.text
    assert "a secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageFull("full"), 507),
        (Busy("busy", 2.5), 503),
        (ConfigError("a path"), 500),
        (ClipSearchError("odd"), 500),
    ],
)
def test_every_kind_of_error_has_its_status(site: Site, error: ClipSearchError, status: int) -> None:
    app = create_app(site.library)

    @app.get("/fails")
    def fails() -> str:
        raise error

    answer = app.test_client().get("/fails")
    assert problem(answer)["status"] == status
    if isinstance(error, Busy):
        assert answer.headers["Retry-After"] == "3"
    if status == 500:
        assert error.message not in answer.get_data(as_text=True)


def test_a_server_that_is_full_says_so_while_health_answers(site: Site) -> None:
    slots = WorkSlots(slots=1, queue=1, wait_seconds=0.2)
    client = create_app(site.library, search_slots=slots).test_client()
    with slots.taken():
        waited = client.get(f"{HERE}/search?text=a")
        assert problem(waited)["code"] == "busy"
        assert int(waited.headers["Retry-After"]) >= 1
        assert client.get("/healthz").status_code == 200
        assert client.get(f"{IMAGES}").status_code == 200
    assert client.get(f"{HERE}/search?text=a").status_code == 200


def test_searches_by_words_are_answered_while_pictures_take_all_their_slots(site: Site) -> None:
    slots = WorkSlots(slots=1, queue=0, wait_seconds=0.2)
    client = create_app(site.library, slots=slots).test_client()
    picture = base64.b64encode((site.photos / "0000.png").read_bytes()).decode()
    mixed = {"terms": [{"text": "a"}, {"image": picture}]}
    with slots.taken():
        assert client.get(f"{HERE}/search?text=a").status_code == 200
        assert problem(client.post(f"{HERE}/search", json=mixed))["code"] == "busy"
        batch = client.post(f"{HERE}/search/batch", json={"queries": [{"terms": [{"image_id": 1}]}, mixed]})
        assert problem(batch)["code"] == "busy"
    assert client.post(f"{HERE}/search", json=mixed).status_code == 200


def test_the_queue_for_work_is_bounded_and_first_come_first_served() -> None:
    slots = WorkSlots(slots=1, queue=2, wait_seconds=20)
    done: list[int] = []
    refused: list[int] = []

    def work(number: int) -> None:
        try:
            with slots.taken():
                done.append(number)
        except Busy:
            refused.append(number)

    with slots.taken():
        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        while len(refused) < 3:
            threading.Event().wait(0.01)
    for thread in threads:
        thread.join()
    assert (len(done), len(refused)) == (2, 3)


def test_several_worker_processes_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with pytest.raises(ConfigError, match="WEB_CONCURRENCY is 4"):
        create_app(site.library)
