"""Embeddings over HTTP: numbers and base64, of unit length and raw, by the models that the server may load."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from web_fixtures import API, IMAGES, CheckedClient, Site, checked, small_site

from clipsearch.encoder import Encoder
from clipsearch.encoding import encode_pictures, encode_texts
from clipsearch.fetching import Fetched
from clipsearch.web.slots import WorkSlots

HERE = f"{API}/embeddings"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("embeddings"), shared_encoder) as site:
        yield site


@pytest.fixture(scope="module")
def client(site: Site) -> CheckedClient:
    return checked(site)


def rows(found: list[dict[str, Any]]) -> NDArray[np.float32]:
    return np.array([one["embedding"] for one in found], dtype=np.float32)


def picture_of(site: Site, number: int) -> bytes:
    return sorted(site.photos.iterdir())[number].read_bytes()


def test_texts_images_and_stored_images_go_together_each_kind_in_its_order(site: Site, client: CheckedClient) -> None:
    pictures = [picture_of(site, 2), picture_of(site, 0)]
    ids = [one["id"] for one in client.get(IMAGES).get_json()["images"]]
    answer = client.post(
        HERE,
        json={
            "texts": ["a dog", "a cat"],
            "images": [base64.b64encode(one).decode() for one in pictures],
            "image_ids": [ids[2], ids[0]],
        },
    ).get_json()
    np.testing.assert_allclose(rows(answer["texts"]), encode_texts(site.library, ["a dog", "a cat"]).vectors, atol=1e-6)
    np.testing.assert_allclose(rows(answer["images"]), encode_pictures(site.library, pictures).vectors, atol=1e-6)
    np.testing.assert_allclose(rows(answer["image_ids"]), rows(answer["images"]), atol=2e-3)
    assert (answer["model"], answer["normalized"], answer["image_urls"]) == (site.library.settings.model, True, [])
    assert answer["dimension"] == len(answer["texts"][0]["embedding"])


def test_base64_holds_the_same_numbers(client: CheckedClient) -> None:
    asked = {"texts": ["a cat", "word " * 500]}
    plain = client.post(HERE, json=asked).get_json()["texts"]
    packed = client.post(HERE, json=asked | {"encoding": "base64"}).get_json()["texts"]
    unpacked = [np.frombuffer(base64.b64decode(one["embedding"]), dtype="<f4") for one in packed]
    np.testing.assert_array_equal(np.stack(unpacked), rows(plain))
    assert [one["truncated"] for one in packed] == [False, True]


def test_raw_rows_are_the_unit_rows_times_their_length(site: Site, client: CheckedClient) -> None:
    image_id = client.get(IMAGES).get_json()["images"][0]["id"]
    asked = {"texts": ["a cat"], "images": [base64.b64encode(picture_of(site, 0)).decode()], "image_ids": [image_id]}
    unit = client.post(HERE, json=asked).get_json()
    raw = client.post(HERE, json=asked | {"normalized": False}).get_json()
    for kind in ("texts", "images", "image_ids"):
        norm = unit[kind][0]["norm"]
        assert np.linalg.norm(rows(raw[kind])) == pytest.approx(norm, rel=1e-4)
        np.testing.assert_allclose(rows(raw[kind]), rows(unit[kind]) * norm, rtol=1e-4)


def test_a_vector_that_came_from_here_finds_its_own_image(site: Site, client: CheckedClient) -> None:
    asked = {"images": [base64.b64encode(picture_of(site, 3)).decode()], "encoding": "base64"}
    vector = client.post(HERE, json=asked).get_json()["images"][0]["embedding"]
    found = client.post(f"{API}/collections/default/search", json={"terms": [{"vector": vector}], "k": 1}).get_json()
    assert found["hits"][0]["score"] == pytest.approx(1.0, abs=1e-3)


def test_only_models_that_someone_chose_may_be_named(client: CheckedClient) -> None:
    assert client.post(HERE, json={"model": "demo", "texts": ["a cat"]}).get_json()["model"] == "demo"
    refused = client.post(HERE, json={"model": "/etc", "texts": ["a cat"]})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "not_allowed")
    assert client.post(HERE, json={"model": "ViT-L-14/openai", "texts": ["a cat"]}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"texts": [""]}, 400),
        ({"texts": ["a"] * 65}, 422),
        ({"images": ["not base64!"]}, 422),
        ({"images": ["AAAA"]}, 400),
        ({"image_ids": [999_999]}, 404),
        ({"collection": "nowhere", "texts": ["a"]}, 404),
        ({"collection": "default", "model": "demo", "texts": ["a"]}, 422),
        ({"model": "demo", "image_ids": [1]}, 422),
        ({"texts": ["a"], "encoding": "hex"}, 422),
        ({"image_urls": ["http://127.0.0.1/a.png"]}, 403),
    ],
)
def test_what_cannot_be_embedded_is_refused(client: CheckedClient, body: dict[str, Any], status: int) -> None:
    assert client.post(HERE, json=body).status_code == status


def test_texts_wait_for_no_picture(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> None:
    from clipsearch.web import create_app

    with small_site(tmp_path_factory.mktemp("slots"), shared_encoder, pictures=1) as site:
        slots = WorkSlots(1, 0, wait_seconds=0.1)
        client = create_app(site.library, slots=slots).test_client()
        image = base64.b64encode(picture_of(site, 0)).decode()
        with slots.taken():
            assert client.post(HERE, json={"texts": ["a cat"]}).status_code == 200
            busy = client.post(HERE, json={"images": [image]})
        assert (busy.status_code, busy.get_json()["code"]) == (503, "busy")
        assert client.post(HERE, json={"images": [image]}).status_code == 200


def test_images_at_addresses_are_fetched_through_the_guard_and_stand_in_their_order(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_site(tmp_path, shared_encoder, fetch_urls=True) as site:
        client = checked(site)
        refused = client.post(HERE, json={"image_urls": ["http://127.0.0.1:1/a.png"]})
        assert (refused.status_code, refused.get_json()["code"]) == (403, "url_not_allowed")
        assert refused.get_json()["details"]["position"] == 0
        # What lies beyond the guard: no test reaches the internet.
        pictures = {f"https://pictures.example/{place}.png": picture_of(site, place) for place in range(3)}
        monkeypatch.setattr(
            "clipsearch.web.fetched.fetch_images",
            lambda _settings, urls: [Fetched(pictures[url], "a.png") for url in urls],
        )
        here, *others = pictures
        body = {"image_urls": others, "images": [base64.b64encode(pictures[here]).decode()]}
        answer = client.post(HERE, json=body).get_json()
        expected = encode_pictures(site.library, list(pictures.values())).vectors
        np.testing.assert_allclose(rows(answer["images"] + answer["image_urls"]), expected, atol=1e-6)
        found = client.post(
            f"{API}/collections/default/search", json={"terms": [{"image_url": others[1]}], "k": 1}
        ).get_json()
        assert found["hits"][0]["image"]["uri"].endswith("0002.png")
