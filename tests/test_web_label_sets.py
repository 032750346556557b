"""The routes of label sets: whole definitions, versions, thresholds, examples, and the built-in ones."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from library_fixtures import draw
from web_fixtures import API, Site, small_site

from clipsearch.encoder import Encoder

HERE = f"{API}/label-sets"
WHOLE: dict[str, Any] = {
    "mode": "multi",
    "aggregate": "max",
    "templates": ["{}"],
    "background": ["something else"],
    "min_score": 0.1,
    "min_probability": 0.5,
    "min_margin": 0.05,
    "labels": [
        {"name": "cat", "prompts": ["a cat"], "negatives": ["no cat"], "category": "animal", "min_score": 0.2},
        "dog",
    ],
}


@pytest.fixture
def site(tmp_path: Path, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path, shared_encoder) as made:
        yield made


def test_a_whole_definition_is_taken_and_given_back(site: Site) -> None:
    made = site.client.post(HERE, json={"name": "pets", **WHOLE})
    assert made.status_code == 201, made.get_json()
    answer = made.get_json()
    for part in ("mode", "aggregate", "templates", "background", "min_score", "min_probability", "min_margin"):
        assert answer[part] == WHOLE[part]
    cat, dog = answer["labels"]
    assert {key: cat[key] for key in WHOLE["labels"][0]} == WHOLE["labels"][0]
    assert (dog["prompts"], dog["min_probability"]) == (["dog"], None)
    again = {part: answer[part] for part in (*WHOLE,)}
    put = site.client.put(f"{HERE}/pets", json=again).get_json()
    assert (put["version"], put["labels"], put["digest"]) == (2, answer["labels"], answer["digest"])


def test_thresholds_are_changed_alone_and_versions_can_be_read(site: Site) -> None:
    site.client.post(HERE, json={"name": "pets", **WHOLE})
    changed = site.client.patch(
        f"{HERE}/pets/thresholds", json={"min_margin": None, "labels": {"dog": {"min_probability": 0.7}}}
    )
    assert changed.status_code == 200, changed.get_json()
    answer = changed.get_json()
    assert (answer["version"], answer["min_margin"], answer["min_score"]) == (2, None, 0.1)
    assert answer["labels"][1]["min_probability"] == 0.7
    versions = site.client.get(f"{HERE}/pets/versions").get_json()["versions"]
    assert [(one["version"], one["changes"]) for one in versions] == [
        (2, ["min_margin 0.05 -> none", "label 'dog': min_probability"]),
        (1, []),
    ]
    assert site.client.get(f"{HERE}/pets?version=1").get_json()["min_margin"] == 0.05
    assert site.client.get(f"{HERE}/pets?version=7").status_code == 404
    assert site.client.get(f"{HERE}/pets?version=0").status_code == 422
    assert site.client.patch(f"{HERE}/pets/thresholds", json={}).status_code == 400
    assert site.client.patch(f"{HERE}/pets/thresholds", json={"min_score": 2}).status_code == 422


def test_examples_are_uploaded_or_named_by_their_ids(site: Site, tmp_path: Path) -> None:
    site.client.post(HERE, json={"name": "pets", "labels": ["cat", "a/b"]})
    data = draw(tmp_path / "rex.png", 70).read_bytes()
    uploaded = site.client.post(
        f"{HERE}/pets/labels/a%2Fb/examples", data={"image": (io.BytesIO(data), "rex.png"), "words_weight": "0.25"}
    )
    assert uploaded.status_code == 200, uploaded.get_json()
    digest = hashlib.sha256(data).hexdigest()
    assert uploaded.get_json()["labels"][1]["examples"] == [{"uri": "rex.png", "digest": digest}]
    assert uploaded.get_json()["labels"][1]["words_weight"] == 0.25
    stored = site.client.post(f"{HERE}/pets/labels/cat/examples", json={"image_ids": [1, 2], "collection": "default"})
    assert stored.status_code == 200, stored.get_json()
    examples = stored.get_json()["labels"][0]["examples"]
    assert [Path(one["uri"]).name for one in examples] == ["0000.png", "0001.png"]
    assert site.client.post(f"{HERE}/pets/labels/cow/examples", json={"image_ids": [1]}).status_code == 400
    assert site.client.post(f"{HERE}/pets/labels/cat/examples", json={"image_ids": [99]}).status_code == 404
    assert site.client.post(f"{HERE}/pets/labels/cat/examples", json={"image_ids": [1, 1]}).status_code == 422


def test_a_body_cannot_make_the_server_open_a_file(site: Site) -> None:
    file = site.photos / "0003.png"
    digest = hashlib.sha256(file.read_bytes() + b"changed").hexdigest()
    label = {"name": "cat", "examples": [{"uri": str(file), "digest": digest}]}
    refused = site.client.put(f"{HERE}/pets", json={"labels": [label, "dog"]})
    assert refused.status_code == 400
    assert "is not known here" in refused.get_json()["detail"]
    label["examples"] = [{"uri": str(file)}]
    assert site.client.put(f"{HERE}/pets", json={"labels": [label, "dog"]}).status_code == 422


def test_built_in_sets_are_listed_shown_and_not_changed(site: Site) -> None:
    names = [one["name"] for one in site.client.get(f"{API}/built-in-label-sets").get_json()["label_sets"]]
    assert "builtin:scenes" in names
    assert site.client.get(f"{HERE}/builtin:scenes").get_json()["version"] == 0
    assert site.client.get(f"{HERE}/builtin:nowhere").status_code == 404
    assert site.client.put(f"{HERE}/builtin:scenes", json={"labels": ["a", "b"]}).get_json()["code"] == (
        "invalid_label_set"
    )
