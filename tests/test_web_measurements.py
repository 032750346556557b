"""What Prometheus reads at /metrics, and how long a request may take: a real app, its slots and its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from library_fixtures import CountingEncoder, draw_many, index
from prometheus_client.parser import text_string_to_metric_families
from web_fixtures import API, IMAGES, Site, small_site

from clipsearch.encoder import Encoded, Encoder
from clipsearch.errors import Busy, DeadlineExceeded
from clipsearch.stages import StageWatch, begin_watch, check_time, end_watch, stage, time_left
from clipsearch.web import create_app
from clipsearch.web.slots import WorkSlots

HERE = f"{API}/collections/default"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder, request_seconds=20.0) as site:
        yield site


def measured(site: Site) -> Series:
    """Every sample, by its name and labels; the page must be one that Prometheus reads."""
    answer = site.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


def test_requests_are_timed_by_their_template_method_and_status(site: Site) -> None:
    route = "/api/v1/collections/{name}/images/{image_id}"
    before = measured(site)
    for number in (1, 2, 999_999):
        site.client.get(f"{IMAGES}/{number}")
    after = measured(site)
    name = "clipsearch_requests_total"
    found = {status: value(after, name, route=route, method="GET", status=status)
             - value(before, name, route=route, method="GET", status=status) for status in ("200", "404")}  # fmt: skip
    assert found == {"200": 2, "404": 1}
    timed = [value(one, "clipsearch_request_seconds_count", route=route, method="GET") for one in (before, after)]
    assert timed[1] - timed[0] == 3
    assert value(after, "clipsearch_request_seconds_bucket", route=route, method="GET", le="+Inf") >= 3


def test_a_further_status_is_one_more_series(site: Site) -> None:
    """Buckets for each status made the page large, and so did the time at which each series was made."""
    path = f"{HERE}/statistics"
    site.client.get(path)
    before = measured(site)
    site.client.get(path, headers={"Host": "evil.example"})
    more = set(measured(site)) - set(before)
    assert {name for name, _ in more} <= {"clipsearch_requests_total", "clipsearch_rejected_total"}
    assert not [name for name, _ in measured(site) if name.endswith("_created")]


def test_no_request_makes_a_series_of_its_own(site: Site) -> None:
    site.client.get("/nowhere")
    before = len(measured(site))
    for number in range(50):
        site.client.get(f"/nowhere/{number}")
        site.client.get(f"/api/v1/collections/none-{number}")
        site.client.open("/nowhere", method=f"M{number}X")
    # One more set of buckets each for a collection that is missing and for a method that nobody knows.
    assert len(measured(site)) - before <= 80
    text = site.client.get("/metrics").get_data(as_text=True)
    assert "none-1" not in text
    assert "M1X" not in text


def test_models_and_searches_are_timed_apart(site: Site) -> None:
    site.client.get(f"{HERE}/search?text=cat")  # makes the yardstick of the collection
    before = measured(site)
    assert site.client.get(f"{HERE}/search?text=dog").status_code == 200
    assert site.client.get(f"{IMAGES}/1/similar").status_code == 200
    after = measured(site)
    texts = [value(one, "clipsearch_embed_seconds_count", kind="text") for one in (before, after)]
    searches = [value(one, "clipsearch_search_seconds_count") for one in (before, after)]
    assert texts[1] - texts[0] == 1, "a stored image needs no model"
    assert searches[1] - searches[0] == 2
    assert value(after, "clipsearch_embed_seconds_sum", kind="text") > 0


def test_what_was_refused_is_counted_by_its_code(site: Site) -> None:
    def counts() -> tuple[float, float]:
        found = measured(site)
        return (value(found, "clipsearch_rejected_total", reason="cross_site"),
                value(found, "clipsearch_rejected_total", reason="wrong_host"))  # fmt: skip

    before = counts()
    assert site.client.delete(f"{IMAGES}/1", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert site.client.get("/healthz", headers={"Host": "evil.example"}).status_code == 421
    assert [after - one for one, after in zip(before, counts(), strict=True)] == [1, 1]


def test_slots_and_those_who_wait_for_them_are_told(site: Site) -> None:
    slots = WorkSlots(1, 3, wait_seconds=10.0)
    app = create_app(site.library, slots=slots)
    own = Site(site.library, app, app.test_client(), site.photos)
    go_on = threading.Event()

    def work() -> None:
        with slots.taken():
            go_on.wait(10)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 5
        while slots.waiting < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        found = measured(own)
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    told = {name: value(found, f"clipsearch_{name}", kind="pictures")
            for name in ("slots", "slots_in_use", "queue_places", "queue_depth")}  # fmt: skip
    assert told == {"slots": 1, "slots_in_use": 1, "queue_places": 3, "queue_depth": 2}
    assert value(measured(own), "clipsearch_queue_depth", kind="pictures") == 0


def test_each_collection_has_a_series_of_its_own_whatever_its_name_looks_like(
    tmp_path: Path, shared_encoder: Encoder
) -> None:
    with small_site(tmp_path, shared_encoder, pictures=0) as site:
        names = ["password=aaa", "password=bbb"]
        for name in names:
            site.library.create_collection(name)
        told = [line for line in site.client.get("/metrics").text.splitlines() if line.startswith("clipsearch_images{")]
        assert sorted(told) == [f'clipsearch_images{{collection="{name}"}} 0.0' for name in names]


def test_images_runs_and_rows_behind_are_counted(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=3) as site:
        site.library.create_collection('odd "name"\n'.strip())
        site.client.get(f"{HERE}/search?text=dog")
        found = measured(site)
        assert value(found, "clipsearch_images", collection="default") == 3
        assert value(found, "clipsearch_images", collection='odd "name"') == 0
        assert value(found, "clipsearch_jobs", state="done") == 1
        assert value(found, "clipsearch_index_lag_rows", collection="default") == 0
        draw_many(site.photos, 2, start=50)
        index(site.library, site.photos)
        # Another process' view: what this one held stands behind until somebody searches.
        lag = value(measured(site), "clipsearch_index_lag_rows", collection="default")
        site.client.get(f"{HERE}/search?text=dog")
        assert lag in {0, 2}
        assert value(measured(site), "clipsearch_index_lag_rows", collection="default") == 0
        assert value(measured(site), "clipsearch_images", collection="default") == 5


def test_version_and_process_are_told_and_two_apps_share_nothing(site: Site) -> None:
    found = measured(site)
    assert [labels for name, labels in found if name == "clipsearch_build_info"]
    assert value(found, "process_resident_memory_bytes") > 1_000_000
    app = create_app(site.library)
    other = Site(site.library, app, app.test_client(), site.photos)
    assert not [name for name, labels in measured(other) if name == "clipsearch_request_seconds_count"]


def test_a_stage_is_not_begun_when_the_time_is_up() -> None:
    told: list[str] = []
    token = begin_watch(StageWatch(lambda name, seconds: told.append(name), time.monotonic() + 0.05, 0.05))
    try:
        with stage("embed_text"):
            time.sleep(0.1)
        assert time_left() == 0.0
        with pytest.raises(DeadlineExceeded, match=r"within 0\.05 seconds"), stage("search"):
            raise AssertionError("the search was begun")
    finally:
        end_watch(token)
    assert told == ["embed_text"]
    check_time()  # nothing ends a thread that answers nobody


def test_a_request_ends_at_its_deadline_and_says_when_to_come_back(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_site(tmp_path, shared_encoder, request_seconds=0.3) as site:
        encoder = site.library.loaded_encoder(site.library.collection().model_name)
        assert isinstance(encoder, CountingEncoder)
        site.client.get(f"{IMAGES}/1/similar")  # opens the index
        inner = encoder.inner

        def take_long(texts: Sequence[str]) -> Encoded:
            time.sleep(0.5)
            return inner.encode_texts(texts)

        monkeypatch.setattr(encoder, "encode_texts", take_long)
        started = time.monotonic()
        answer = site.client.get(f"{HERE}/search?text=dog")
        assert answer.status_code == 503
        assert answer.get_json()["code"] == "deadline_exceeded"
        assert int(answer.headers["Retry-After"]) >= 1
        assert time.monotonic() - started < 1.3
        assert value(measured(site), "clipsearch_rejected_total", reason="deadline_exceeded") == 1
        assert site.client.get(f"{IMAGES}/1/similar").status_code == 200, "what needs no model is in time"


def test_nobody_waits_for_a_slot_longer_than_his_request_may_take() -> None:
    slots = WorkSlots(1, 5, wait_seconds=30.0)
    with slots.taken():
        token = begin_watch(StageWatch(lambda name, seconds: None, time.monotonic() + 0.1, 0.1))
        started = time.monotonic()
        try:
            with pytest.raises(Busy), slots.taken():
                raise AssertionError("the slot was taken")
        finally:
            end_watch(token)
    assert time.monotonic() - started < 5
    assert (slots.in_use, slots.waiting) == (0, 0)


def test_the_settings_make_the_slots(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=0, work_slots=2, work_queue=0, search_slots=3, search_queue=7,
                    queue_seconds=0.05) as site:  # fmt: skip
        found = measured(site)
        assert value(found, "clipsearch_slots", kind="pictures") == 2
        assert value(found, "clipsearch_queue_places", kind="pictures") == 0
        assert value(found, "clipsearch_slots", kind="searches") == 3
        assert value(found, "clipsearch_queue_places", kind="searches") == 7
