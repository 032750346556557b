"""Models over HTTP: add in the background, compare, switch, remove, and what is refused; with the models that come
along, on a few pictures of the picture-book's kind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from library_fixtures import draw, draw_many, index
from web_fixtures import API, CheckedClient, Contract

from clipsearch.config import Settings
from clipsearch.label_files import draft_of
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.tagging import tag_collection
from clipsearch.web import create_app

HERE = f"{API}/collections/default"
PICTURES = 6


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, CheckedClient, Path]]:
    """One library for the module: the demo models are loaded once."""
    folder = tmp_path_factory.mktemp("models")
    draw_many(folder / "photos", PICTURES)
    settings = Settings(data_dir=folder / "data", model="demo", device="cpu", dtype="float32", decode_threads=2,
                        roots=(folder / "photos",))  # fmt: skip
    with Library.open(settings) as library:
        index(library, folder / "photos")
        client = create_app(library).test_client()
        yield library, CheckedClient(client, Contract(client.get(f"{API}/openapi.json").get_json())), folder / "photos"


def finished(client: CheckedClient, where: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (run := client.get(where).get_json())["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, run
        time.sleep(0.02)
    return dict(run)


def states(client: CheckedClient) -> dict[str, str]:
    return {one["name"]: one["state"] for one in client.get(f"{HERE}/models").get_json()["models"]}


def test_a_model_is_added_compared_switched_to_and_removed(place: tuple[Library, CheckedClient, Path]) -> None:
    library, client, photos = place
    known = {one["name"]: one for one in client.get(f"{API}/models").get_json()["models"]}
    assert set(known) == {"demo", "demo-sigmoid"}
    assert known["demo"]["stored"]["embeddings"] == PICTURES
    assert known["demo-sigmoid"]["stored"] is None
    assert states(client) == {"demo": "active"}

    started = client.post(f"{HERE}/models", json={"model": "demo-sigmoid"})
    assert started.status_code == 202
    run = finished(client, started.headers["Location"])
    assert (run["kind"], run["model"], run["state"], run["done"]) == ("embed", "demo-sigmoid", "done", PICTURES)
    assert client.get(f"{started.headers['Location']}/failures").get_json() == {"failures": [], "total": 0}
    assert states(client) == {"demo": "active", "demo-sigmoid": "ready"}
    only = client.get(f"{API}/jobs?collection=default&kind=embed&state=done&state=failed").get_json()["jobs"]
    assert [one["id"] for one in only] == [run["id"]]
    assert client.get(f"{API}/jobs?state=running").get_json() == {"jobs": []}
    assert {one["kind"] for one in client.get(f"{API}/jobs").get_json()["jobs"]} == {"index", "embed"}

    compare(library, client)

    draw(photos / "later.png", 77)
    index(library, photos)
    refused = client.put(f"{HERE}/model", json={"model": "demo-sigmoid"})
    assert (refused.status_code, refused.get_json()["details"]) == (409, {"lacking": 1, "images": PICTURES + 1})
    assert "clipsearch models add demo-sigmoid -c default" in refused.get_json()["detail"]
    missing = client.get(f"{HERE}/models/missing?model=demo-sigmoid").get_json()
    assert (missing["total"], Path(missing["images"][0]["uri"]).name) == (1, "later.png")
    finished(client, client.post(f"{HERE}/models", json={"model": "demo-sigmoid"}).headers["Location"])

    switched = client.put(f"{HERE}/model", json={"model": "demo-sigmoid"}).get_json()
    assert (switched["model"], switched["previous"], switched["lacking"]) == ("demo-sigmoid", "demo", 0)
    assert switched["outdated_tags"] == ["things"]
    answer = client.get(f"{HERE}/search?text=dog&k=3").get_json()
    assert (answer["model"], len(answer["hits"])) == ("demo-sigmoid", 3)
    shown = client.get(HERE).get_json()
    assert (shown["model"], shown["unsearchable"]) == ("demo-sigmoid", 0)

    assert client.delete(f"{HERE}/models?model=demo-sigmoid").status_code == 409
    assert client.delete(f"{HERE}/models?model=demo").status_code == 204
    assert states(client) == {"demo-sigmoid": "active"}


def compare(library: Library, client: CheckedClient) -> None:
    """Two models on reviewed tags, side by side."""
    save_label_set(library, "things", draft_of([("dog", ()), ("car", ())], ()))
    tag_collection(library, "things")
    from clipsearch.reviewing import accept, queue

    for entry in queue(library, "things", limit=PICTURES).entries:
        accept(library, "things", entry.image.id)
    body = {"label_set": "things", "against_model": "demo-sigmoid", "resamples": 5}
    answer = client.post(f"{HERE}/evaluate", json=body)
    assert answer.status_code == 200, answer.get_json()
    assert [one["model"] for one in answer.get_json()["contenders"]] == ["demo", "demo-sigmoid"]
    both = client.post(f"{HERE}/evaluate", json=body | {"against_label_set": "things"})
    assert both.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", f"{HERE}/models", {"model": "ViT-B-32/openai"}, 403, "not_allowed"),
        ("POST", f"{HERE}/models", {"model": "/etc"}, 403, "not_allowed"),
        ("POST", f"{HERE}/models", {"model": "nonsense"}, 404, "model_not_found"),
        ("POST", f"{HERE}/models", {"model": ""}, 422, "invalid_request"),
        ("POST", f"{HERE}/models", {}, 422, "invalid_request"),
        ("POST", f"{API}/collections/none/models", {"model": "demo"}, 404, "collection_not_found"),
        ("PUT", f"{HERE}/model", {"model": "/etc"}, 403, "not_allowed"),
        ("PUT", f"{API}/collections/none/model", {"model": "demo"}, 404, "collection_not_found"),
        ("PUT", f"{HERE}/model", {"model": "demo", "allow_missing": "yes"}, 422, "invalid_request"),
        ("DELETE", f"{HERE}/models", None, 422, "invalid_request"),
        ("DELETE", f"{HERE}/models?model=ViT-B-32/openai", None, 409, "conflict"),
        ("GET", f"{API}/collections/none/models", None, 404, "collection_not_found"),
        ("GET", f"{HERE}/models/missing?model=ViT-B-32/openai", None, 404, "model_not_found"),
        ("GET", f"{API}/jobs?state=unheard", None, 422, "invalid_request"),
        ("GET", f"{API}/jobs?collection=none", None, 404, "collection_not_found"),
        ("GET", f"{API}/jobs/99/events", None, 404, "run_not_found"),
        ("GET", f"{API}/jobs/99/failures", None, 404, "run_not_found"),
    ],
)
def test_what_does_not_fit_is_refused(
    place: tuple[Library, CheckedClient, Path], method: str, path: str, body: Any, status: int, code: str
) -> None:
    _, client, _ = place
    answer = client._ask(method, path, {} if body is None else {"json": body})
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_the_model_that_answers_cannot_be_added_or_switched_to(place: tuple[Library, CheckedClient, Path]) -> None:
    _, client, _ = place
    name = client.get(HERE).get_json()["model"]
    for answer in (
        client.post(f"{HERE}/models", json={"model": name}),
        client.put(f"{HERE}/model", json={"model": name}),
    ):
        assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
        assert "already" in answer.get_json()["detail"]


def test_an_embedding_waits_for_no_indexing_and_is_queued_once(place: tuple[Library, CheckedClient, Path]) -> None:
    _, client, photos = place
    other = "demo" if client.get(HERE).get_json()["model"] == "demo-sigmoid" else "demo-sigmoid"
    jobs = client.client.application.extensions["clipsearch"].jobs
    with jobs._changed:
        first = client.post(f"{HERE}/models", json={"model": other}).get_json()
        assert client.post(f"{HERE}/models", json={"model": other}).get_json()["id"] == first["id"]
        indexing = client.post(f"{HERE}/jobs", json={"source": str(photos)}).get_json()
    assert finished(client, f"{API}/jobs/{indexing['id']}")["state"] == "done"
    assert finished(client, f"{API}/jobs/{first['id']}")["state"] == "done"
    assert {thread.name for thread in jobs._threads.values()} == {"jobs", "embedding jobs"}
    jobs.stop(20)
