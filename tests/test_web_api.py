"""The API's routes do what they say; every answer is held against the OpenAPI document."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from library_fixtures import draw
from web_fixtures import API, IMAGES, PICTURES, CheckedClient, Site, checked, small_site

from clipsearch.classifying import PictureSource, classify_pictures
from clipsearch.encoder import Encoder
from clipsearch.queries import Labels, Query, Term
from clipsearch.searching import search

HERE = f"{API}/collections/default"


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    """A site that no test changes."""
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder) as site:
        yield site


@pytest.fixture(scope="module")
def client(shared_site: Site) -> CheckedClient:
    return checked(shared_site)


@pytest.fixture
def site(tmp_path: Path, shared_encoder: Encoder) -> Iterator[Site]:
    """A site for one test to change."""
    with small_site(tmp_path, shared_encoder) as site:
        yield site


def upload(path: Path, name: str | None = None) -> tuple[io.BytesIO, str]:
    return io.BytesIO(path.read_bytes()), name or path.name


def hit_ids(answer: Any) -> list[int]:
    return [hit["image"]["id"] for hit in answer.get_json()["hits"]]


def wait_for(client: CheckedClient, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (found := client.get(job).get_json())["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    run: dict[str, Any] = found
    return run


# Collections


def test_collections_are_made_renamed_and_deleted(site: Site) -> None:
    client = checked(site)
    made = client.post(f"{API}/collections", json={"name": "holiday 2024"})
    assert made.status_code == 201
    assert client.get(made.headers["Location"]).get_json()["name"] == "holiday 2024"
    names = [one["name"] for one in client.get(f"{API}/collections").get_json()["collections"]]
    assert names == ["default", "holiday 2024"]
    renamed = client.patch(made.headers["Location"], json={"name": "holiday"})
    assert renamed.get_json()["name"] == "holiday"
    assert client.get(made.headers["Location"]).status_code == 404
    assert client.delete(f"{API}/collections/holiday").status_code == 204
    assert client.get(f"{API}/collections/holiday").get_json()["code"] == "collection_not_found"


def test_a_name_that_is_taken_is_a_conflict(client: CheckedClient) -> None:
    answer = client.post(f"{API}/collections", json={"name": "default"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "already_exists")


def test_a_name_that_cannot_be_a_path_is_refused_for_a_new_and_for_a_renamed_collection(client: CheckedClient) -> None:
    assert client.post(f"{API}/collections", json={"name": "a/b"}).status_code == 400
    assert client.patch(HERE, json={"name": "a/b"}).status_code == 400


def test_a_collection_says_how_it_is_searched(client: CheckedClient) -> None:
    found = client.get(HERE).get_json()
    assert (found["images"], found["index"]["images"]) == (PICTURES, PICTURES)


# Images


def test_images_come_in_pages(client: CheckedClient) -> None:
    first = client.get(f"{IMAGES}?limit=4").get_json()
    rest = client.get(f"{IMAGES}?limit=4&after={first['next']}").get_json()
    assert [one["id"] for one in first["images"] + rest["images"]] == [1, 2, 3, 4, 5, 6]
    assert rest["next"] is None


def test_images_are_filtered(client: CheckedClient, shared_site: Site) -> None:
    def ids(arguments: str) -> list[int]:
        return [one["id"] for one in client.get(f"{IMAGES}?{arguments}").get_json()["images"]]

    assert ids("path_glob=*3.png") == [4]
    assert ids("formats=PNG&formats=JPEG&limit=2") == [1, 2]
    assert ids("formats=JPEG") == []
    assert ids("taken_to=1999-12-31") == []
    assert ids(f"path_prefix={shared_site.photos}&min_width=24&max_height=20") == [1, 2, 3, 4, 5, 6]


def test_an_image_that_was_removed_is_gone_while_its_file_stays(site: Site) -> None:
    client = checked(site)
    assert client.delete(f"{IMAGES}/2").status_code == 204
    assert client.get(f"{IMAGES}/2").get_json()["code"] == "image_not_found"
    assert 2 not in hit_ids(client.get(f"{IMAGES}/1/similar"))
    assert (site.photos / "0001.png").exists()


def test_thumbnails_are_small_jpegs_that_are_made_once(site: Site) -> None:
    draw(site.photos / "large.jpg", 9).write_bytes(_large_jpeg())
    client = checked(site)
    wait_for(client, client.post(f"{HERE}/jobs", json={"source": str(site.photos)}).headers["Location"])
    large = client.get(f"{IMAGES}?path_glob=*large.jpg").get_json()["images"][0]
    for size in (320, 960):
        answer = client.get(f"{IMAGES}/{large['id']}/thumbnail?size={size}")
        assert answer.content_type == "image/jpeg"
        assert max(PIL.Image.open(io.BytesIO(answer.data)).size) == size
    kept = sorted(path.name for path in (site.library.settings.data_dir / "thumbnails").rglob("*.*"))
    assert kept == [f"{large['content_hash']}-320.jpg", f"{large['content_hash']}-960.jpg"]
    (site.photos / "large.jpg").unlink()
    assert client.get(f"{IMAGES}/{large['id']}/thumbnail").status_code == 200


def test_a_damaged_thumbnail_is_made_again(site: Site) -> None:
    fresh = site.client.get(f"{IMAGES}/1/thumbnail").data
    kept = next((site.library.settings.data_dir / "thumbnails").rglob("*.jpg"))
    kept.write_bytes(fresh[: len(fresh) // 2])
    assert site.client.get(f"{IMAGES}/1/thumbnail").data == fresh
    assert kept.read_bytes() == fresh


def test_a_thumbnail_that_the_asker_has_is_not_sent_again(client: CheckedClient) -> None:
    image = client.get(f"{IMAGES}/1").get_json()
    first = client.get(f"{IMAGES}/1/thumbnail")
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(f"{IMAGES}/1/thumbnail", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"{IMAGES}/1/thumbnail?size=960", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    forever = client.get(f"{IMAGES}/1/thumbnail?v={image['content_hash'][:16]}")
    assert "immutable" in forever.headers["Cache-Control"]
    assert "immutable" not in client.get(f"{IMAGES}/1/thumbnail?v=other").headers["Cache-Control"]


def test_an_original_is_the_file_itself_as_an_attachment(client: CheckedClient, shared_site: Site) -> None:
    answer = client.get(f"{IMAGES}/1/original")
    assert answer.data == (shared_site.photos / "0000.png").read_bytes()
    assert answer.content_type == "image/png"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="0000.png"')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(f"{IMAGES}/1/original", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_the_name_of_an_original_cannot_break_its_header(site: Site) -> None:
    draw(site.photos / 'ü"; filename=x.exe\n.png', 20)
    client = checked(site)
    wait_for(client, client.post(f"{HERE}/jobs", json={"source": str(site.photos)}).headers["Location"])
    image = client.get(f"{IMAGES}?path_glob=*filename=x*").get_json()["images"][0]
    header = client.get(f"{IMAGES}/{image['id']}/original").headers["Content-Disposition"]
    assert header.startswith("attachment; filename=\"__; filename=x.exe_.png\"; filename*=UTF-8''%C3%BC%22%3B")


def test_what_changed_or_went_away_since_it_was_indexed_is_not_shown(site: Site) -> None:
    client = checked(site)
    draw(site.photos / "0000.png", 77)
    (site.photos / "0001.png").unlink()
    for number in (1, 2):
        for what in ("thumbnail", "original"):
            answer = client.get(f"{IMAGES}/{number}/{what}")
            assert (answer.status_code, answer.get_json()["code"]) == (404, "image_not_found")


# Search


def test_a_search_prints_the_same_object_as_the_verb(client: CheckedClient, shared_site: Site) -> None:
    answer = client.get(f"{HERE}/search?text=dog&k=3&offset=1").get_json()
    same = search(shared_site.library, Query(terms=(Term(text="dog"),), k=3, offset=1, relevance=True))
    assert answer == json.loads(same.model_dump_json())
    assert [hit["rank"] for hit in answer["hits"]] == [2, 3, 4]


def test_an_image_is_found_by_itself(client: CheckedClient, shared_site: Site) -> None:
    picture = shared_site.photos / "0002.png"
    form = {"image": upload(picture), "k": "2"}
    assert hit_ids(client.post(f"{HERE}/search/image", data=form))[0] == 3
    terms = [{"image": base64.b64encode(picture.read_bytes()).decode()}]
    by_terms = client.post(f"{HERE}/search", json={"terms": terms, "k": 2})
    assert hit_ids(by_terms)[0] == 3
    terms = [{"image": "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()}]
    assert client.post(f"{HERE}/search", json={"terms": terms, "k": 2}).get_json() == by_terms.get_json()


def test_similar_leaves_the_image_itself_out(client: CheckedClient) -> None:
    found = client.get(f"{IMAGES}/3/similar?k=1000")
    assert sorted(hit_ids(found)) == [1, 2, 4, 5, 6]
    by_terms = client.post(f"{HERE}/search", json={"terms": [{"image_id": 3}], "k": 1000})
    assert by_terms.get_json() == found.get_json()


def test_terms_are_weighted_and_filtered(client: CheckedClient) -> None:
    terms = [{"text": "dog"}, {"image_id": 1, "weight": -0.5}, {"vector": [0.1] * 24, "weight": 2}]
    filters = {"path_glob": "*[0-3].png", "formats": ["PNG"], "taken_from": "2001-01-01", "taken_to": "2999-01-01"}
    found = client.post(f"{HERE}/search", json={"terms": terms, "filters": filters, "min_score": -1})
    assert sorted(hit_ids(found)) == [2, 3, 4]


def test_several_searches_in_one_request_answer_as_each_alone(client: CheckedClient) -> None:
    row = [round(0.1 + place / 7, 3) for place in range(24)]
    packed = base64.b64encode(np.array(row, dtype="<f4").tobytes()).decode()
    queries: list[dict[str, Any]] = [
        {"terms": [{"text": "a dog"}], "k": 2},
        {"terms": [{"image_id": 1}, {"vector": row, "weight": 2}], "filters": {"min_width": 1}},
        {"terms": [{"vector": packed}], "k": 3},
        {"terms": [{"text": "a cat"}], "filters": {"min_width": 10_000}},
    ]
    together = client.post(f"{HERE}/search/batch", json={"queries": queries})
    assert together.status_code == 200
    alone = [client.post(f"{HERE}/search", json=query).get_json() for query in queries]
    for one, other in zip(together.get_json()["answers"], alone, strict=True):
        assert [hit["image"] for hit in one["hits"]] == [hit["image"] for hit in other["hits"]]
        assert [hit["score"] for hit in one["hits"]] == pytest.approx([hit["score"] for hit in other["hits"]], abs=1e-5)
        assert {**one, "hits": []} == {**other, "hits": []}


def test_a_query_that_fails_names_its_place_in_the_request(client: CheckedClient) -> None:
    right = {"terms": [{"image_id": 1}]}
    missing = client.post(f"{HERE}/search/batch", json={"queries": [right, {"terms": [{"image_id": 99}]}]})
    assert missing.status_code == 404
    assert missing.get_json()["detail"].startswith("queries[1]: ")
    assert missing.get_json()["details"] == {"query": 1}
    wrong = client.post(f"{HERE}/search/batch", json={"queries": [right, {"terms": [{"image_id": 0}]}]})
    assert (wrong.status_code, wrong.get_json()["details"]["faults"][0]["place"]) == (422, "queries.1.terms.0.image_id")
    for count in (0, 33):
        refused = client.post(f"{HERE}/search/batch", json={"queries": [right] * count})
        assert refused.status_code == 422


def test_a_search_without_an_answer_says_why(client: CheckedClient) -> None:
    found = client.get(f"{HERE}/search?text=dog&min_score=1").get_json()
    assert found["hits"] == []
    assert found["notice"] == "no image reaches the score 1"


def test_every_hit_tells_its_relevance_and_a_cut_may_leave_nothing(client: CheckedClient) -> None:
    whole = client.get(f"{HERE}/search?text=dog").get_json()
    assert all(0 <= hit["relevance"] <= 1 for hit in whole["hits"])
    assert whole["cut"] is None
    untold = client.get(f"{HERE}/search?text=dog&relevance=false").get_json()
    assert {hit["relevance"] for hit in untold["hits"]} == {None}
    body = {"terms": [{"text": "dog"}], "min_relevance": 1.0, "auto_cut": True}
    for found in (client.post(f"{HERE}/search", json=body), client.get(f"{HERE}/search?text=dog&min_relevance=1")):
        answer = found.get_json()
        assert answer["hits"] == []
        assert answer["notice"].startswith("nothing matches")
        assert answer["cut"] == {"min_relevance": 1, "min_score": None, "left_out": True}
    assert client.get(f"{HERE}/search?text=dog&min_relevance=2").status_code == 422


# Classification


def test_uploads_are_classified_as_by_the_verb(client: CheckedClient, shared_site: Site) -> None:
    pictures = [shared_site.photos / "0000.png", shared_site.photos / "0001.png"]
    form = {"image": [upload(one) for one in pictures], "labels": ["cat", "dog"], "top": "2"}
    answer = client.post(f"{API}/classify", data=form).get_json()
    sources = [PictureSource(one.name, one) for one in pictures]
    same = classify_pictures(shared_site.library, sources, Labels(labels=("cat", "dog")), top=2)
    assert answer == json.loads(same.model_dump_json())


def test_images_in_base64_are_classified_alike(client: CheckedClient, shared_site: Site) -> None:
    picture = shared_site.photos / "0000.png"
    form = client.post(f"{API}/classify", data={"image": upload(picture), "labels": ["cat", "dog"]}).get_json()
    images = [base64.b64encode(picture.read_bytes()).decode()]
    body = client.post(f"{API}/classify", json={"images": images, "labels": ["cat", "dog"]}).get_json()
    assert body["results"][0]["predictions"] == form["results"][0]["predictions"]


def test_an_upload_that_is_no_image_costs_only_itself(client: CheckedClient, shared_site: Site) -> None:
    form = {"image": [upload(shared_site.photos / "0000.png"), (io.BytesIO(b"no image"), "notes.txt")],
            "labels": ["cat", "dog"]}  # fmt: skip
    answer = client.post(f"{API}/classify", data=form).get_json()
    assert [one["uri"] for one in answer["results"]] == ["0000.png"]
    assert [(one["uri"], one["code"]) for one in answer["failed"]] == [("notes.txt", "unsupported_format")]


def test_a_thousand_labels_fit_into_a_form(client: CheckedClient, shared_site: Site) -> None:
    labels = [f"thing number {number} with a name of some length" for number in range(1000)]
    form = {"image": upload(shared_site.photos / "0000.png"), "labels": labels[:300], "top": "300"}
    assert len(client.post(f"{API}/classify", data=form).get_json()["results"][0]["predictions"]) == 300
    too_many = {"image": upload(shared_site.photos / "0000.png"), "labels": [*labels, "one more"]}
    answer = client.post(f"{API}/classify", data=too_many)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_request")


def test_stored_images_are_classified_in_pages(client: CheckedClient) -> None:
    body = {"labels": ["cat", "dog"], "limit": 4}
    first = client.post(f"{HERE}/classify", json=body).get_json()
    rest = client.post(f"{HERE}/classify", json=body | {"after": first["next"]}).get_json()
    assert [one["image_id"] for one in first["results"] + rest["results"]] == [1, 2, 3, 4, 5, 6]
    assert rest["next"] is None
    chosen = client.post(f"{HERE}/classify", json={"labels": ["cat", "dog"], "image_ids": [5, 2]}).get_json()
    assert [one["image_id"] for one in chosen["results"]] == [5, 2]
    filtered = client.post(f"{HERE}/classify", json={"labels": ["cat", "dog"], "filters": {"path_glob": "*4.png"}})
    assert [one["image_id"] for one in filtered.get_json()["results"]] == [5]


def test_label_sets_are_made_used_replaced_and_deleted(site: Site) -> None:
    client = checked(site)
    body = {"name": "animals", "labels": ["cat", {"name": "dog", "prompts": ["dog", "puppy"]}],
            "templates": ["a drawing of a {}"]}  # fmt: skip
    made = client.post(f"{API}/label-sets", json=body)
    assert made.status_code == 201
    here = made.headers["Location"]
    assert client.get(here).get_json() == made.get_json()
    assert client.post(f"{API}/label-sets", json=body).status_code == 409
    picture: dict[str, Any] = {"image": upload(site.photos / "0000.png")}
    by_path = client.post(f"{here}/classify", data=picture).get_json()
    picture = {"image": upload(site.photos / "0000.png"), "label_set": "animals"}
    assert client.post(f"{API}/classify", data=picture).get_json() == by_path
    assert by_path["label_set_version"] == 1
    replaced = client.put(here, json={"labels": ["cow", "horse"]})
    assert (replaced.status_code, replaced.get_json()["version"]) == (200, 2)
    assert client.put(f"{API}/label-sets/new", json={"labels": ["a", "b"]}).status_code == 201
    assert [one["name"] for one in client.get(f"{API}/label-sets").get_json()["label_sets"]] == ["animals", "new"]
    assert client.delete(here).status_code == 204
    assert client.get(here).get_json()["code"] == "label_set_not_found"
    assert client.put(f"{API}/label-sets/one", json={"labels": ["alone"]}).get_json()["code"] == "invalid_label_set"


# Jobs, status


def test_a_job_indexes_a_folder_into_a_collection_of_its_own(site: Site) -> None:
    client = checked(site)
    draw(site.photos / "trip" / "new.png", 50)
    (site.photos / "trip" / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    started = client.post(f"{API}/collections/trip/jobs", json={"source": str(site.photos / "trip")})
    assert started.status_code == 202
    run = wait_for(client, started.headers["Location"])
    assert (run["state"], run["done"], run["total"], run["counts"]["added"]) == ("done", 2, 2, 1)
    assert len(hit_ids(client.get(f"{API}/collections/trip/search?text=dog"))) == 1
    assert client.get(f"{API}/jobs").get_json()["jobs"][0] == run
    failures = client.get(f"{API}/collections/trip/failures").get_json()
    assert failures["total"] == 1
    assert failures["failures"][0]["uri"].endswith("broken.jpg")
    assert client.get(f"{API}/collections/trip/failures?offset=1").get_json()["failures"] == []


def test_a_job_over_what_is_not_there_is_refused_and_leaves_no_collection(site: Site) -> None:
    client = checked(site)
    body = {"source": str(site.photos / "nowhere")}
    for name in ("default", "typo"):
        refused = client.post(f"{API}/collections/{name}/jobs", json=body)
        assert (refused.status_code, refused.get_json()["code"]) == (404, "source_not_found")
        assert "nowhere" in refused.get_json()["detail"]
    assert client.get(f"{API}/collections/typo").status_code == 404
    gone = client.post(f"{HERE}/jobs", json=body | {"allow_empty": True})
    assert wait_for(client, gone.headers["Location"])["state"] == "done"


def test_a_job_that_cannot_get_its_model_leaves_no_collection_and_tells_why(site: Site, tmp_path: Path) -> None:
    client = checked(site)
    name = site.library.settings.model
    encoder = site.library._encoders.pop(name)
    Path(name).rename(hidden := tmp_path / "elsewhere")
    try:
        new, old = (
            client.post(f"{API}/collections/{one}/jobs", json={"source": str(draw(site.photos / one / "a.png", seed))})
            for one, seed in (("new", 80), ("default", 81))
        )
        runs = [wait_for(client, one.headers["Location"]) for one in (new, old)]
    finally:
        hidden.rename(name)
        site.library._encoders[name] = encoder
    assert [one["state"] for one in runs] == ["failed", "failed"]
    assert all(name in one["error"] for one in runs)
    deadline = time.monotonic() + 20
    while client.get(f"{API}/collections/new").status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert client.get(new.headers["Location"]).get_json()["error"] == runs[0]["error"]
    assert client.get(HERE).status_code == 200


def test_a_job_that_waits_can_be_cancelled(site: Site) -> None:
    client = checked(site)
    with site.library.lease(site.library.collection(), "the test"):
        pass
    encoder = site.library.encoder(site.library.settings.model)
    release = _hold(encoder)
    try:
        draw(site.photos / "first" / "a.png", 60)
        draw(site.photos / "second" / "b.png", 61)
        first = client.post(f"{HERE}/jobs", json={"source": str(site.photos / "first")}).headers["Location"]
        second = client.post(f"{HERE}/jobs", json={"source": str(site.photos / "second")}).headers["Location"]
        assert client.post(f"{second}/cancel").get_json()["state"] == "cancelled"
    finally:
        release()
    assert wait_for(client, first)["state"] == "done"
    assert wait_for(client, second)["state"] == "cancelled"
    assert client.get(f"{IMAGES}?path_glob=*b.png").get_json()["images"] == []


def test_the_queue_of_jobs_is_bounded(site: Site) -> None:
    client = checked(site)
    release = _hold(site.library.encoder(site.library.settings.model))
    try:
        draw(site.photos / "more" / "a.png", 70)
        answers = [client.post(f"{HERE}/jobs", json={"source": str(site.photos / "more")}) for _ in range(20)]
    finally:
        release()
    refused = [one for one in answers if one.status_code == 503]
    assert len(refused) in {3, 4}  # the first may be taken from the queue already
    assert refused[0].get_json()["code"] == "busy"
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert wait_for(client, answers[0].headers["Location"])["state"] == "done"


def test_status_tells_what_there_is(client: CheckedClient, shared_site: Site) -> None:
    found = client.get(f"{API}/status").get_json()
    assert [one["images"] for one in found["collections"]] == [PICTURES]
    assert found["models"][0]["name"] == shared_site.library.settings.model


def test_the_server_is_alive_and_soon_ready(site: Site) -> None:
    client = checked(site)
    assert client.get("/healthz").get_json() == {"alive": True}
    deadline = time.monotonic() + 20
    while (answer := client.get("/readyz")).status_code == 503:
        assert time.monotonic() < deadline, answer.get_json()
        time.sleep(0.02)
    assert answer.get_json() == {"ready": True, "database": "ok", "model": "ok", "index": "ok"}


def test_a_site_whose_model_is_not_there_says_so_and_still_shows_its_images(site: Site, tmp_path: Path) -> None:
    name = site.library.settings.model
    del site.library._encoders[name]
    Path(name).rename(hidden := tmp_path / "elsewhere")
    try:
        client = checked(site)
        deadline = time.monotonic() + 20
        while "being loaded" in (answer := client.get("/readyz")).get_json()["model"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answer.status_code == 503
        assert name in answer.get_json()["model"]
        assert client.get(f"{HERE}/search?text=dog").status_code in {404, 503}
        assert client.get(f"{IMAGES}/1/thumbnail").status_code == 200
        assert client.get(f"{IMAGES}/1/similar").status_code == 200
        assert site.client.get("/?q=dog").status_code == 200
    finally:
        hidden.rename(name)


def _large_jpeg() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (1200, 800), "teal").save(file, "JPEG")
    return file.getvalue()


def _hold(encoder: Any) -> Any:
    """Keep the encoder from encoding until what is given back is called."""
    import threading

    gate = threading.Event()
    encoder.before_encoding = lambda _count: gate.wait(20)
    return gate.set
