"""Label sets that are not saved: what they would say, examples for them, and label files over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_fixtures import API, CheckedClient, Site, checked, small_site

from clipsearch.encoder import Encoder

PREVIEW = f"{API}/collections/default/preview"
PICTURES = 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("drafts"), shared_encoder, pictures=PICTURES) as found:
        yield found


@pytest.fixture
def client(site: Site) -> CheckedClient:
    return checked(site)


def previewed(client: CheckedClient, **body: Any) -> Any:
    answer = client.post(PREVIEW, json=body)
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


@pytest.mark.parametrize("mode", ["single", "multi", "binary"])
def test_a_preview_says_what_the_saved_set_says(client: CheckedClient, mode: str) -> None:
    body = {
        "labels": ["a cat", {"name": "dog", "prompts": ["a dog", "a puppy"], "category": "animal"}, "fish"],
        "background": ["grass"],
        "mode": mode,
    }
    told = previewed(client, **body, best=PICTURES)
    assert client.put(f"{API}/label-sets/saved", json=body).status_code < 300
    answer = client.post(f"{API}/collections/default/classify", json={"label_set": "saved", "top": 4}).get_json()
    assert told["images"] == PICTURES
    assert told["templates"] == answer["templates"]
    assert told["rejected"] == sum(not one["labels"] for one in answer["results"])
    for label in told["labels"]:
        name = label["label"]
        found = {(one["image_id"], one["probability"]) for one in label["best"]}
        assert found == {
            (one["image_id"], prediction["probability"])
            for one in answer["results"]
            for prediction in one["predictions"]
            if prediction["label"] == name
        }
        if name is not None:
            assert label["images"] == sum(name in one["labels"] for one in answer["results"])
    by_id = {one["image_id"]: one for one in answer["results"]}
    for one in told["results"]:
        assert one["labels"] == by_id[one["image_id"]]["labels"]
        assert one["predictions"] == by_id[one["image_id"]]["predictions"][:3]
    assert client.delete(f"{API}/label-sets/saved").status_code == 204


def test_a_sample_is_spread_over_the_collection_and_names_its_images_once(client: CheckedClient) -> None:
    told = previewed(client, labels=["cat", "dog"], sample=7, best=2, shown=3)
    assert told["images"] == 7
    assert len(told["results"]) == 3
    ids = [one["image_id"] for one in told["results"]]
    everything = [one["id"] for one in client.get(f"{API}/collections/default/images").get_json()["images"]]
    assert (ids[0], ids[-1]) == (everything[0], everything[-1])
    named = set(ids) | {one["image_id"] for label in told["labels"] for one in label["best"]}
    assert [one["id"] for one in told["pictures"]] == sorted(named)


def test_nothing_is_saved_by_a_preview(client: CheckedClient) -> None:
    before = client.get(f"{API}/label-sets").get_json()
    previewed(client, labels=["cat", "dog"])
    assert client.get(f"{API}/label-sets").get_json() == before


def test_a_draft_that_could_not_be_saved_is_refused(client: CheckedClient) -> None:
    assert client.post(PREVIEW, json={"labels": ["cat"]}).get_json()["code"] == "invalid_label_set"
    assert client.post(PREVIEW, json={"labels": ["cat", "cat"]}).get_json()["code"] == "invalid_label_set"
    unknown = {"name": "cat", "examples": [{"uri": "/etc/passwd", "digest": "0" * 64}]}
    assert client.post(PREVIEW, json={"labels": [unknown, "dog"]}).status_code == 400
    assert client.post(f"{API}/collections/none/preview", json={"labels": ["cat", "dog"]}).status_code == 404


def test_an_empty_collection_is_said_to_be_empty(client: CheckedClient) -> None:
    client.post(f"{API}/collections", json={"name": "empty"})
    told = client.post(f"{API}/collections/empty/preview", json={"labels": ["cat", "dog"]}).get_json()
    assert (told["images"], told["labels"], told["results"]) == (0, [], [])
    assert "holds no images" in told["warnings"][0]


def test_examples_are_known_before_a_label_has_them(client: CheckedClient, site: Site) -> None:
    picture = (site.photos / "0003.png").read_bytes()
    uploaded = client.post(f"{API}/examples", data={"image": (io.BytesIO(picture), "own.png"), "collection": "default"})
    stored = client.post(f"{API}/examples", json={"image_ids": [5], "collection": "default"})
    examples = [*uploaded.get_json()["examples"], *stored.get_json()["examples"]]
    assert examples[0]["uri"] == "own.png"
    labels = [{"name": "one", "examples": examples[:1]}, {"name": "two", "examples": examples[1:]}]
    told = previewed(client, labels=labels, best=PICTURES)
    nearest = {label["label"]: max(label["best"], key=lambda one: one["score"]) for label in told["labels"]}
    assert nearest["two"]["image_id"] == 5
    third = next(one for one in told["pictures"] if one["id"] == nearest["one"]["image_id"])
    assert third["uri"].endswith("0003.png")
    assert nearest["one"]["score"] == pytest.approx(1, abs=2e-3)
    assert client.post(f"{API}/examples", json={"image_ids": [10**9]}).status_code == 404
    broken = client.post(f"{API}/examples", data={"image": (io.BytesIO(b"none"), "none.png")})
    assert (broken.status_code, broken.get_json()["code"]) == (400, "unsupported_format")


@pytest.mark.parametrize("form", ["yaml", "json", "csv"])
def test_a_set_comes_back_from_its_file(client: CheckedClient, form: str) -> None:
    body = {
        "labels": [{"name": "cat", "prompts": ["a cat", "a kitten"], "min_probability": 0.7}, "<b>dog</b>"],
        "background": ["grass"],
        "min_margin": 0.1,
    }
    assert client.put(f"{API}/label-sets/file", json=body).status_code < 300
    answer = client.get(f"{API}/label-sets/file/file?form={form}")
    assert f"file.{form}" in answer.headers["Content-Disposition"]
    read = client.post(f"{API}/label-files", json={"text": answer.get_data(as_text=True), "form": form}).get_json()
    kept = client.get(f"{API}/label-sets/file").get_json()
    for key in ("labels", "background", "min_margin", "templates", "mode", "digest"):
        assert read["label_set"][key] == kept[key], key
    assert read["left_out"] == []


def test_a_file_opens_no_other_file(client: CheckedClient, tmp_path: Path) -> None:
    text = "labels:\n  - {name: cat, examples: [/etc/passwd]}\n  - dog\n"
    read = client.post(f"{API}/label-files", json={"text": text}).get_json()
    assert read["left_out"] == ["/etc/passwd"]
    assert read["label_set"]["labels"][0]["examples"] == []
    for wrong in ("labels: [cat, cat]", "labels: 1", "{", "!!python/object:os.system {}"):
        refused = client.post(f"{API}/label-files", json={"text": wrong, "name": "mine.yaml"})
        assert (refused.status_code, refused.get_json()["code"]) == (400, "invalid_label_set")
        assert "mine.yaml" in refused.get_json()["detail"]
