"""Classification over HTTP: modes, thresholds, backgrounds and several sets at once."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_fixtures import API, PICTURES, CheckedClient, Site, checked, small_site

from clipsearch.encoder import Encoder

HERE = f"{API}/collections/default"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("classify"), shared_encoder) as site:
        yield site


@pytest.fixture(scope="module")
def client(site: Site) -> CheckedClient:
    found = checked(site)
    for name, labels in (("pets", ["cat", "dog"]), ("colours", ["red", "green", "blue"])):
        assert found.post(f"{API}/label-sets", json={"name": name, "labels": labels}).status_code == 201
    return found


def upload(path: Path) -> tuple[io.BytesIO, str]:
    return io.BytesIO(path.read_bytes()), path.name


@pytest.mark.parametrize("mode", ["single", "multi", "binary"])
def test_every_answer_names_its_mode_and_tells_score_logit_and_probability_apart(
    client: CheckedClient, mode: str
) -> None:
    answer = client.post(f"{HERE}/classify", json={"labels": ["cat", "dog"], "mode": mode}).get_json()
    assert (answer["mode"], answer["aggregate"], answer["label_set_version"]) == (mode, "mean_embedding", None)
    assert len(answer["results"]) == PICTURES
    for one in answer["results"]:
        total = sum(found["probability"] for found in one["predictions"])
        assert (total == pytest.approx(1.0)) == (mode == "single")
        accepted = [found["label"] for found in one["predictions"] if found["accepted"]]
        assert one["labels"] == accepted
        assert one["label"] == (accepted[0] if accepted else None)
        assert (one["rejected"] is None) == bool(accepted)


def test_thresholds_of_the_question_stand_before_those_of_the_stored_set(client: CheckedClient) -> None:
    plain = client.post(f"{HERE}/classify", json={"label_set": "pets"}).get_json()["results"]
    strict = client.post(f"{HERE}/classify", json={"label_set": "pets", "min_probability": 1}).get_json()["results"]
    assert {one["rejected"] for one in plain} == {None}
    assert {(one["label"], one["rejected"]) for one in strict} == {(None, "probability")}
    for old, new in zip(plain, strict, strict=True):
        assert [found["probability"] for found in new["predictions"]] == [
            found["probability"] for found in old["predictions"]
        ]


def test_a_background_may_be_the_first_and_has_no_name(client: CheckedClient) -> None:
    body = {"labels": ["cat"], "background": ["dog", "boat"], "top": 2}
    for one in client.post(f"{HERE}/classify", json=body).get_json()["results"]:
        behind = next(found for found in one["predictions"] if found["position"] == -1)
        assert (behind["label"], behind["accepted"]) == (None, False)


def test_several_sets_answer_side_by_side_uploaded_or_in_base64(client: CheckedClient, site: Site) -> None:
    picture = site.photos / "0000.png"
    form = {"image": upload(picture), "label_sets": ["pets", "colours", "builtin:photo-quality"]}
    answers = client.post(f"{API}/classify/sets", data=form).get_json()["answers"]
    assert [one["label_set"] for one in answers] == ["pets", "colours", "builtin:photo-quality"]
    single = client.post(f"{API}/classify", data={"image": upload(picture), "label_set": "colours"}).get_json()
    assert answers[1] == single
    images = [base64.b64encode(picture.read_bytes()).decode()]
    body = {"images": images, "label_sets": ["pets", "colours"]}
    again = client.post(f"{API}/classify/sets", json=body).get_json()["answers"]
    assert [one["results"][0]["predictions"] for one in again] == [
        one["results"][0]["predictions"] for one in answers[:2]
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"labels": ["cat"]}, 400),
        ({"labels": ["cat"], "mode": "several"}, 422),
        ({"label_set": "pets", "mode": "multi"}, 422),
        ({"label_set": "pets", "background": ["dog"]}, 422),
        ({"labels": ["cat", "dog"], "min_score": 2}, 422),
        ({"label_set": "builtin:nothing"}, 404),
    ],
)
def test_what_cannot_be_asked_is_refused(client: CheckedClient, body: dict[str, object], status: int) -> None:
    assert client.post(f"{HERE}/classify", json=body).status_code == status
