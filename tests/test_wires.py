"""The wires of other systems: what they answer means what it says, and what they refuse is said in their way."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from flask.testing import FlaskClient
from library_fixtures import picture, unit_rows
from sqlalchemy import event
from werkzeug.test import TestResponse
from wires_fixtures import PICTURES, WireSite, wire_site

from clipsearch.authorizing import create_key
from clipsearch.cli.commands import cli
from clipsearch.compat import WIRES, open_networks, opened_to
from clipsearch.config import Settings, read_settings
from clipsearch.database.collections import delete_collection
from clipsearch.errors import ConfigError, ModelNotFound
from clipsearch.fetching import Fetched
from clipsearch.images import open_picture
from clipsearch.importing import import_clip_retrieval, import_embeddings
from clipsearch.web.context import EXTENSION
from clipsearch.web.slots import WorkSlots
from clipsearch.web.wires.models import model_meant

FIRST = {"type": "base64", "value": "{0}"}
NETWORK = "172.17.0.0/16"
INSIDE, OUTSIDE = "172.17.0.9", "192.168.1.9"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[WireSite]:
    with wire_site(tmp_path_factory.mktemp("wires"), migrated_file) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(site: WireSite) -> FlaskClient:
    """A client of an app that serves every wire and asks nobody for a key."""
    return site.client()


@pytest.fixture(scope="module")
def key(site: WireSite) -> str:
    return create_key(site.library, "for wires").key


def entries(kind: str, model: str = "demo") -> str:
    return json.dumps({"clip": {kind: {"modelName": model, "options": {}}}})


def predict(client: FlaskClient, *, image: bytes | None = None, **form: str) -> TestResponse:
    files = {} if image is None else {"image": (io.BytesIO(image), "image")}
    return client.post("/predict", data={**form, **files}, content_type="multipart/form-data")


def knn(client: FlaskClient, **asked: Any) -> TestResponse:
    usual = {"modality": "image", "num_images": 2, "indice_name": "default"}
    return client.post("/knn-service", data=json.dumps(usual | asked))


# One request for each wire, which it answers.
ASKED: dict[str, dict[str, Any]] = {
    "lambda": {"path": "/", "json": {"image_data": "", "labels": ["a boat"]}},
    "roboflow": {"path": "/clip/embed_text", "json": {"text": "a boat"}},
    "clip-retrieval": {"path": "/knn-service", "json": {"text": "a boat", "modality": "image", "num_images": 1,
                                                        "indice_name": "default"}},
    "immich": {"path": "/predict", "data": {"entries": entries("textual"), "text": "a boat"}},
    "openai": {"path": "/v1/embeddings", "json": {"model": "demo", "input": "a boat"}},
    "weaviate": {"path": "/vectorize", "json": {"texts": ["a boat"]}},
}  # fmt: skip


def ask(client: FlaskClient, site: WireSite, wire: str, **options: Any) -> TestResponse:
    request = dict(ASKED[wire])
    if wire == "lambda":
        request["json"] = request["json"] | {"image_data": site.encoded[0]}
    return client.open(method="POST", **request, **options)


# What is served -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_is_there_only_when_it_is_named(site: WireSite, wire: str) -> None:
    others = tuple(name for name in WIRES if name != wire)
    assert ask(site.client(compat=others), site, wire).status_code in {404, 405}
    assert ask(site.client(compat=(wire,)), site, wire).status_code == 200


def test_the_document_does_not_speak_of_wires(client: FlaskClient) -> None:
    paths = set(client.get("/api/v1/openapi.json").get_json()["paths"])
    assert "/api/v1/embeddings" in paths
    assert not paths & wire_paths(client)


def wire_paths(client: FlaskClient) -> set[str]:
    """The paths that only wires answer."""
    rules = client.application.url_map.iter_rules()
    return {rule.rule for rule in rules if rule.endpoint.startswith("wire-")}


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("COMPAT", "imich", "did you mean immich"),
        ("COMPAT", "openai,ftp", "no wire 'ftp'"),
        ("COMPAT_OPEN", "immich", "names no network"),
        ("COMPAT_OPEN", "imich@10.0.0.0/8", "did you mean immich"),
        ("COMPAT_OPEN", "immich@10.0.0.1/8", "is no network"),
        ("COMPAT_OPEN", "immich@0.0.0.0/0", "every address"),
        ("COMPAT_OPEN", "immich@::/0", "every address"),
        ("COMPAT_MODELS", "ViT-B-32__openai", "maps no name"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"CLIPSEARCH_{setting}", value)
    with pytest.raises(ConfigError, match=reason):
        read_settings()


def test_settings_of_wires_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSEARCH_COMPAT", " immich, openai,immich ")
    assert read_settings().compat == ("immich", "openai")


def test_a_wire_that_is_opened_and_not_served_is_refused(site: WireSite) -> None:
    with pytest.raises(ConfigError, match="opens immich, which is not served"):
        site.app(compat=("openai",), compat_open=f"immich@{NETWORK}")


# Keys and networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_needs_a_key_where_the_api_does(site: WireSite, key: str, wire: str) -> None:
    guarded = site.client(require_key="always")
    refused = ask(guarded, site, wire)
    assert refused.status_code == 401
    assert "API keys only" in refused.text
    assert ask(guarded, site, wire, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert ask(guarded, site, wire, headers={"X-Api-Key": key}).status_code == 200
    assert ask(guarded, site, wire, headers={"X-Api-Key": "cs_" + 12 * "0" + "_" + 64 * "0"}).status_code == 401


def test_a_key_stands_where_roboflows_clients_put_it(site: WireSite, key: str) -> None:
    guarded = site.client(require_key="always")
    body = {"text": "a boat"}
    assert guarded.post("/clip/embed_text", json=body | {"api_key": key}).status_code == 200
    assert guarded.post(f"/clip/embed_text?api_key={key}", json=body).status_code == 200
    assert guarded.post("/clip/embed_text", json=body | {"api_key": "of another service"}).status_code == 401
    # Nowhere else: an address is written into logs.
    assert guarded.post(f"/vectorize?api_key={key}", json={"texts": []}).status_code == 401
    assert guarded.get(f"/api/v1/collections?api_key={key}").status_code == 401


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_is_open_to_the_networks_that_are_named_and_to_no_others(site: WireSite, wire: str) -> None:
    opened = site.client(require_key="always", compat_open=f"{wire}@10.1.0.0/16,{NETWORK}")

    def asked(address: str, name: str = wire) -> int:
        return ask(opened, site, name, environ_base={"REMOTE_ADDR": address}).status_code

    assert asked(INSIDE) == asked("::ffff:" + INSIDE) == 200
    assert asked(OUTSIDE) == asked("127.0.0.1") == asked("::1") == 401
    assert {asked(INSIDE, other) for other in WIRES if other != wire} == {401}
    for path in ("/api/v1/collections", "/indices-list" if wire != "clip-retrieval" else "/meta"):
        assert opened.get(path, environ_base={"REMOTE_ADDR": INSIDE}).status_code == 401


def test_programs_of_an_open_network_are_greeted_and_pages_are_not(site: WireSite) -> None:
    opened = site.client(require_key="always", compat_open=f"immich@{NETWORK}")

    def got(address: str, accept: str, path: str = "/") -> int:
        return opened.get(path, headers={"Accept": accept}, environ_base={"REMOTE_ADDR": address}).status_code

    assert got(INSIDE, "*/*") == 200
    assert got(OUTSIDE, "*/*") == 401
    assert got(INSIDE, "text/html") == 303
    assert got(INSIDE, "*/*", "/?q=boat") == 401


def test_who_claims_to_come_from_an_open_network_is_not_believed(site: WireSite) -> None:
    opened = site.client(require_key="always", compat_open=f"immich@{NETWORK}")
    response = ask(opened, site, "immich", headers={"X-Forwarded-For": INSIDE}, environ_base={"REMOTE_ADDR": OUTSIDE})
    assert response.status_code == 401


def test_a_key_of_another_service_does_no_harm_where_none_is_needed(site: WireSite, client: FlaskClient) -> None:
    foreign = {"Authorization": "Bearer sk-of-another-service"}
    assert ask(client, site, "openai", headers=foreign).status_code == 200
    opened = site.client(require_key="always", compat_open=f"openai@{NETWORK}")
    assert ask(opened, site, "openai", headers=foreign, environ_base={"REMOTE_ADDR": INSIDE}).status_code == 200


def test_a_page_of_another_site_cannot_use_a_wire(site: WireSite, client: FlaskClient) -> None:
    for wire in WIRES:
        assert ask(client, site, wire, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_networks_are_told_apart() -> None:
    networks = open_networks("immich@172.16.0.0/12,fd00::/8; lambda@10.0.0.1")
    assert opened_to(networks, "immich", "172.31.255.1")
    assert opened_to(networks, "immich", "fd12::1%eth0")
    assert opened_to(networks, "lambda", "10.0.0.1")
    assert not opened_to(networks, "lambda", "10.0.0.2")
    assert not opened_to(networks, "immich", "172.32.0.1")
    assert not opened_to(networks, "openai", "10.0.0.1")
    assert not opened_to(networks, "immich", "")


# Models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "named"),
    [
        ("demo", None),
        ("demo", ""),
        ("demo", "demo"),
        ("ViT-B-32/openai", "ViT-B-32__openai"),
        ("ViT-B-32/openai", "ViT-B-32"),
        ("ViT-B-32-quickgelu/openai", "ViT-B-32__openai"),
        ("ViT-B-32/openai", "openai/clip-vit-base-patch32"),
        ("ViT-L-14-336/openai", "ViT-L-14-336px"),
        ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32__laion2b-s34b-b79k"),
        ("hf-hub:timm/ViT-B-16-SigLIP", "timm/ViT-B-16-SigLIP"),
    ],
)
def test_other_names_of_the_served_model_mean_it(site: WireSite, served: str, named: str | None) -> None:
    with site.app().app_context():
        assert model_meant(named, served=served) is None


@pytest.mark.parametrize(
    ("served", "named"),
    [
        ("demo", "ViT-B-32__openai"),
        ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32"),
        ("ViT-B-32/openai", "ViT-B-16"),
        ("ViT-B-32-quickgelu/laion400m_e31", "ViT-B-32__laion400m_e31"),
        ("demo", "text-embedding-3-small"),
        ("demo", "../demo"),
    ],
)
def test_another_model_is_refused_and_the_setting_named(site: WireSite, served: str, named: str) -> None:
    with site.app().app_context(), pytest.raises(ModelNotFound, match=f"CLIPSEARCH_COMPAT_MODELS={named}={served}"):
        model_meant(named, served=served)


def test_a_model_that_is_mapped_answers(site: WireSite) -> None:
    mapped = site.client(compat_models="ViT-B-32__openai=demo, ViT-B-16=demo-sigmoid")
    plain = predict(site.client(), entries=entries("textual"), text="a boat").get_json()
    assert predict(mapped, entries=entries("textual", "ViT-B-32__openai"), text="a boat").get_json() == plain
    sent = {"text": "a boat", "clip_version_id": "ViT-B-16"}
    other = np.array(mapped.post("/clip/embed_text", json=sent).get_json()["embeddings"][0])
    sigmoid = site.library.encoder("demo-sigmoid").encode_texts(["a boat"])
    assert np.allclose(other, sigmoid.vectors[0] * sigmoid.norms[0], atol=1e-5)
    assert predict(mapped, entries=entries("textual", "ViT-L-14__openai"), text="a boat").status_code == 404


# The serverless classifier --------------------------------------------------------------------------------


def test_shares_of_labels_follow_the_models_own_scale(site: WireSite, client: FlaskClient) -> None:
    labels = ["the sun", "a house", " the sun", "the sun", "a boat"]
    shares = client.post("/", json={"image_data": site.encoded[0], "labels": labels}).get_json()["result"]
    assert list(shares) == ["the sun", "a house", " the sun", "a boat"]
    opened = open_picture(site.pictures[0]).picture
    seen = site.encoder.encode_images([opened]).vectors[0].astype(float)
    scale = site.encoder.model.logit_scale
    assert scale != pytest.approx(100.0)
    weights = np.exp(scale * site.encoder.encode_texts(list(shares)).vectors.astype(float) @ seen)
    assert np.allclose(list(shares.values()), weights / weights.sum(), rtol=1e-3, atol=1e-9)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_classifiers_errors_call_what_was_sent_as_the_client_does(site: WireSite, client: FlaskClient) -> None:
    detail = client.post("/", json={"image_data": "AAAA", "labels": ["a"]}).get_json()["detail"]
    assert detail.startswith("image_data: ")
    labels = {"image_data": site.encoded[0], "labels": ["a", "a", " "]}
    assert client.post("/", json=labels).get_json()["detail"].startswith("labels[2]: ")


def test_one_label_has_all(site: WireSite, client: FlaskClient) -> None:
    answer = client.post("/", json={"image_data": site.encoded[0], "labels": ["a boat"]})
    assert answer.get_json() == {"result": {"a boat": 1.0}}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"image_data": "AAAA", "labels": []}', b'{"image_data": 5, "labels": ["a"]}',
     b'{"image_data": "AAAA", "labels": "a cat"}', b'{"image_data": "AAAA", "labels": ["a"]}',
     b'{"image_data": "AAAA", "labels": [NaN]}', b"[" * 100_000],
)  # fmt: skip
def test_what_the_classifier_cannot_read_is_a_bad_request(client: FlaskClient, body: bytes) -> None:
    response = client.post("/", data=body)
    assert (response.status_code, response.mimetype) == (400, "application/problem+json")
    assert response.get_json()["detail"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"


# Roboflow -------------------------------------------------------------------------------------------------


def test_roboflows_rows_are_those_of_the_model_and_not_of_unit_length(site: WireSite, client: FlaskClient) -> None:
    texts = ["a red boat", "a house at night"]
    rows = np.array(client.post("/clip/embed_text", json={"text": texts}).get_json()["embeddings"])
    norms = site.encoder.encode_texts(texts).norms
    assert np.allclose(np.linalg.norm(rows, axis=1), norms, rtol=1e-4)
    assert abs(norms - 1.0).min() > 0.1
    images = [{"type": "base64", "value": one} for one in site.encoded]
    rows = np.array(client.post("/clip/embed_image", json={"image": images}).get_json()["embeddings"])
    seen = site.encoder.encode_images([open_picture(one).picture for one in site.pictures])
    assert np.allclose(rows, seen.vectors * seen.norms[:, None], rtol=1e-3, atol=1e-3)


def test_the_family_of_models_alone_means_the_served_one(client: FlaskClient) -> None:
    plain = client.post("/clip/embed_text", json={"text": "a boat"}).get_json()["embeddings"]
    for name in ("clip", "clip/demo", None):
        body = {"text": "a boat", "model_id": name}
        assert client.post("/clip/embed_text", json=body).get_json()["embeddings"] == plain
    other = {"text": "a boat", "model_id": "clip/ViT-B-16"}
    assert client.post("/clip/embed_text", json=other).status_code == 404


def test_a_comparison_is_the_cosine(site: WireSite, client: FlaskClient) -> None:
    def compared(subject: Any, prompt: Any, **more: str) -> Any:
        body = {"subject": subject, "prompt": prompt, **more}
        return client.post("/clip/compare", json=body).get_json()["similarity"]

    first = {"type": "base64", "value": site.encoded[0]}
    second = {"type": "base64", "value": "data:image/png;base64," + site.encoded[1]}
    assert compared(first, [first, second], prompt_type="image")[0] == pytest.approx(1.0, abs=1e-5)
    assert compared("a boat", "a boat", subject_type="text") == [pytest.approx(1.0, abs=1e-5)]
    texts = ["a boat", "a house"]
    listed = compared(first, texts)
    assert compared(first, dict(zip("ab", texts, strict=True))) == dict(zip("ab", listed, strict=True))
    assert all(-1.0 <= one <= 1.0 for one in listed)
    named = compared("a boat", {"one": first, "two": second}, subject_type="text", prompt_type="image")
    assert list(named) == ["one", "two"]
    assert named["one"] == pytest.approx(listed[0], abs=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("embed_image", {"image": []}, 422, "empty list"),
        ("embed_image", {"image": {"type": "file", "value": "/etc/passwd"}}, 422, "image.0.type"),
        ("embed_image", {"image": {"type": "base64", "value": "no base64!"}}, 422, "not base64"),
        ("embed_image", {"image": {"type": "base64", "value": 5}}, 422, "must be a text"),
        ("embed_image", {"image": {"type": "url", "value": "https://example.org/a.jpg"}}, 403, "CLIPSEARCH_FETCH_URLS"),
        ("embed_image", {"image": {"type": "numpy", "value": "gASVAAAA"}}, 400, "pickle"),
        ("embed_image", {"image": [FIRST] * 65}, 422, "64"),
        ("embed_text", {"text": 5}, 422, "text"),
        ("compare", {"subject": ["a"], "subject_type": "text", "prompt": "a"}, 422, "not a list"),
        ("compare", {"subject": "a", "subject_type": "sound", "prompt": "a"}, 422, "subject_type"),
        ("compare", {"subject": "a", "subject_type": "text", "prompt": []}, 422, "empty list"),
        ("compare", {"subject": "a", "subject_type": "text", "prompt": {}}, 422, "empty list"),
        ("compare", {"subject": "a", "subject_type": "image", "prompt": "a"}, 422, "subject"),
        ("compare?scale=percent", {"subject": "a", "prompt": "a"}, 422, "cosine or softmax"),
    ],
)  # fmt: skip
def test_what_roboflow_cannot_be_asked_is_said(
    client: FlaskClient, path: str, body: Any, status: int, reason: str
) -> None:
    response = client.post(f"/clip/{path}", json=body)
    assert response.status_code == status
    assert reason in response.get_json()["message"]


# clip-retrieval -------------------------------------------------------------------------------------------


def test_a_knn_search_finds_what_a_search_finds(site: WireSite, client: FlaskClient) -> None:
    hits = client.get("/api/v1/collections/default/search?text=a+boat").get_json()["hits"]
    found = knn(client, text="a boat", num_images=PICTURES).get_json()
    assert [(one["id"], pytest.approx(one["similarity"], abs=1e-6)) for one in found] == [
        (hit["image"]["id"], hit["score"]) for hit in hits
    ]
    assert [one["image_path"] for one in found] == [hit["image"]["uri"] for hit in hits]
    opened = [open_picture(base64.b64decode(one["image"])) for one in found]
    assert {one.format for one in opened} == {"JPEG"}


def test_an_image_and_a_vector_are_looked_for(site: WireSite, client: FlaskClient) -> None:
    for number, encoded in enumerate(site.encoded, start=1):
        assert knn(client, image=encoded).get_json()[0]["id"] == number
    vector = site.encoder.encode_images([open_picture(site.pictures[2]).picture]).vectors[0]
    assert knn(client, embedding_input=vector.tolist()).get_json()[0]["id"] == 3
    short = knn(client, embedding_input=[0.5, 0.5])
    assert short.status_code == 400
    assert "dimension" in short.get_json()["message"]


def test_what_goes_beyond_the_images_has_id_and_similarity_only(site: WireSite, client: FlaskClient) -> None:
    found = knn(client, text="a boat", num_images=1, num_result_ids=3).get_json()
    assert [list(one) for one in found] == [["id", "similarity", "image_path", "image"], ["id", "similarity"],
                                            ["id", "similarity"]]  # fmt: skip


def test_thousands_of_ids_come_in_order_and_each_once(site: WireSite, client: FlaskClient, tmp_path: Path) -> None:
    rows = unit_rows(1_500, 128)
    np.save(tmp_path / "rows.npy", rows)
    names = [f"https://example.org/{n}.jpg" for n in range(len(rows))]
    (tmp_path / "names.json").write_text(json.dumps(names))
    import_embeddings(site.library, tmp_path / "rows.npy", tmp_path / "names.json", model="demo", collection="many")
    found = knn(client, embedding_input=rows[0].tolist(), indice_name="many", num_result_ids=1_300).get_json()
    assert len(found) == len({one["id"] for one in found}) == 1_300
    scores = [one["similarity"] for one in found]
    assert scores == sorted(scores, reverse=True)
    assert found[0]["url"] == names[0]
    assert "image_path" not in found[0]
    assert "image" not in found[0]
    assert knn(client, text="a boat", num_result_ids=10_001).status_code == 400
    assert client.get("/indices-list").get_json() == ["default", "many"]
    with site.library.database.write() as connection:
        delete_collection(connection, "many")


def test_a_folder_that_was_taken_over_is_told_as_the_original_told_it(
    site: WireSite, client: FlaskClient, tmp_path: Path
) -> None:
    from test_importing_clip_retrieval import write_part

    rows = unit_rows(2, 128, seed=5)
    there = site.photos / "0000.png"
    columns: dict[str, Any] = {"image_path": [str(there), "000000001"], "caption": ["first", "second"],
               "NSFW": ["UNLIKELY", "UNSURE"],
               "url": [None, "https://example.org/1.jpg"], "width": [640, 641]}  # fmt: skip
    write_part(tmp_path, "0", rows, columns)
    import_clip_retrieval(site.library, tmp_path, model="demo", collection="taken over")
    found = knn(client, embedding_input=rows[1].tolist(), indice_name="taken over").get_json()
    assert list(found[0]) == ["id", "similarity", "url", "caption", "image_path", "NSFW", "width"]
    assert (found[0]["url"], found[0]["image_path"]) == ("https://example.org/1.jpg", "000000001")
    assert list(found[1]) == ["id", "similarity", "caption", "image_path", "NSFW", "width", "image"]
    told = client.post("/metadata", json={"indice_name": "taken over", "ids": [found[0]["id"]]}).get_json()
    assert told == [{"id": found[0]["id"], "metadata": dict(list(found[0].items())[2:])}]
    with site.library.database.write() as connection:
        delete_collection(connection, "taken over")


def test_what_has_no_effect_is_named(client: FlaskClient) -> None:
    asked = knn(client, text="a boat", use_safety_model=True, aesthetic_score=9, aesthetic_weight=0.5)
    assert asked.headers["Clipsearch-Ignored"] == "use_safety_model, aesthetic_score, aesthetic_weight"
    assert "Clipsearch-Ignored" not in knn(client, text="a boat", aesthetic_score="").headers


def test_duplicates_are_given_once_when_asked_for(site: WireSite, client: FlaskClient) -> None:
    from library_fixtures import index

    again = site.photos / "copies"
    again.mkdir()
    (again / "copy.png").write_bytes(site.pictures[0])
    try:
        index(site.library, site.photos)
        every = knn(client, image=site.encoded[0], num_images=3).get_json()
        once = knn(client, image=site.encoded[0], num_images=3, deduplicate=True).get_json()
        assert every[0]["similarity"] == pytest.approx(every[1]["similarity"], abs=1e-5)
        assert [one["similarity"] > 0.99 for one in once].count(True) == 1
    finally:
        (again / "copy.png").unlink()
        index(site.library, site.photos)


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        ({"text": "a boat", "modality": "text"}, 400, "holds images"),
        ({"text": "a boat", "modality": "sound"}, 400, "modality"),
        ({"text": "a boat", "indice_name": "laion5B"}, 404, "laion5B"),
        ({"text": "a boat", "use_mclip": True}, 404, "CLIPSEARCH_COMPAT_MODELS=mclip=demo"),
        ({"text": "", "image": ""}, 400, "must fill one of"),
        ({"image": "bm8gaW1hZ2U="}, 400, "not an image"),
        ({"image_url": "https://example.org/a.jpg"}, 403, "CLIPSEARCH_FETCH_URLS"),
        ({"text": "a boat", "num_images": 0}, 400, "num_images"),
    ],
)
def test_what_clip_retrieval_cannot_be_asked_is_said(
    client: FlaskClient, asked: dict[str, Any], status: int, reason: str
) -> None:
    response = knn(client, **asked)
    assert response.status_code == status
    assert reason in response.get_json()["message"]


def test_the_multilingual_model_may_be_mapped_to_the_collections(site: WireSite) -> None:
    assert knn(site.client(compat_models="mclip=demo"), text="a boat", use_mclip=True).status_code == 200
    assert knn(site.client(compat_models="mclip=demo-sigmoid"), text="a boat", use_mclip=True).status_code == 404


def test_what_is_known_of_an_image_that_is_not_there_is_nothing(client: FlaskClient) -> None:
    response = client.post("/metadata", json={"indice_name": "default", "ids": [1, 99]})
    assert response.status_code == 404
    assert "99" in response.get_json()["message"]
    assert client.post("/metadata", json={"indice_name": "default", "ids": []}).get_json() == []


# immich ---------------------------------------------------------------------------------------------------


def test_immichs_vector_is_a_text_of_unit_length(site: WireSite, client: FlaskClient) -> None:
    seen = predict(client, image=site.pictures[1], entries=entries("visual")).get_json()
    assert isinstance(seen["clip"], str)
    vector = np.array(json.loads(seen["clip"]))
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    expected = site.encoder.encode_images([open_picture(site.pictures[1]).picture]).vectors[0]
    assert np.allclose(vector, expected, atol=1e-5)
    assert list(predict(client, entries=entries("textual"), text="a boat").get_json()) == ["clip"]


def test_immich_is_told_the_size_of_the_upright_picture(client: FlaskClient) -> None:
    lying = picture(5, (60, 40))
    exif = lying.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    lying.save(file, "JPEG", exif=exif)
    told = predict(client, image=file.getvalue(), entries=entries("visual")).get_json()
    assert (told["imageHeight"], told["imageWidth"]) == (60, 40)


@pytest.mark.parametrize(
    ("form", "image", "status", "detail"),
    [
        ({"text": "a boat"}, False, 422, "Invalid request format."),
        ({"entries": "[]", "text": "a boat"}, False, 422, "Invalid request format."),
        ({"entries": '{"clip": {}}', "text": "a boat"}, False, 422, "Invalid request format."),
        ({"entries": '{"clip": {"visual": {}}}', "text": "a boat"}, False, 422, "Invalid request format."),
        ({"entries": entries("visual"), "text": "a boat"}, False, 422, "no image came"),
        ({"entries": entries("textual")}, True, 422, "no text came"),
        ({"entries": '{"facial-recognition": {"detection": {"modelName": "x"}}}'}, True, 400, "own machine learning"),
        ({"entries": entries("visual")}, False, 400, "Either image or text must be provided"),
        ({"modelName": "demo", "modelType": "facial-recognition"}, True, 400, "facial-recognition"),
    ],
)  # fmt: skip
def test_what_immich_cannot_be_asked_is_said(
    site: WireSite, client: FlaskClient, form: dict[str, str], image: bool, status: int, detail: str
) -> None:
    response = predict(client, image=site.pictures[0] if image else None, **form)
    assert (response.status_code, response.mimetype) == (status, "application/json")
    assert detail in response.get_json()["detail"]


def test_who_asks_for_no_page_learns_that_immichs_learning_is_here(site: WireSite, client: FlaskClient) -> None:
    told = client.get("/", headers={"Accept": "application/json, text/plain, */*"}).get_json()
    assert told["message"] == "Immich ML"
    assert "message" not in site.client(compat=("openai",)).get("/", headers={"Accept": "*/*"}).get_json()
    assert client.get("/", headers={"Accept": "text/html"}).mimetype == "text/html"


# OpenAI ---------------------------------------------------------------------------------------------------


def test_base64_holds_the_numbers(client: FlaskClient) -> None:
    asked = {"model": "demo", "input": ["a boat", "a house"]}
    plain = client.post("/v1/embeddings", json=asked).get_json()
    packed = client.post("/embeddings", json=asked | {"encoding_format": "base64", "dimensions": 128}).get_json()
    for one, other in zip(plain["data"], packed["data"], strict=True):
        row = np.frombuffer(base64.b64decode(other["embedding"]), dtype="<f4")
        assert row.tolist() == np.array(one["embedding"], dtype=np.float32).tolist()
        assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5)
    assert [one["index"] for one in plain["data"]] == [0, 1]


def test_tokens_are_counted_as_the_model_reads_them(site: WireSite, client: FlaskClient) -> None:
    def counted(*texts: str) -> int:
        usage = client.post("/embeddings", json={"model": "demo", "input": list(texts)}).get_json()["usage"]
        assert usage["prompt_tokens"] == usage["total_tokens"]
        return int(usage["total_tokens"])

    assert counted("boat") + 1 == counted("red boat")
    assert counted("boat", "red boat") == counted("boat") + counted("red boat")
    longest = site.encoder.model.context_length
    assert counted("boat " * 200) == longest


@pytest.mark.parametrize(
    ("more", "param", "reason"),
    [
        ({"input": [1, 2, 3]}, "input", "numbers of tokens"),
        ({"input": []}, "input", ""),
        ({"input": ["boat"] * 2_049}, "input", "2048"),
        ({"modality": "audio"}, "modality", "image"),
        ({"dimensions": 64}, None, "128"),
        ({"modality": "image", "input": "boat"}, None, "input[0]"),
        ({"modality": "image", "input": ["data:image/png;base64,bm8gaW1hZ2U="]}, None, "not an image"),
        ({"encoding_format": "hex"}, "encoding_format", "base64"),
    ],
)  # fmt: skip
def test_what_openais_wire_cannot_be_asked_is_said(
    client: FlaskClient, more: dict[str, Any], param: str | None, reason: str
) -> None:
    response = client.post("/v1/embeddings", json={"model": "demo", "input": "a boat"} | more)
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert reason in error["message"]


def test_too_many_images_at_once_are_too_large(client: FlaskClient) -> None:
    sent = {"model": "demo", "modality": "image", "input": ["data:image/png;base64,AAAA"] * 65}
    assert client.post("/v1/embeddings", json=sent).status_code == 413


# Weaviate -------------------------------------------------------------------------------------------------


def test_weaviates_vectors_are_of_unit_length_and_in_order(site: WireSite, client: FlaskClient) -> None:
    found = client.post("/vectorize", json={"texts": ["a boat", "a house"], "images": site.encoded}).get_json()
    assert list(found) == ["textVectors", "imageVectors"]
    texts, images = np.array(found["textVectors"]), np.array(found["imageVectors"])
    assert np.allclose(texts, site.encoder.encode_texts(["a boat", "a house"]).vectors, atol=1e-5)
    assert (images.shape, texts.shape) == ((PICTURES, 128), (2, 128))
    assert np.allclose(np.linalg.norm(images, axis=1), 1.0, atol=1e-5)
    assert client.post("/vectorize", json={}).get_json() == {"textVectors": [], "imageVectors": []}


def test_weaviate_waits_until_vectors_can_be_had(site: WireSite) -> None:
    app = site.app()
    asked = app.test_client()
    first = asked.get("/.well-known/ready")
    assert first.status_code in {204, 503}
    if first.status_code == 503:
        assert "not ready" in first.get_json()["error"]
    watch = app.extensions["clipsearch"].watch
    watch.start()
    assert watch._thread is not None
    watch._thread.join(20)
    assert asked.get("/.well-known/ready").status_code == 204
    assert asked.get("/.well-known/live").status_code == 204


# All of them ----------------------------------------------------------------------------------------------

TOLD = {
    "lambda": "detail", "roboflow": "message", "clip-retrieval": "message", "immich": "detail", "openai": "error",
    "weaviate": "error",
}  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
def test_a_busy_server_says_so_in_the_wires_way(site: WireSite, wire: str) -> None:
    slots, search_slots = WorkSlots(1, 0, 0.01), WorkSlots(1, 0, 0.01)
    app = site.app(slots=slots, search_slots=search_slots)
    with slots.taken(), search_slots.taken():
        response = ask(app.test_client(), site, wire)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert TOLD[wire] in response.get_json()


def test_small_pictures_that_are_kept_wait_for_no_slot_and_others_for_one_each(
    site: WireSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = WorkSlots(1, 0, 0.01)
    app = site.app(slots=slots)
    client = app.test_client()
    asked = {"indice_name": "default", "ids": [1, 2, 3]}
    thumbnails = app.extensions[EXTENSION].thumbnails
    make, held = thumbnails.make, []

    def made(*arguments: Any) -> bytes:
        held.append(slots.in_use)
        return bytes(make(*arguments))

    monkeypatch.setattr(thumbnails, "find", lambda *_: None)
    monkeypatch.setattr(thumbnails, "make", made)
    with slots.taken():
        assert client.post("/metadata", json=asked).status_code == 503
    whole = client.post("/metadata", json=asked).get_json()
    assert held == [1, 1, 1]
    assert slots.in_use == 0
    monkeypatch.undo()
    with slots.taken():
        assert client.post("/metadata", json=asked).get_json() == whole
    assert all(one["metadata"]["image"] for one in whole)


def test_many_ids_cost_no_more_statements_than_one(site: WireSite, client: FlaskClient) -> None:
    with site.library.database.read() as connection:
        engine = connection.engine
    counts = []
    for ids in ([1], [1, 2, 3, 4]):
        client.post("/metadata", json={"indice_name": "default", "ids": ids})  # its small pictures are kept now
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object, seen: list[str] = seen) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            told = client.post("/metadata", json={"indice_name": "default", "ids": [*ids, ids[0]]}).get_json()
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert [one["id"] for one in told] == [*ids, ids[0]]
        counts.append(len(seen))
    assert counts[0] == counts[1] > 0


def test_who_is_not_known_yet_has_no_body_held_in_memory(site: WireSite, key: str) -> None:
    guarded = site.client(require_key="always")
    body = b'{"text": "a boat", "more": "' + b" " * 20_000_000 + b'", "api_key": "%s"}'
    peak = 0
    for sent, status in ((key, 200), ("nobodys", 401)):
        whole = body % sent.encode()
        tracemalloc.start()
        try:
            assert guarded.post("/clip/embed_text", input_stream=io.BytesIO(whole), content_length=len(whole)
                                ).status_code == status  # fmt: skip
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("place", range(-140, 20, 7))
def test_a_key_is_found_wherever_the_pieces_of_a_body_end(site: WireSite, key: str, place: int) -> None:
    guarded = site.client(require_key="always")
    head, tail = b'{"more": "', b'", "api_key" : "%s", "text": "a boat"}' % key.encode()
    body = head + b"x" * (65_536 - len(head) + place) + tail
    assert guarded.post("/clip/embed_text", data=body).status_code == 200


def test_images_at_addresses_are_fetched_by_a_few_requests_at_once(
    site: WireSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.web.fetched.fetch_images", lambda *_: [Fetched(site.pictures[0], "a")])
    app = site.app(fetch_urls=True)
    slots = app.extensions[EXTENSION].fetch_slots
    asked = {"model": "demo", "modality": "image", "input": "https://example.org/0.png"}
    with ExitStack() as stack:
        for _ in range(slots.slots):
            stack.enter_context(slots.taken())
        monkeypatch.setattr(slots, "_wait_seconds", 0.01)
        assert app.test_client().post("/embeddings", json=asked).status_code == 503
    assert app.test_client().post("/embeddings", json=asked).status_code == 200


@pytest.mark.parametrize("wire", WIRES)
def test_a_body_without_end_is_refused_in_the_wires_way(client: FlaskClient, wire: str) -> None:
    kind = "multipart/form-data; boundary=x" if wire == "immich" else "application/json"
    response = client.post(ASKED[wire]["path"], data=b" " * 31_000_000, content_type=kind)
    assert response.status_code == 413
    assert TOLD[wire] in response.get_json()


def test_an_address_is_fetched_through_the_guard_where_the_server_may(
    site: WireSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def from_the_web(_settings: Settings, urls: Sequence[str]) -> list[Fetched]:
        asked.extend(urls)
        return [Fetched(site.pictures[int(url[-5])], url) for url in urls]

    monkeypatch.setattr("clipsearch.web.fetched.fetch_images", from_the_web)
    client = site.client()
    first, third = "https://example.org/0.png", "https://example.org/2.png"
    images = [{"type": "url", "value": first}, {"type": "base64", "value": site.encoded[1]},
              {"type": "url", "value": third}]  # fmt: skip
    plain = [{"type": "base64", "value": one} for one in site.encoded[:3]]
    rows, expected = (
        client.post("/clip/embed_image", json={"image": sent}).get_json()["embeddings"] for sent in (images, plain)
    )
    assert np.allclose(rows, expected, rtol=1e-3, atol=1e-3)
    sent = {"model": "demo", "modality": "image", "input": ["data:image/png;base64," + site.encoded[0], third]}
    found = client.post("/embeddings", json=sent).get_json()["data"]
    assert np.allclose(found[1]["embedding"], np.array(expected[2]) / np.linalg.norm(expected[2]), atol=1e-4)
    assert knn(client, image_url=third).get_json()[0]["id"] == 3
    assert asked == [first, third, third, third]


@pytest.mark.parametrize("address", ["http://127.0.0.1/a.jpg", "http://169.254.169.254/", "file:///etc/passwd"])
def test_an_address_that_the_guard_refuses_is_not_fetched(site: WireSite, address: str) -> None:
    client = site.client(fetch_urls=True)
    image = {"type": "url", "value": address}
    response = client.post("/clip/embed_image", json={"image": image})
    assert response.status_code in {400, 403}
    assert knn(client, image_url=address).status_code == response.status_code


def test_the_guides_name_every_wire_setting_and_path(client: FlaskClient) -> None:
    docs = Path(__file__).parents[1] / "docs"
    guide = (docs / "wires.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \| ", guide, flags=re.M)) >= set(WIRES)
    for name in ("COMPAT", "COMPAT_OPEN", "COMPAT_MODELS"):
        assert f"CLIPSEARCH_{name}=" in guide
    assert all(f"`{rule}`" in guide or f" {rule}`" in guide or rule.endswith("/ready") for rule in wire_paths(client))


@pytest.mark.parametrize("name", ["wires.md", "moving.md"])
def test_every_command_of_the_guides_is_understood(name: str) -> None:
    text = (Path(__file__).parents[1] / "docs" / name).read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, flags=re.S)).replace("\\\n", " ").splitlines()
    commands = [words for line in lines if "clipsearch" in (words := shlex.split(line, comments=True))]
    assert len(commands) >= 2
    for words in commands:
        given = words[words.index("clipsearch") + 1 :]
        command: click.Command = cli
        context = click.Context(cli, info_name="clipsearch")
        while isinstance(command, click.Group):
            part, found, given = command.resolve_command(context, given)
            assert found is not None
            command, context = found, click.Context(found, info_name=part, parent=context)
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in given if word.startswith("-")} <= known, words
