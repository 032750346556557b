"""The views in a real Chromium with keys of each scope: what a key does not allow is not offered, and told why."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from access_fixtures import Keys, bearer, locked_site, make_keys
from panel_fixtures import Served, Visitor, visitor
from playwright.sync_api import Browser
from web_fixtures import API

from clipsearch.answers.access import NewKey
from clipsearch.encoder import Encoder
from clipsearch.web.serving import Server

pytestmark = pytest.mark.browser


@dataclass
class Locked(Served):
    """A site that answers to keys only, and a key of each scope."""

    keys: Keys


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Locked]:
    with locked_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=3) as site:
        keys = make_keys(site)
        client = site.app.test_client()
        for path, body in (("label-sets", {"name": "pets", "labels": ["cat", "dog"]}),
                           ("collections/default/tags", {"label_set": "pets"})):  # fmt: skip
            answer = client.post(f"{API}/{path}", json=body, headers=bearer(keys.write))
            assert answer.status_code < 300, answer.get_data()
        server = Server(site.app, site.library, "127.0.0.1", 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield Locked(site, server.address, keys)
        server.stop()
        thread.join()


def enter(seen: Visitor, key: NewKey) -> None:
    seen.page.fill("#key", key.key)
    seen.page.press("#key", "Enter")
    seen.page.wait_for_selector("body[data-ready]")


def test_a_key_that_reads_is_offered_nothing_that_writes(chromium: Browser, locked: Locked) -> None:
    with visitor(chromium, locked, "/folders", width=320) as seen:
        enter(seen, locked.keys.read)
        assert "Your key may read only" in seen.page.inner_text("main")
        assert seen.page.locator("#create, #rename, #delete").count() == 0
        for control in ("#source", "#index button[type=submit]", "#upload", "#model"):
            assert seen.page.is_disabled(control)
        seen.wait("!document.querySelector('#models-panel').hidden")
        assert seen.faults() == []
        assert seen.too_wide() == []


def test_a_key_that_reads_looks_at_label_sets_and_leaves_freely(chromium: Browser, locked: Locked) -> None:
    with visitor(chromium, locked, "/labels?set=pets", width=320) as seen:
        enter(seen, locked.keys.read)
        seen.page.wait_for_selector("input.label-name")
        assert seen.page.is_disabled("input.label-name >> nth=0")
        assert "Your key may read only" in seen.page.inner_text("#editor")
        assert seen.page.get_by_role("button", name="Save").count() == 0
        assert seen.page.locator("aside button", has_text="tags").first.is_disabled()
        assert seen.faults() == []
        seen.page.goto("/labels")
        assert seen.page.locator("#new, #import").count() == 0
        assert "Your key may read only" in seen.page.inner_text("#list")


def test_a_key_that_reads_decides_nothing_in_a_review(chromium: Browser, locked: Locked) -> None:
    with visitor(chromium, locked, "/review?set=pets") as seen:
        enter(seen, locked.keys.read)
        seen.page.wait_for_selector(".review")
        assert "Your key may read only" in seen.page.inner_text(".review")
        first = seen.page.inner_text("figcaption")
        seen.page.keyboard.press("Enter")
        seen.page.keyboard.press("1")
        assert seen.page.inner_text("figcaption") == first
        assert seen.page.locator(".answer:enabled").count() == 0
        seen.page.keyboard.press("ArrowRight")
        assert seen.page.inner_text("figcaption") != first
        assert seen.faults() == []


def test_a_key_that_writes_is_offered_no_deleting_of_collections(chromium: Browser, locked: Locked) -> None:
    with visitor(chromium, locked, "/folders") as seen:
        enter(seen, locked.keys.write)
        assert seen.page.is_enabled("#source")
        assert seen.page.is_visible("#create")
        assert seen.page.locator("#delete").count() == 0
    with visitor(chromium, locked, "/folders") as seen:
        enter(seen, locked.keys.admin)
        assert seen.page.is_visible("#delete")
