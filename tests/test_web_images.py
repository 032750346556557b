"""Images over HTTP: added as a form, in base64 and by address, described, listed by attribute and date, taken out."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from library_fixtures import draw, index, picture
from web_fixtures import API, IMAGES, CheckedClient, Site, checked, small_site

from clipsearch.encoder import Encoder
from clipsearch.fetching import Network
from clipsearch.images import kept_uploads, path_of

HERE = f"{API}/collections/default"


@pytest.fixture
def site(tmp_path: Path, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path, shared_encoder, pictures=2, max_upload_bytes=100_000) as made:
        yield made


@pytest.fixture(scope="module")
def unchanged_site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    """A site that no test changes."""
    folder = tmp_path_factory.mktemp("site")
    with small_site(folder, shared_encoder, pictures=2, max_upload_bytes=100_000) as made:
        yield made


@pytest.fixture
def client(site: Site) -> CheckedClient:
    return checked(site)


def png(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def b64(seed: int) -> str:
    return base64.b64encode(png(seed)).decode()


def form(*seeds: int, **more: Any) -> dict[str, Any]:
    return {"image": [(io.BytesIO(png(seed)), f"{seed}.png") for seed in seeds], **more}


def test_images_are_added_as_a_form(client: CheckedClient, site: Site) -> None:
    answer = client.post(IMAGES, data=form(10, 11, attributes=json.dumps({"trip": "Rome", "stars": 4})))
    assert answer.status_code == 201
    body = answer.get_json()
    assert body["collection"] == "default"
    assert [(one["name"], one["outcome"], one["error"]) for one in body["images"]] == [
        ("10.png", "added", None),
        ("11.png", "added", None),
    ]
    image = body["images"][0]["image"]
    assert image["attributes"] == {"trip": "Rome", "stars": 4}
    assert client.get(f"{IMAGES}/{image['id']}").get_json()["attributes"] == {"trip": "Rome", "stars": 4}
    assert client.get(f"{IMAGES}/{image['id']}/original").data == png(10)
    assert client.get(f"{IMAGES}/{image['id']}/thumbnail").status_code == 200
    found = site.client.post(f"{HERE}/search/image", data={"image": (io.BytesIO(png(11)), "q.png")}).get_json()
    assert found["hits"][0]["image"]["id"] == body["images"][1]["image"]["id"]


def test_a_name_that_is_no_utf8_is_taken_with_replacement_characters(client: CheckedClient) -> None:
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="caf\xe9.png"\r\n\r\n'
    said = b'\r\n--edge\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n{"place": "caf\xc3\xa9"}'
    answer = client.post(
        IMAGES, data=head + png(71) + said + b"\r\n--edge--\r\n", content_type="multipart/form-data; boundary=edge"
    )
    (image,) = answer.get_json()["images"]
    assert (answer.status_code, image["name"], image["outcome"]) == (201, "caf\N{REPLACEMENT CHARACTER}.png", "added")
    assert image["image"]["attributes"] == {"place": "café"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"b": 1}, "must be a text, a number, true, false, or a list of texts"),
        (["b", 1], "text 2 of its list: Input should be a valid string"),
        (2**60, f"a whole number must lie between {-(2**53)} and {2**53}"),
        ("x" * 2_001, "String should have at most 2000 characters"),
    ],
)
def test_an_attribute_that_may_not_be_is_refused_in_one_sentence(
    client: CheckedClient, value: Any, sentence: str
) -> None:
    answer = client.patch(f"{IMAGES}/1", json={"attributes": {"a": value}})
    assert answer.status_code == 422
    assert answer.get_json()["detail"] == f"the body cannot be used: attributes.a: {sentence}"


def test_what_another_change_holds_up_is_told_when_to_come_again(
    client: CheckedClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("clipsearch.library", "clipsearch.browsing", "clipsearch.switching.switch"):
        monkeypatch.setattr(f"{module}.PATIENCE", 0.0)
    with site.library.lease(site.library.collection(), "indexing /photos"):
        for answer in (client.delete(f"{IMAGES}/1"), client.delete(f"{API}/collections/default")):
            assert (answer.status_code, answer.get_json()["code"]) == (409, "already_running")
            assert answer.headers["Retry-After"] == "5"


def test_images_are_added_in_base64_and_a_bad_one_costs_itself(client: CheckedClient) -> None:
    entries = [
        {"data": b64(10), "name": "a.png", "attributes": {"tags": ["x", "y"], "good": True}},
        {"data": base64.b64encode(b"<svg onload=alert(1)>").decode(), "name": "../../b.svg"},
        {"data": "data:image/png;base64," + b64(11)},
        {"data": b64(10), "name": "a.png"},
    ]
    answer = client.post(IMAGES, json={"images": entries})
    assert answer.status_code == 201
    told = [(one["name"], one["outcome"]) for one in answer.get_json()["images"]]
    assert told == [("a.png", "added"), ("b.svg", "failed"), ("image 3", "added"), ("a.png", "added")]
    failed = answer.get_json()["images"][1]
    assert failed["error"]["code"] == "unsupported_format"
    assert failed["image"] is None
    assert client.get(f"{HERE}/failures").get_json()["total"] == 0
    again = client.post(IMAGES, json={"images": entries[:1]}).get_json()["images"][0]
    assert (again["outcome"], again["image"]["attributes"]) == ("unchanged", {"tags": ["x", "y"], "good": True})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"images": []}, 422),
        ({"images": [{}]}, 422),
        ({"images": [{"data": "!!"}]}, 422),
        ({"images": [{"data": "", "url": "http://a.example/"}]}, 422),
        ({"images": [{"data": "AAAA"}] * 33}, 422),
        ({"images": [{"data": "AAAA", "attributes": {"a": {"b": 1}}}]}, 422),
        ({"images": [{"data": "AAAA", "attributes": {"a:b": 1}}]}, 422),
        ({"images": [{"data": "AAAA", "attributes": {"a": None}}]}, 422),
        ({"images": [{"data": "AAAA", "path": "/etc/passwd"}]}, 422),
        ({"images": [{"url": "http://a.example/cat.png"}]}, 403),
        ({"images": [{"data": base64.b64encode(bytes(100_001)).decode()}]}, 413),
    ],
)
def test_a_request_that_cannot_be_met_adds_nothing(body: Any, status: int, unchanged_site: Site) -> None:
    answer = unchanged_site.client.post(IMAGES, json=body)
    assert answer.status_code == status
    assert not list(kept_uploads(unchanged_site.library.settings.data_dir))
    if status == 403:
        assert "CLIPSEARCH_FETCH_URLS" in answer.get_json()["detail"]


def test_a_bomb_is_refused_by_its_header(client: CheckedClient) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    answer = client.post(IMAGES, data={"image": (io.BytesIO(bomb), "bomb.png")})
    assert answer.status_code == 201
    assert answer.get_json()["images"][0]["error"]["code"] == "too_many_pixels"


def test_a_form_beyond_the_limits_is_refused(client: CheckedClient) -> None:
    assert client.post(IMAGES, data=form(*range(33))).status_code == 422
    assert client.post(IMAGES, data=form(1, attributes="{")).status_code == 422
    assert client.post(IMAGES, data=form(1, attributes='{"a": [1]}')).status_code == 422
    large = {"image": (io.BytesIO(bytes(100_001)), "a.png")}
    assert client.post(IMAGES, data=large).status_code == 413


def test_the_collection_is_made_with_the_first_image(client: CheckedClient) -> None:
    there = f"{API}/collections/fresh"
    bad = {"images": [{"data": base64.b64encode(b"no image").decode()}]}
    assert client.post(f"{there}/images", json=bad).get_json()["images"][0]["outcome"] == "failed"
    assert client.get(there).status_code == 404
    assert client.post(f"{there}/images", data=form(1)).get_json()["images"][0]["outcome"] == "added"
    assert client.post(f"{there}-too/images", json={"images": [{"data": b64(1)}]}).status_code == 201
    assert [client.get(one).get_json()["images"] for one in (there, f"{there}-too")] == [1, 1]


@pytest.fixture
def fetching_site(tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckedClient]:
    """A server that may fetch, for whom every name but one leads to this machine."""
    looked_up = {"inside.example": ["127.0.0.1"]}
    network = Network(lambda host, _port, _seconds: looked_up.get(host, []))
    monkeypatch.setattr("clipsearch.fetching.fetch.fetch_images.__kwdefaults__", {"network": network})
    with small_site(tmp_path, shared_encoder, pictures=1, fetch_urls=True) as made:
        yield checked(made)


def test_an_address_that_may_not_be_reached_costs_its_image_only(fetching_site: CheckedClient) -> None:
    entries = [{"url": "http://inside.example/a.png"}, {"data": b64(10)}, {"url": "file:///etc/passwd", "name": "b"}]
    answer = fetching_site.post(IMAGES, json={"images": entries})
    assert answer.status_code == 201
    assert [(one["name"], one["outcome"], (one["error"] or {}).get("code")) for one in answer.get_json()["images"]] == [
        ("image 1", "failed", "url_not_allowed"),
        ("image 2", "added", None),
        ("b", "failed", "url_not_allowed"),
    ]


def test_images_are_classified_by_address_where_the_server_may_fetch(
    fetching_site: CheckedClient, unchanged_site: Site
) -> None:
    asked = {"image_urls": ["http://inside.example/a.png"], "images": [b64(10)], "labels": ["a", "b"]}
    answer = fetching_site.post(f"{API}/classify", json=asked).get_json()
    assert [one["uri"] for one in answer["results"]] == ["image 1"]
    assert [(one["uri"], one["code"]) for one in answer["failed"]] == [("image 2", "url_not_allowed")]
    assert unchanged_site.client.post(f"{API}/classify", json=asked).status_code == 403
    assert fetching_site.post(f"{API}/classify", json={"labels": ["a", "b"]}).status_code == 422


def test_attributes_are_changed_one_name_at_a_time(client: CheckedClient) -> None:
    place = f"{IMAGES}/1"
    first = client.patch(place, json={"attributes": {"stars": 4, "who": ["Ann", "Bob"], "done": False}})
    assert first.status_code == 200
    second = client.patch(place, json={"attributes": {"stars": None, "done": True}}).get_json()
    assert second["attributes"] == {"who": ["Ann", "Bob"], "done": True}
    assert client.patch(place, json={"attributes": {"a": float(2**60)}}).status_code == 200
    assert client.patch(place, json={"attributes": {"a": 2**60}}).status_code == 422
    assert client.patch(place, json={"attributes": {"": 1}}).status_code == 422
    assert client.patch(f"{IMAGES}/999", json={"attributes": {"a": 1}}).status_code == 404
    many = {str(number): 1 for number in range(63)}
    assert client.patch(place, json={"attributes": many}).status_code == 400
    assert client.get(place).get_json()["attributes"].keys() == {"who", "done", "a"}


def test_images_are_listed_and_searched_by_attribute(client: CheckedClient, site: Site) -> None:
    client.patch(
        f"{IMAGES}/1", json={"attributes": {"who": ["Ann", "Bob"], "stars": 5, "a:b".replace(":", "-"): "x:y"}}
    )
    client.patch(f"{IMAGES}/2", json={"attributes": {"who": "Ann", "stars": "5"}})

    def listed(*attributes: str) -> list[int]:
        answer = client.get(IMAGES, query_string=[("attribute", one) for one in attributes])
        assert answer.status_code == 200, answer.get_json()
        return [one["id"] for one in answer.get_json()["images"]]

    assert listed("who:Ann") == [1, 2]
    assert listed("who:Ann", "who:Bob") == [1]
    assert listed("who:Ann", "stars:5") == [1]
    assert listed('stars:"5"') == [2]
    assert listed("a-b:x:y") == [1]
    assert listed("who:ann") == listed("nobody:Ann") == []
    assert client.get(IMAGES, query_string={"attribute": "who"}).status_code == 422
    assert client.get(IMAGES, query_string={"attribute": "a=b:1"}).status_code == 422
    body = {"terms": [{"image_id": 2}], "filters": {"attributes": {"stars": 5}}}
    assert [hit["image"]["id"] for hit in site.client.post(f"{HERE}/search", json=body).get_json()["hits"]] == [1]
    text = client.get(f"{HERE}/images/2/similar", query_string={"attribute": "stars:5"})
    assert [hit["image"]["id"] for hit in text.get_json()["hits"]] == [1]
    body["filters"] = {"attributes": {"stars": {"$gt": 1}}}
    assert site.client.post(f"{HERE}/search", json=body).status_code == 422


def test_a_number_and_a_truth_value_are_two_filters_in_one_batch(client: CheckedClient) -> None:
    client.patch(f"{IMAGES}/1", json={"attributes": {"a": True}})
    client.patch(f"{IMAGES}/2", json={"attributes": {"a": 1}})
    terms = [{"vector": [1.0] * client.get(HERE).get_json()["dimension"]}]
    queries = [{"terms": terms, "filters": {"attributes": {"a": one}}} for one in (1, True)]
    answer = client.post(f"{HERE}/search/batch", json={"queries": queries})
    assert [[hit["image"]["id"] for hit in one["hits"]] for one in answer.get_json()["answers"]] == [[2], [1]]


def test_attributes_stay_when_their_image_is_indexed_again(client: CheckedClient, site: Site) -> None:
    client.patch(f"{IMAGES}/1", json={"attributes": {"stars": 5}})
    uri = client.get(f"{IMAGES}/1").get_json()["uri"]
    draw(Path(path_of(uri)), 77)
    assert index(site.library, site.photos).changed == [uri]
    assert client.get(f"{IMAGES}/1").get_json()["attributes"] == {"stars": 5}
    Path(path_of(uri)).rename(site.photos / "moved.png")
    index(site.library, site.photos)
    assert client.get(f"{IMAGES}/1").get_json()["attributes"] == {"stars": 5}


def test_pages_by_date_hold_every_image_once(client: CheckedClient, site: Site) -> None:
    import os

    for number, day in enumerate((3, 1, 2, 2), start=10):
        path = draw(site.photos / f"{number}.png", number)
        moment = dt.datetime(2020, 1, day, tzinfo=dt.UTC).timestamp()
        os.utime(path, (moment, moment))
    index(site.library, site.photos)
    every = {one["id"]: one for one in client.get(IMAGES).get_json()["images"]}

    def paged(order: str) -> list[int]:
        found: list[int] = []
        after: Any = 0
        while after is not None:
            page = client.get(IMAGES, query_string={"sort": order, "limit": 2, "after": after}).get_json()
            found += [one["id"] for one in page["images"]]
            after = page["next"]
        return found

    def key(number: int) -> tuple[str, int]:
        return every[number]["taken_at"], number

    assert paged("id") == sorted(every)
    assert paged("oldest") == sorted(every, key=key)
    assert paged("newest") == sorted(every, key=key, reverse=True)
    assert client.get(IMAGES, query_string={"after": 4}).get_json()["images"][0]["id"] == 5


@pytest.mark.parametrize(
    "arguments",
    [
        {"sort": "name"}, {"after": "x"}, {"after": "-1"}, {"after": str(2**63)}, {"sort": "newest", "after": "5"},
        {"after": "newest.1.2"}, {"sort": "oldest", "after": "newest.1.2"}, {"sort": "newest", "after": "newest.1.2.3"},
        {"sort": "newest", "after": "newest." + "9" * 18 + ".1"}, {"sort": "newest", "after": "newest.1.' OR 1=1"},
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_is_refused(arguments: dict[str, str], unchanged_site: Site) -> None:
    assert unchanged_site.client.get(IMAGES, query_string=arguments).status_code == 422


def test_images_are_taken_out_all_or_none(client: CheckedClient, site: Site) -> None:
    added = client.post(IMAGES, data=form(10)).get_json()["images"][0]["image"]["id"]
    assert client.post(f"{IMAGES}/delete", json={"ids": [1, 999]}).status_code == 404
    assert client.get(f"{IMAGES}/1").status_code == 200
    gone = client.post(f"{IMAGES}/delete", json={"ids": [1, added]})
    assert [one["id"] for one in gone.get_json()["removed"]] == [1, added]
    assert client.get(f"{IMAGES}/1").status_code == 404
    assert not list(kept_uploads(site.library.settings.data_dir))
    assert len(list(site.photos.iterdir())) == 2
    assert client.post(f"{IMAGES}/delete", json={"ids": []}).status_code == 422


def test_an_upload_waits_for_its_turn_and_then_says_when_to_come_again(
    client: CheckedClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.adding.add.add_pictures.__kwdefaults__", _hurried())
    with site.library.lease(site.library.collection(), "indexing"):
        answer = client.post(IMAGES, data=form(10))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert client.post(IMAGES, data=form(10)).status_code == 201


def _hurried() -> dict[str, Any]:
    from clipsearch.adding import add_pictures

    return {**(add_pictures.__kwdefaults__ or {}), "wait_seconds": 0.2}


def test_tags_are_kept_in_step_with_what_is_added(client: CheckedClient, site: Site) -> None:
    site.client.put(f"{API}/label-sets/things", json={"labels": ["a", "b"]})
    tagging = site.client.post(f"{HERE}/tags", json={"label_set": "things"})
    assert tagging.status_code in (200, 201), tagging.get_json()
    added = client.post(IMAGES, data=form(10)).get_json()["images"][0]["image"]["id"]
    assert client.get(f"{IMAGES}/{added}").get_json()["tags"]
