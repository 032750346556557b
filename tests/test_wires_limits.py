"""What a wire refuses: names that are none, texts that are too many; said shortly, and in the wire's way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from wires_fixtures import WireSite, wire_site

from clipsearch.web.slots import WorkSlots
from clipsearch.web.wires.vectors import MAX_CHARACTERS

HALF = "\ud800"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[WireSite]:
    with wire_site(tmp_path_factory.mktemp("limits"), migrated_file) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(site: WireSite) -> FlaskClient:
    return site.client()


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/clip/embed_text", {"text": "a boat", "model_id": HALF}, 422, "message"),
        ("/clip/embed_text", {"text": "a boat", "clip_version_id": HALF}, 422, "message"),
        ("/clip/compare", {"subject": "a", "subject_type": "text", "prompt": {HALF: HALF}}, 422, "message"),
        ("/v1/embeddings", {"model": HALF, "input": "a boat"}, 400, "error"),
        ("/v1/embeddings", {"model": "demo", "input": HALF}, 400, "error"),
        ("/v1/embeddings", {"model": "demo", "input": HALF, "modality": "image"}, 400, "error"),
        ("/v1/embeddings", {"model": "demo", "input": f"https://{HALF}", "modality": "image"}, 403, "error"),
        ("/vectorize", {"texts": [HALF]}, 422, "error"),
        ("/knn-service", {"modality": "image", "num_images": 1, "indice_name": HALF, "text": "a"}, 400, "message"),
        ("/", {"image_data": "", "labels": [HALF]}, 400, "detail"),
    ],
)
def test_half_a_surrogate_pair_is_refused_in_the_wires_way(
    client: FlaskClient, path: str, body: Any, status: int, told: str
) -> None:
    answer = client.post(path, data=json.dumps(body))
    assert (answer.status_code, str(answer.mimetype).endswith("json")) == (status, True)
    assert told in answer.get_json()


@pytest.mark.parametrize(
    "entries",
    [
        {HALF: {}},
        {"clip": {"textual": {"modelName": HALF}}},
        {"clip": {HALF: {"modelName": "demo"}}},
        {"clip": {"textual": {"modelName": None}}},
        {"clip": {"textual": {"modelName": {}}}},
        {"clip": {"textual": {"modelName": "x" * 2_001}}},
    ],
)
def test_an_entry_of_immichs_that_names_no_model_is_refused(client: FlaskClient, entries: Any) -> None:
    answer = client.post("/predict", data={"entries": json.dumps(entries), "text": "a boat"})
    assert (answer.status_code, answer.get_json()) == (422, {"detail": "Invalid request format."})


def test_immichs_old_form_names_a_model_as_well(client: FlaskClient) -> None:
    answer = client.post("/predict", data={"modelName": "x" * 2_001, "text": "a boat"})
    assert (answer.status_code, answer.get_json()) == (422, {"detail": "Invalid request format."})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clip/embed_text", {"text": "a boat", "clip_version_id": "y" * 1_900}),
        ("/clip/embed_text", {"text": "a boat", "clip_version_id": "y" * 100_000}),
        ("/v1/embeddings", {"model": "y" * 1_900, "input": "a boat"}),
    ],
)
def test_a_long_name_is_not_repeated(client: FlaskClient, path: str, body: Any) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code in {400, 404, 422}
    assert len(answer.get_data()) < 1_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clip/embed_text", {"text": ["a " * 4_999] * 101}),
        ("/clip/compare", {"subject": "a", "subject_type": "text", "prompt": ["a " * 4_999] * 101}),
        ("/v1/embeddings", {"model": "demo", "input": ["a " * 4_999] * 101}),
        ("/vectorize", {"texts": ["a " * 4_999] * 101}),
        ("/", {"image_data": "", "labels": [f"{place:<4}" + "a " * 990 for place in range(600)]}),
    ],
)
def test_more_texts_than_a_slot_is_for_are_too_large(
    site: WireSite, client: FlaskClient, path: str, body: dict[str, Any]
) -> None:
    sent = body | ({"image_data": site.encoded[0]} if path == "/" else {})
    answer = client.post(path, json=sent)
    assert answer.status_code == 413
    assert f"{MAX_CHARACTERS:,} characters" in answer.get_data(as_text=True)


def test_as_many_characters_as_are_allowed_are_embedded(client: FlaskClient) -> None:
    texts = [f"{place} boats " + "." * 9_980 for place in range(10, 110)]
    assert client.post("/vectorize", json={"texts": texts}).status_code == 200


def test_tokens_are_counted_while_holding_a_slot(site: WireSite, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, held = WorkSlots(1, 0, 0.01), []
    app = site.app(search_slots=slots)
    tower = type(site.encoder)
    count = tower.token_counts

    def counted(encoder: Any, texts: Any) -> Any:
        held.append(slots.in_use)
        return count(encoder, texts)

    monkeypatch.setattr(tower, "token_counts", counted)
    answer = app.test_client().post("/v1/embeddings", json={"model": "demo", "input": ["a boat"]})
    assert (answer.status_code, held) == (200, [1])
