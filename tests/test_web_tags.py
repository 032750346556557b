"""Tags and reviews over HTTP; every answer is held against the OpenAPI document."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from library_fixtures import draw
from test_web_api import wait_for
from web_fixtures import API, PICTURES, CheckedClient, Site, checked, small_site

from clipsearch.encoder import Encoder
from clipsearch.web.api import tags as routes

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


def test_tags_are_made_listed_counted_and_removed(client: CheckedClient) -> None:
    made = client.post(f"{HERE}/tags", json={"label_set": "pets", "top": 2})
    assert made.get_json()["tagged"] == PICTURES
    (row,) = client.get(f"{HERE}/tags").get_json()["taggings"]
    assert (row["label_set"], row["top"], row["tagged"], row["automatic"]) == ("pets", 2, PICTURES, True)
    counts = client.get(f"{HERE}/tags/pets").get_json()
    assert sum(one["images"] for one in counts["labels"]) == PICTURES
    none = client.get(f"{HERE}/tags/pets", query_string={"min_tag_probability": 1.0}).get_json()
    assert none["rejected"] == PICTURES
    assert client.delete(f"{HERE}/tags/pets").status_code == 204
    assert client.get(f"{HERE}/tags").get_json()["taggings"] == []
    assert client.delete(f"{HERE}/tags/pets").status_code == 404


def test_tags_filter_lists_searches_and_classifications(client: CheckedClient) -> None:
    client.post(f"{HERE}/tags", json={"label_set": "pets"})
    counts = {one["label"]: one["images"] for one in client.get(f"{HERE}/tags/pets").get_json()["labels"]}
    for name, count in counts.items():
        tag = f"pets:{name}"
        listed = client.get(f"{HERE}/images", query_string={"tags": tag}).get_json()["images"]
        ids = sorted(one["id"] for one in listed)
        assert len(ids) == count
        by_words = client.get(f"{HERE}/search", query_string={"text": "a", "tags": tag}).get_json()["hits"]
        body = {"terms": [{"text": "a"}], "filters": {"tags": [tag]}}
        by_terms = client.post(f"{HERE}/search", json=body).get_json()["hits"]
        assert sorted(hit["image"]["id"] for hit in by_words) == ids
        assert sorted(hit["image"]["id"] for hit in by_terms) == ids
        body = {"label_set": "pets", "filters": {"tags": [tag]}}
        results = client.post(f"{HERE}/classify", json=body).get_json()["results"]
        assert sorted(one["image_id"] for one in results) == ids
    both = client.get(f"{HERE}/images", query_string={"tags": ["pets:cat", "pets:dog"]}).get_json()["images"]
    assert both == []


def test_tags_that_do_not_stand_are_a_conflict(client: CheckedClient) -> None:
    never = client.get(f"{HERE}/images", query_string={"tags": "pets:cat"})
    assert never.status_code == 409
    assert "clipsearch tags apply pets -c default" in never.get_json()["detail"]
    client.post(f"{HERE}/tags", json={"label_set": "pets"})
    client.put(f"{API}/label-sets/pets", json={"labels": ["cat", "cow"]})
    assert client.get(f"{HERE}/images", query_string={"tags": "pets:cat"}).status_code == 409
    assert client.get(f"{HERE}/review/pets").status_code == 409
    assert client.get(f"{HERE}/images", query_string={"tags": "nosuch:cat"}).status_code == 404
    assert client.post(f"{HERE}/tags", json={"label_set": "pets"}).get_json()["anew"] is True
    assert client.get(f"{HERE}/images", query_string={"tags": "pets:dog"}).status_code == 400


def test_a_job_tags_what_it_indexed(client: CheckedClient, site: Site) -> None:
    client.post(f"{HERE}/tags", json={"label_set": "pets"})
    draw(site.photos / "new.png", 500)
    job = client.post(f"{HERE}/jobs", json={"source": str(site.photos)})
    wait_for(client, job.headers["Location"])
    # Tags come after the run, which is done with what it was asked for.
    deadline = time.monotonic() + 20
    while len(client.get(f"{HERE}/images", query_string={"tags": "pets"}).get_json()["images"]) <= PICTURES:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_images_are_reviewed(client: CheckedClient) -> None:
    client.post(f"{HERE}/tags", json={"label_set": "pets"})
    page = client.get(f"{HERE}/review/pets", query_string={"limit": 2}).get_json()
    first, second = (one["image"]["id"] for one in page["entries"])
    assert page["next"] == second
    third = client.get(f"{HERE}/review/pets", query_string={"limit": 1, "after": second}).get_json()
    assert third["entries"][0]["image"]["id"] not in {first, second}
    accepted = client.post(f"{HERE}/review/pets/{first}", json={"decision": "accept"}).get_json()
    assert accepted["verdict"] == "accepted"
    made = client.post(f"{HERE}/review/pets/{second}", json={"decision": "correct", "labels": ["fish"]}).get_json()
    assert made["labels"] == ["fish"]
    shown = client.get(f"{HERE}/images/{second}").get_json()
    assert [(tag["label"], tag["source"]) for tag in shown["tags"]] == [("fish", "person")]
    assert client.get(f"{HERE}/review/pets").get_json()["figures"]["reviewed"] == 2
    assert client.post(f"{HERE}/review/pets/{second}", json={"decision": "undo"}).status_code == 200
    assert client.post(f"{HERE}/review/pets/{second}", json={"decision": "undo"}).status_code == 404
    assert client.post(f"{HERE}/review/pets/{second}", json={"decision": "skip"}).status_code == 200
    refused = client.post(f"{HERE}/review/pets/{second}", json={"decision": "correct", "labels": ["cow"]})
    assert refused.status_code == 400
    assert client.post(f"{HERE}/review/pets/99999", json={"decision": "skip"}).status_code == 404


def test_more_images_than_a_call_may_tag_are_left_to_the_command(
    client: CheckedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "IMAGES_A_CALL", PICTURES - 1)
    refused = client.post(f"{HERE}/tags", json={"label_set": "pets"})
    assert refused.status_code == 409
    assert "clipsearch tags apply pets -c default" in refused.get_json()["detail"]
    assert client.get(f"{HERE}/tags").get_json()["taggings"] == []


def test_a_correction_over_http_says_its_labels(client: CheckedClient) -> None:
    client.post(f"{HERE}/tags", json={"label_set": "pets"})
    first = client.get(f"{HERE}/images").get_json()["images"][0]["id"]
    assert client.post(f"{HERE}/review/pets/{first}", json={"decision": "correct"}).status_code == 422
    none = client.post(f"{HERE}/review/pets/{first}", json={"decision": "correct", "labels": []})
    assert (none.status_code, none.get_json()["labels"]) == (200, [])


@pytest.mark.parametrize("floor", ["min_tag_score", "min_tag_probability"])
def test_a_floor_of_tags_over_http_needs_a_tag(client: CheckedClient, floor: str) -> None:
    refused = client.get(f"{HERE}/images", query_string={floor: 0.5})
    assert refused.status_code == 422
    assert "needs a tag" in refused.get_data(as_text=True)
