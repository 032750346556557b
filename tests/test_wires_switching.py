"""Answers while a collection is switched to another model: each request is answered by one model, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from wires_fixtures import WireSite, wire_site

from clipsearch.database.collections import CollectionRow
from clipsearch.errors import ModelSwitched
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search_many
from clipsearch.switching import add_model, switch_model

OLD, NEW = "demo", "demo-sigmoid"
# What differs from one answer to the next.
PASSING = ("time", "id", "created")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[WireSite]:
    """A site whose collection has both models; searches are by OLD."""
    with wire_site(tmp_path_factory.mktemp("switching"), migrated_file) as opened:
        add_model(opened.library, NEW)
        yield opened


@pytest.fixture
def client(site: WireSite) -> Iterator[FlaskClient]:
    yield site.client()
    if site.library.collection().model_name != OLD:
        switch_model(site.library, OLD)


def switch_once(site: WireSite, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the collection switched to NEW as soon as a request has found out which model encodes."""
    give, switched = Library.encoder_for, list[str]()

    def given(library: Library, row: CollectionRow) -> Any:
        found = give(library, row)
        if not switched:
            switched.append(row.model_name)
            switch_model(site.library, NEW)
        return found

    monkeypatch.setattr(Library, "encoder_for", given)
    return switched


def requests(site: WireSite) -> dict[str, tuple[str, dict[str, Any]]]:
    image = {"type": "base64", "value": site.encoded[0]}
    return {
        "both": ("/api/v1/embeddings", {"texts": ["a boat"], "images": site.encoded[:1]}),
        "kept": ("/api/v1/embeddings", {"texts": ["a boat"], "image_ids": [1]}),
        "of a collection": (
            "/api/v1/embeddings",
            {"collection": "default", "images": site.encoded[:1], "image_ids": [1]},
        ),
        "weaviate": ("/vectorize", {"texts": ["a boat"], "images": site.encoded[:1]}),
        "lambda": ("/", {"image_data": site.encoded[0], "labels": ["a boat", "a house"]}),
        "roboflow": ("/clip/compare", {"subject": image, "prompt": ["a boat", "a house"]}),
        "shares": ("/clip/compare?scale=softmax", {"subject": image, "prompt": ["a boat", "a house"]}),
        "openai": ("/v1/embeddings", {"model": OLD, "input": ["a boat"]}),
    }


@pytest.mark.parametrize(
    "kind", ["both", "kept", "of a collection", "weaviate", "lambda", "roboflow", "shares", "openai"]
)
def test_both_halves_of_an_answer_are_by_the_model_that_it_began_with(
    site: WireSite, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path, body = requests(site)[kind]
    before = client.post(path, json=body).get_json()
    switched = switch_once(site, monkeypatch)
    answer = client.post(path, json=body)
    assert (answer.status_code, switched) == (200, [OLD])
    assert _plain(answer.get_json()) == _plain(before)


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in PASSING}


@pytest.mark.parametrize("by", ["text", "image"])
def test_a_knn_search_over_a_switch_is_by_the_new_model(
    site: WireSite, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    asked = {"modality": "image", "num_images": 3, "indice_name": "default"}
    asked |= {"text": "a boat"} if by == "text" else {"image": site.encoded[0]}
    before = client.post("/knn-service", json=asked).get_json()
    switched = switch_once(site, monkeypatch)
    answer = client.post("/knn-service", json=asked)
    assert (answer.status_code, switched) == (200, [OLD])
    assert answer.get_json() == client.post("/knn-service", json=asked).get_json() != before


def test_a_search_that_says_of_which_model_it_is_is_not_answered_by_another(site: WireSite) -> None:
    query = Query(terms=(Term(vector=(1.0, *([0.0] * 127))),), k=1)
    assert search_many(site.library, [query], model=OLD)[0].model == OLD
    with pytest.raises(ModelSwitched, match="ask again"):
        search_many(site.library, [query], model=NEW)
