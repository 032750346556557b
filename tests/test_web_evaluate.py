"""Evaluations over HTTP; every answer is held against the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_fixtures import API, PICTURES, CheckedClient, Site, checked, small_site

from clipsearch.encoder import Encoder

HERE = f"{API}/collections/default"


@pytest.fixture
def site(tmp_path: Path, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path, shared_encoder) as site:
        yield site


@pytest.fixture
def client(site: Site) -> CheckedClient:
    client = checked(site)
    assert client.post(f"{API}/label-sets", json={"name": "pets", "labels": ["cat", "dog", "fish"]}).status_code == 201
    return client


def review_all(client: CheckedClient, label: str) -> None:
    ids = [one["id"] for one in client.get(f"{HERE}/images").get_json()["images"]]
    client.post(f"{HERE}/tags", json={"label_set": "pets"})
    for number in ids:
        said = client.post(f"{HERE}/review/pets/{number}", json={"decision": "correct", "labels": [label]})
        assert said.status_code == 200


def test_a_label_set_is_measured_on_the_tags_that_were_reviewed(client: CheckedClient) -> None:
    assert client.post(f"{HERE}/evaluate", json={"label_set": "pets"}).status_code == 400
    review_all(client, "dog")
    counts = {one["label"]: one["images"] for one in client.get(f"{HERE}/tags/pets").get_json()["labels"]}
    answer = client.post(f"{HERE}/evaluate", json={"label_set": "pets", "resamples": 20}).get_json()
    (found,) = answer["contenders"]
    assert (answer["kind"], answer["classes"], found["images"]) == ("reviews", {"dog": PICTURES}, PICTURES)
    assert found["encoded"] == 0
    given = {one["label"]: one["predicted"] for one in found["per_label"]}
    assert found["figures"]["accuracy_at_1"]["value"] == pytest.approx(given.get("dog", 0) / PICTURES)
    assert sum(given.values()) == sum(counts.values()) == PICTURES


def test_two_sets_are_compared_and_thresholds_that_gain_nothing_are_not_stored(client: CheckedClient) -> None:
    review_all(client, "dog")
    client.post(f"{API}/label-sets", json={"name": "others", "labels": ["dog", "horse"]})
    body = {"label_set": "pets", "against_label_set": "others", "write_thresholds": True, "resamples": 20}
    answer = client.post(f"{HERE}/evaluate", json=body).get_json()
    assert [one["label_set"] for one in answer["contenders"]] == ["pets", "others"]
    assert "accuracy_at_1" in answer["differences"]
    assert answer["written_to"] is None
    assert client.get(f"{API}/label-sets/pets").get_json()["version"] == 1


def test_unknown_sets_and_collections_are_not_found(client: CheckedClient) -> None:
    assert client.post(f"{HERE}/evaluate", json={"label_set": "none"}).status_code == 404
    assert client.post(f"{API}/collections/none/evaluate", json={"label_set": "pets"}).status_code == 404
    assert client.post(f"{HERE}/evaluate", json={"label_set": "pets", "resamples": 0}).status_code == 422


def test_the_index_is_measured(client: CheckedClient) -> None:
    answer = client.get(f"{HERE}/index-recall", query_string={"queries": 5}).get_json()
    assert answer["by_image"]["queries"] == 5
    assert answer["by_image"]["recall"]["value"] == answer["by_text"]["recall"]["value"] == 1.0
    assert client.get(f"{API}/collections/none/index-recall").status_code == 404
