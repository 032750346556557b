"""The Python client against a real server: every subject, errors as they are here, retries, and uploads in bulk."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from library_fixtures import draw_many, picture
from pydantic import ValidationError
from server_fixtures import Served, served
from web_fixtures import PICTURES, Site, small_site

from clipsearch.answers import RunInfo
from clipsearch.authorizing import create_key
from clipsearch.client import Client, InvalidRequest, NoAnswer, Progress, ServerError
from clipsearch.client import jobs as job_module
from clipsearch.client import transport as transport_module
from clipsearch.client.problems import error_of
from clipsearch.encoder import Encoder
from clipsearch.errors import (
    AlreadyExists,
    Busy,
    ClipSearchError,
    CollectionNotFound,
    ConfigError,
    EmptyText,
    ImageNotFound,
    InvalidInput,
    InvalidKey,
    LabelSetNotFound,
    MissingScope,
    NotAllowed,
    RunNotFound,
    Unauthenticated,
    UnreadableImage,
)
from clipsearch.label_set import Label
from clipsearch.queries import Filters, Query, Term
from clipsearch.searching import search


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("client"), shared_encoder) as site:
        yield site


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Served]:
    with served(site.app) as found:
        yield found


@pytest.fixture
def client(server: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(transport_module, "_FIRST_WAIT", 0.01)
    server.stumbling.mishaps.clear()
    server.stumbling.requests.clear()
    with Client(server.url, retries=3) as found:
        yield found


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


def a_picture(site: Site, number: int) -> Path:
    return sorted(site.photos.iterdir())[number]


# Reading -----------------------------------------------------------------------------------------------------


def test_a_search_answers_as_the_verb_does(site: Site, client: Client) -> None:
    path = a_picture(site, 2)
    number = client.search(path, k=1).hits[0].image.id
    embedding = client.embed(images=[path]).images[0].embedding
    assert isinstance(embedding, list)
    vector = tuple(embedding)
    terms = (
        Term(text="a cat"),
        Term(image=path, weight=0.5),
        Term(image_id=number, weight=-0.25),
        Term(vector=vector, weight=2.0),
    )
    query = Query(terms=terms, k=4, explain=True, filters=Filters(formats=("PNG",), min_width=1), relevance=True)
    told, here = client.search(query), search(site.library, query)
    assert [(hit.image, hit.rank) for hit in told.hits] == [(hit.image, hit.rank) for hit in here.hits]
    assert [hit.score for hit in told.hits] == pytest.approx([hit.score for hit in here.hits], abs=1e-6)
    assert told.hits[0].terms is not None
    several = client.search_many([query, Query(terms=(Term(text="boat"),))])
    assert [hit.image for hit in several[0].hits] == [hit.image for hit in told.hits]
    assert {hit.relevance for hit in several[1].hits} == {None}
    assert number not in {hit.image.id for hit in client.similar(number).hits}
    assert client.search(path.read_bytes(), k=1).hits[0].image.id == number


def test_pictures_and_stored_images_are_classified(site: Site, client: Client) -> None:
    pictures = [a_picture(site, place % PICTURES) for place in range(20)]
    answer = client.classify([*pictures, b"no picture"], labels=["cat", "dog"], mode="multi")
    assert (len(answer.results), len(answer.failed), answer.mode) == (20, 1, "multi")
    stored = client.classify_stored(labels=["cat", "dog"], filters=Filters(formats=("PNG",)))
    assert len(stored.results) == PICTURES
    ids = [one.image_id for one in stored.results if one.image_id is not None][:2]
    assert len(client.classify_stored(labels=["cat", "dog"], image_ids=ids).results) == 2
    assert client.collections.statistics("default").images == PICTURES


def test_embeddings_come_by_collection_and_by_model(client: Client) -> None:
    by_collection = client.embed(["a cat", "a dog"])
    assert len(by_collection.texts) == 2
    assert client.embed(["a cat"], model="demo").model == "demo"
    raw = client.embed(["a cat"], normalized=False).texts[0]
    assert isinstance(raw.embedding, list)
    assert raw.norm == pytest.approx(sum(value**2 for value in raw.embedding) ** 0.5, rel=1e-5)


def test_images_are_listed_page_by_page_and_fetched(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.client.images.PAGE", 4)
    found = list(client.images.all(collection="default"))
    assert len(found) == PICTURES
    oldest = list(client.images.all(collection="default", sort="oldest"))
    assert {one.id for one in oldest} == {one.id for one in found}
    details = client.images.show(found[0].id, collection="default")
    assert details.uri == found[0].uri
    assert client.images.thumbnail(found[0].id, collection="default")[:2] == b"\xff\xd8"
    assert client.images.original(found[0].id, collection="default") == Path(found[0].uri).read_bytes()


# Writing -----------------------------------------------------------------------------------------------------


def test_collections_are_made_renamed_and_deleted(client: Client) -> None:
    client.collections.create("new one")
    with pytest.raises(AlreadyExists):
        client.collections.create("new one")
    client.collections.rename("new one", "other")
    assert "other" in {one.name for one in client.collections.all()}
    assert client.collections.show("other").images == 0
    assert client.collections.failures("other") == []
    client.collections.delete("other")
    with pytest.raises(CollectionNotFound):
        client.collections.show("other")


def test_label_sets_tags_and_reviews_go_round(client: Client) -> None:
    made = client.label_sets.save("things", ["cat", Label(name="dog", prompts=("a dog", "a puppy"))], mode="multi")
    assert [one.name for one in made.labels] == ["cat", "dog"]
    with pytest.raises(AlreadyExists):
        client.label_sets.save("things", ["cat", "dog"], replace=False)
    changed = client.label_sets.set_thresholds("things", min_probability=0.1, labels={"dog": {"min_score": -0.5}})
    assert (changed.min_probability, changed.labels[1].min_score) == (0.1, -0.5)
    assert client.label_sets.show("things", version=1).min_probability is None
    assert len(client.label_sets.versions("things")) == 2
    assert any(one.name == "builtin:scenes" for one in client.label_sets.built_in())
    ids = [one.id for one in client.images.all(collection="default")]
    exampled = client.label_sets.add_examples("things", "cat", image_ids=ids[:1], collection="default")
    exampled = client.label_sets.add_examples("things", "dog", [png(3)], collection="default", words_weight=0.25)
    assert [len(one.examples) for one in exampled.labels] == [1, 1]
    assert client.tags.apply("default", "things").tagged == PICTURES
    assert [one.label_set for one in client.tags.all("default")] == ["things"]
    assert client.tags.counts("default", "things", min_tag_probability=0.0).labels
    entries = list(client.review.entries("default", "things"))
    assert len(entries) == PICTURES
    decided = client.review.decide("default", "things", entries[0].image.id, "correct", ["dog"])
    assert decided.labels == ["dog"]
    assert client.review.queue("default", "things", limit=1).figures.reviewed == 1
    client.tags.remove("default", "things")
    client.label_sets.delete("things")
    with pytest.raises(LabelSetNotFound):
        client.label_sets.show("things")


def test_a_job_is_watched_to_its_end(site: Site, client: Client) -> None:
    draw_many(site.photos, PICTURES)
    run = client.jobs.start("default", str(site.photos))
    told: list[RunInfo] = []
    ended = client.jobs.wait(run.id, told.append)
    assert (ended.state, ended.counts["unchanged"]) == ("done", PICTURES)
    assert told[-1] == ended
    assert len(told) == len({one.model_dump_json() for one in told})
    assert run.id in {one.id for one in client.jobs.all()}
    with pytest.raises(RunNotFound):
        client.jobs.wait(999_999)
    with pytest.raises(NotAllowed):
        client.jobs.start("default", "/etc")


def test_where_no_events_come_a_job_is_asked_for(
    site: Site, client: Client, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "POLL_SECONDS", 0.05)
    run = client.jobs.start("default", str(site.photos))
    server.stumbling.mishaps.append("cut")
    assert client.jobs.wait(run.id).state == "done"
    assert f"GET /api/v1/jobs/{run.id}" in server.stumbling.requests


def test_many_pictures_are_uploaded_at_once_and_a_bad_one_costs_itself(client: Client, tmp_path: Path) -> None:
    client.collections.create("uploads")
    files: list[Path | tuple[str, bytes]] = [*draw_many(tmp_path / "many", 19, start=50)]
    files[7:7] = [("broken.png", b"no picture"), tmp_path / "missing.png", ("bytes.png", png(90))]
    told: list[Progress] = []
    added = client.images.upload(files, collection="uploads", attributes={"album": "one"}, on_progress=told.append)
    outcomes = [one.outcome for one in added.images]
    assert outcomes == ["added"] * 7 + ["failed", "failed", "added"] + ["added"] * 12
    assert [one.error.code for one in added.images if one.error] == ["unsupported_format", "unreadable_file"]
    assert added.images[9].image is not None
    assert added.images[9].image.attributes == {"album": "one"}
    assert told[-1] == Progress(22, 22, 2, told[-1].bytes_sent)
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert client.collections.show("uploads").images == 20
    filtered = client.images.all(collection="uploads", filters=Filters(attributes={"album": "one"}))
    ids = [one.id for one in filtered]
    assert len(ids) == 20
    details = client.images.set_attributes(ids[0], {"album": None, "stars": 5}, collection="uploads")
    assert details.attributes == {"stars": 5}
    client.images.delete(ids[0], collection="uploads")
    assert len(client.images.delete_many(ids[1:], collection="uploads")) == 19
    again = client.images.upload(files[:1], collection="uploads")
    assert [one.outcome for one in again.images] == ["added"]
    client.collections.delete("uploads")


def test_a_further_model_is_added_switched_to_and_removed(site: Site, client: Client) -> None:
    first = site.library.settings.model
    assert {first, "demo"} <= set(client.models.known())
    run = client.models.add("default", "demo")
    assert client.jobs.wait(run.id).state == "done"
    assert list(client.models.missing("default", "demo")) == []
    assert client.jobs.failures(run.id) == []
    assert {one.id for one in client.jobs.all(kind="embed", state=["done"], collection="default")} == {run.id}
    switched = client.models.switch("default", "demo")
    assert (switched.model, switched.previous) == ("demo", first)
    assert client.search("a red square").model == "demo"
    client.models.switch("default", first)
    client.models.remove("default", "demo")
    assert [one.name for one in client.models.of("default").models] == [first]


def test_what_concerns_all_pictures_ends_an_upload(client: Client, server: Served, tmp_path: Path) -> None:
    files = draw_many(tmp_path, 40)
    with pytest.raises(InvalidInput):
        client.images.upload(files, collection="nowhere", attributes={"a:b": 1}, parallel=1)
    assert len(server.stumbling.requests) < 5
    with pytest.raises(InvalidInput):
        client.images.upload(files, collection="default", parallel=0)
    with pytest.raises(NotAllowed):
        client.images.add_urls(["http://127.0.0.1:1/a.png"], collection="default")


@pytest.mark.parametrize("wanted", [True, 5, 2.5, "5", "true", "red", ("Ann", "Bob"), ("Ann",)])
def test_images_are_listed_by_whatever_attribute_a_search_finds_them_by(client: Client, wanted: Any) -> None:
    told = list(wanted) if isinstance(wanted, tuple) else wanted
    first, second, *_ = (one.id for one in client.images.all(collection="default"))
    for number in (first, second):
        client.images.set_attributes(number, {"is": told}, collection="default")
    filters = Filters(attributes={"is": wanted})
    found = {hit.image.id for hit in client.search("a cat", filters=filters).hits}
    assert found == {first, second}
    assert {one.id for one in client.images.all(collection="default", filters=filters)} == found
    for number in (first, second):
        client.images.set_attributes(number, {"is": None}, collection="default")


def test_a_client_of_a_collection_classifies_by_its_model(client: Client, server: Served) -> None:
    with Client(server.url, collection="nowhere") as other:
        with pytest.raises(CollectionNotFound):
            other.classify(png(1), labels=["cat", "dog"])
        assert other.classify(png(1), labels=["cat", "dog"], collection="default").results


def test_an_attribute_that_no_picture_may_have_ends_an_upload(client: Client, server: Served, tmp_path: Path) -> None:
    files = draw_many(tmp_path, 24)
    with pytest.raises(InvalidRequest, match="attribute"):
        client.images.upload(files, collection="default", attributes={"bad:name": 1}, parallel=1)
    assert len(server.stumbling.requests) <= 3  # what had begun by then


# Errors and retries ------------------------------------------------------------------------------------------


def test_errors_are_those_of_the_house(client: Client) -> None:
    with pytest.raises(EmptyText) as empty:
        client.search(" ")
    assert empty.value.details["request_id"]
    with pytest.raises(UnreadableImage):
        client.search(b"no picture")
    with pytest.raises(ImageNotFound):
        client.similar(999_999)
    with pytest.raises(InvalidInput, match="cannot be read"):
        client.search(Path("/there/is/no/such.png"))
    with pytest.raises(InvalidRequest):
        client.images.thumbnail(1, collection="default", size=1)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        client.search("x", k=0)


def _below(kind: type[ClipSearchError]) -> list[type[ClipSearchError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in _below(below))]


@pytest.mark.parametrize("kind", [one for one in _below(ClipSearchError) if one.__module__ == "clipsearch.errors"])
def test_every_code_of_the_house_is_raised_as_itself(kind: type[ClipSearchError]) -> None:
    details = {"retry_after": 2.0, "message": "other", "position": 3}
    body = {"code": kind.code, "detail": "what went wrong", "request_id": "r1", "details": details}
    said = httpx2.Response(400, json=body, headers={"Content-Type": "application/problem+json"})
    error = error_of(said)
    assert type(error) is kind
    assert error.message == "what went wrong"
    assert (error.details["position"], error.details["request_id"]) == (3, "r1")
    if isinstance(error, Busy):
        assert error.retry_after == 2.0


@pytest.mark.parametrize("mishaps", [[503, 503], [429], [502, "cut", 504], ["cut", "cut", "cut"]])
def test_what_passes_is_tried_again(client: Client, server: Served, mishaps: list[Any]) -> None:
    server.stumbling.mishaps.extend(mishaps)
    assert len(client.search("a cat", k=2).hits) == 2
    assert len(server.stumbling.requests) == len(mishaps) + 1


def test_a_write_whose_answer_was_lost_is_done_once(client: Client, server: Served) -> None:
    server.stumbling.mishaps.append("lost")
    assert client.collections.create("once").name == "once"
    assert [one for one in server.stumbling.requests if one.startswith("POST")] == ["POST /api/v1/collections"] * 2
    client.collections.delete("once")


def test_after_the_last_try_the_error_is_told(client: Client, server: Served) -> None:
    server.stumbling.mishaps.extend([503] * 4)
    with pytest.raises(ServerError) as error:
        client.status()
    assert (error.value.status, error.value.told) == (503, "")
    server.stumbling.mishaps.extend(["cut"] * 4)
    with pytest.raises(NoAnswer, match="does not answer"):
        client.status()
    assert client.status().collections


def test_a_server_is_left_alone_for_as_long_as_it_asks(server: Served) -> None:
    server.stumbling.mishaps.append(503)
    server.stumbling.retry_after = "1"
    try:
        with Client(server.url) as client:
            started = time.monotonic()
            client.status()
            assert 1.0 <= time.monotonic() - started < 5.0
            server.stumbling.mishaps.append(503)
            server.stumbling.retry_after = "Wed, 21 Oct 2015 07:28:00 GMT"  # long ago
            client.status()
    finally:
        server.stumbling.retry_after = "0"


def test_what_does_not_pass_is_not_tried_again(client: Client, server: Served) -> None:
    server.stumbling.mishaps.append(500)
    with pytest.raises(ServerError):
        client.status()
    assert len(server.stumbling.requests) == 1


def test_a_busy_server_is_told_of_with_its_seconds(site: Site, server: Served) -> None:
    from clipsearch.web import create_app
    from clipsearch.web.slots import WorkSlots

    slots = WorkSlots(1, 0, wait_seconds=0.05)
    with served(create_app(site.library, search_slots=slots)) as busy, Client(busy.url, retries=0) as client:
        with slots.taken(), pytest.raises(Busy) as error:
            client.search("a cat")
        assert error.value.retry_after >= 1.0
        assert client.search("a cat").hits


def test_a_server_that_asks_for_keys_gives_each_key_what_it_allows(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_site(tmp_path, shared_encoder, require_key="always") as locked, served(locked.app) as found:
        reading = create_key(locked.library, "reader").key
        with Client(found.url) as nobody, pytest.raises(Unauthenticated):
            nobody.status()
        with Client(found.url, key="cs_wrong") as stranger, pytest.raises(InvalidKey):
            stranger.search("a cat")
        with Client(found.url, key=reading) as reader:
            assert reader.search("a cat").hits
            assert reader.embed(["a cat"]).texts
            assert reader.classify(png(1), labels=["cat", "dog"]).results
            with pytest.raises(MissingScope):
                reader.collections.create("new")
        assert len(found.stumbling.requests) == 6


def test_an_answer_of_another_form_is_said(tmp_path: Path) -> None:
    def other(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"hello": 1}']

    with served(other) as found, Client(found.url) as client, pytest.raises(ServerError, match="another form"):
        client.status()


def test_nobody_there_is_said_at_once_with_the_address() -> None:
    with Client("http://127.0.0.1:9", retries=0) as client, pytest.raises(NoAnswer, match=r"127\.0\.0\.1:9"):
        client.status()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://a", "http://", "http://me:secret@host", "http://[::"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Client(url, environ={})


def test_address_and_key_may_come_from_the_environment_and_the_key_is_never_shown(server: Served) -> None:
    environ = {"CLIPSEARCH_URL": server.url, "CLIPSEARCH_KEY": "cs_secret"}
    with Client(environ=environ, retries=0) as client:
        assert server.url in repr(client)
        assert "secret" not in repr(client) + str(vars(client)) + str(vars(client._transport))


def test_importing_the_client_loads_neither_model_nor_web_framework() -> None:
    program = "import sys, clipsearch.client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "flask", "apiflask", "sqlalchemy", "faiss", "PIL", "open_clip", "numpy"} & set(loaded)
