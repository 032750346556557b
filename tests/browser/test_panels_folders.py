"""Collections, indexing, uploads and failures in a real Chromium, with live progress to the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from library_fixtures import draw, draw_many
from panel_fixtures import MARKUP, Served, give, served_site, visitor
from playwright.sync_api import Browser, Route
from web_fixtures import API

from clipsearch.encoder import Encoder

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Served]:
    with served_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=5) as found:
        draw_many(found.site.photos / "more", 40, start=100)
        draw_many(found.site.photos / "stopped", 40, start=500)
        (found.site.photos / "more" / "<i>broken.png").write_bytes(b"no picture")
        yield found


@pytest.fixture
def slow(served: Served) -> Iterator[threading.Event]:
    """Every batch waits for the event, so that a run can be watched."""
    event = threading.Event()
    encoder: Any = served.site.library._encoders[served.site.library.settings.model]
    usual, encoder.before_encoding = encoder.before_encoding, lambda _count: event.wait(20)
    yield event
    event.set()
    encoder.before_encoding = usual


def test_a_folder_is_indexed_with_live_progress_and_its_failures(
    chromium: Browser, served: Served, slow: threading.Event
) -> None:
    with visitor(chromium, served, "/folders?collection=live", silent=False) as seen:
        # The collection is there from the first run on.
        served.make("live")
        asked: list[str] = []
        seen.page.on("request", lambda request: asked.append(request.url))
        seen.page.goto("/folders?collection=live")
        seen.wait_for_text("#jobs", "Nothing was indexed into this collection yet")
        seen.page.fill("#source", str(served.site.photos / "more"))
        seen.page.press("#source", "Enter")
        seen.wait("document.querySelector('#jobs .job')?.dataset.state === 'running'")
        seen.wait("document.querySelector('#jobs .job progress')?.max === 41")
        slow.set()
        seen.wait("document.querySelector('#jobs .job')?.dataset.state === 'done'")
        assert any(one.endswith("/events") for one in asked)
        assert "40 added" in seen.page.inner_text("#jobs .job")
        seen.wait_for_text("#status", "more: done, 40 added")
        assert "running" not in seen.page.inner_text("#status")
        seen.wait_for_text("#failures", "<i>broken.png")
        assert "not an image" in seen.page.inner_text("#failures")
        assert seen.page.locator("#failures i").count() == 0
        seen.wait_for_text("#summary", "40 images")
        assert seen.faults() == []
        draw(served.site.photos / "more" / "<i>broken.png", 800)
        seen.page.click("#retry")
        seen.wait("document.querySelectorAll('#jobs .job').length === 2")
        seen.wait_for_text("#summary", "41 images")
        seen.wait("document.querySelector('#failures-panel').hidden")


def test_a_run_is_stopped(chromium: Browser, served: Served, slow: threading.Event) -> None:
    served.make("stopped")
    with visitor(chromium, served, "/folders?collection=stopped", silent=False) as seen:
        seen.wait_for_text("#jobs", "Nothing was indexed")
        seen.page.fill("#source", str(served.site.photos / "stopped"))
        seen.page.press("#source", "Enter")
        seen.wait("document.querySelector('#jobs .job')?.dataset.state === 'running'")
        seen.page.get_by_role("button", name="Stop").click()
        seen.wait("document.querySelector('#jobs .job button').disabled")
        slow.set()
        seen.wait("document.querySelector('#jobs .job')?.dataset.state === 'cancelled'")


def test_without_events_the_page_asks_again(chromium: Browser, served: Served) -> None:
    served.make("polled")
    with visitor(chromium, served, "/folders?collection=polled", silent=False) as seen:
        seen.page.route("**/events", lambda route: route.abort())
        seen.wait_for_text("#jobs", "Nothing was indexed")
        seen.page.fill("#source", str(served.site.photos / "more"))
        seen.page.press("#source", "Enter")
        seen.wait("document.querySelector('#jobs .job')?.dataset.state === 'done'")


def test_a_folder_that_may_not_be_read_is_refused_in_words(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/folders", silent=False) as seen:
        seen.wait_for_text("#jobs", "photos")
        seen.page.fill("#source", "/etc")
        seen.page.press("#source", "Enter")
        seen.wait_for_text("#status", "CLIPSEARCH_ROOTS only")


def test_images_are_uploaded_and_told_one_by_one(chromium: Browser, served: Served, tmp_path: Path) -> None:
    files = draw_many(tmp_path, 6, start=300)
    (tmp_path / MARKUP).write_bytes(b"no picture")
    served.make("given")
    with visitor(chromium, served, "/folders?collection=given", silent=False) as seen:
        seen.page.wait_for_selector("#create")
        seen.page.set_input_files("#upload", [*files, tmp_path / MARKUP])
        seen.wait_for_text("#uploads", "6 images added, 1 could not be read")
        assert MARKUP in seen.page.inner_text("#uploads li")
        assert seen.page.locator("img[src=x]").count() == 0
        seen.wait_for_text("#summary", "6 images")
        give(seen.page, "body", "drop", files[:1])
        seen.wait_for_text("#uploads", "there already")
        seen.wait_for_text("#statistics", "PNG")
        assert seen.faults() == []


def test_images_that_the_server_did_not_take_are_not_told_as_unreadable(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    files = draw_many(tmp_path, 6, start=340)
    refusal = {"detail": "this key allows read, and this needs write", "code": "missing_scope"}
    with visitor(chromium, served, "/folders", silent=False) as seen:
        seen.page.wait_for_selector("#create")
        asked: list[str] = []

        def refuse(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(status=403, json=refusal)

        seen.page.route("**/images", refuse)
        seen.page.set_input_files("#upload", files)
        seen.wait_for_text("#uploads", "0 images added, 6 not taken: This key allows read, and this needs write")
        assert "could not be read" not in seen.page.inner_text("#uploads")
        assert len(asked) == 1
        seen.page.unroute("**/images")
        seen.page.route("**/images", lambda route: route.abort())
        seen.page.set_input_files("#upload", files)
        seen.wait_for_text("#uploads", "6 not taken: The server cannot be reached")


def test_a_collection_that_is_not_there_is_said_and_nothing_is_written(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    (picture,) = draw_many(tmp_path, 1, start=390)
    before = served.get("/collections")
    for path in ("/folders", "/classify", "/labels", "/review"):
        with visitor(chromium, served, f"{path}?collection=gone") as seen:
            assert "There is no collection “gone”" in seen.page.inner_text("h1")
            give(seen.page, "body", "drop", [picture])
            assert seen.faults() == []
            seen.page.locator("main a", has_text="default").click()
            seen.page.wait_for_url(f"**{path}?collection=default")
            assert "There is no" not in seen.page.inner_text("main")
    assert served.get("/collections") == before


def test_models_that_cannot_be_shown_are_said_and_asked_for_again(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "about:blank", silent=False) as seen:
        seen.page.route("**/models", lambda route: route.fulfill(status=500, json={"detail": "the disk is full"}))
        seen.page.goto("/folders")
        seen.wait_for_text("#toasts", "The disk is full")
        seen.page.unroute("**/models")
        seen.page.locator("#toasts button", has_text="Try again").first.click()
        seen.wait_for_text("#models", "in use")


def test_collections_are_made_renamed_and_deleted_by_typing(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/folders", silent=False) as seen:
        seen.page.click("text=New collection…")
        seen.page.fill("#new-name", "default")
        seen.page.keyboard.press("Enter")
        seen.wait_for_text("dialog .error", "default")
        assert seen.faults() == []
        seen.page.fill("#new-name", "a <b>new one")
        seen.page.keyboard.press("Enter")
        seen.wait_for_text("h1", "a <b>new one")
        seen.page.click("text=Rename…")
        seen.page.fill("#new-name", "another")
        seen.page.keyboard.press("Enter")
        seen.wait_for_text("h1", "another")
        assert "collection=another" in seen.page.url
        seen.page.click("text=Delete…")
        seen.page.fill("#typed-name", "anothe")
        seen.page.keyboard.press("Enter")
        seen.wait_for_text("dialog .error", "That is not another")
        seen.page.fill("#typed-name", "another")
        seen.page.keyboard.press("Enter")
        seen.wait("!location.search.includes('another')")
        assert served.site.client.get(f"{API}/collections/another").status_code == 404


def test_a_second_model_is_embedded_and_switched_to(chromium: Browser, served: Served, tmp_path: Path) -> None:
    served.make("models")
    with visitor(chromium, served, "/folders?collection=models", silent=False) as seen:
        seen.page.wait_for_selector("#create")
        seen.page.set_input_files("#upload", draw_many(tmp_path, 3, start=700))
        seen.wait_for_text("#summary", "3 images")
        seen.page.fill("#model", "demo")
        seen.page.press("#model", "Enter")
        seen.wait_for_text("#jobs", "Embedding by demo")
        seen.wait("document.querySelector('#jobs .job').dataset.state === 'done'")
        seen.page.locator("#models button:enabled", has_text="Switch to it").click()
        assert seen.faults() == []
        seen.page.click("dialog button.main")
        seen.wait_for_text("#toasts", "Switched")
        assert served.get("/collections/models")["model"] == "demo"


def test_without_roots_it_says_the_command(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder
) -> None:
    with served_site(tmp_path_factory.mktemp("bare"), shared_encoder, pictures=0, roots=()) as bare:
        for script in (True, False):
            with visitor(chromium, bare, "/folders", java_script_enabled=script, silent=False) as seen:
                assert "CLIPSEARCH_ROOTS=~/Pictures clipsearch serve" in seen.page.inner_text("main")
                assert "clipsearch index ~/Pictures --collection default" in seen.page.inner_text("main")
                assert seen.page.locator("#index").count() == 0
        for path in ("/classify", "/labels?new=1", "/review"):
            with visitor(chromium, bare, path, silent=False) as seen:
                seen.wait("[...document.querySelectorAll('h1')].some(one => one.offsetParent)")
                assert seen.faults() == []


def test_without_javascript_runs_and_failures_are_listed(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/folders", java_script_enabled=False) as seen:
        assert "broken.png" in seen.page.inner_text("#failures")
        assert str(served.site.photos) in seen.page.inner_text("#jobs")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 2560])
def test_nothing_is_in_the_way_of_anyone(chromium: Browser, served: Served, width: int, scheme: Any) -> None:
    with visitor(chromium, served, "/folders", width=width, color_scheme=scheme) as seen:
        seen.wait("document.querySelector('#jobs .job')?.dataset.state === 'done'")
        seen.wait(
            "!document.querySelector('#statistics-panel').hidden && !document.querySelector('#models-panel').hidden"
        )
        assert seen.faults() == []
        assert seen.too_wide() == []
