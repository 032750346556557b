"""The page of the API in a real Chromium: readable in light and dark, narrow and wide, without a script of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from web_fixtures import small_site

from clipsearch.encoder import Encoder
from clipsearch.web.serving import Server

pytestmark = pytest.mark.browser

PATH = "/api/v1/docs"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[str]:
    """A site on a port of the loopback."""
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=1) as site:
        server = Server(site.app, site.library, "127.0.0.1", 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.address
        server.stop()
        thread.join()


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """An open page; that the console stayed silent is checked at its end."""
    context = chromium.new_context(base_url=address)
    context.set_default_timeout(20_000)
    opened = context.new_page()
    heard: list[str] = []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.goto(PATH)
    yield opened
    context.close()
    assert heard == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{PATH}?find=search")  # every kind of part, and a page that axe is done with in time
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [320, 768, 1280, 2560])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_operation_is_found_by_words_and_by_its_link(page: Page) -> None:
    page.fill("#find", "similar images")
    page.press("#find", "Enter")
    page.wait_for_url("**find=similar*")
    assert page.locator("article#op-similar").is_visible()
    assert page.locator("article#op-healthz").count() == 0
    page.click("text=Show all")
    page.wait_for_url(f"**{PATH}")
    page.click("summary:has-text('Search')")
    page.click("nav[aria-label=Operations] a[href='#op-search_by_text']")
    assert page.url.endswith("#op-search_by_text")
    assert page.evaluate("document.querySelector('#op-search_by_text').getBoundingClientRect().top") < 200


def test_it_can_be_read_without_javascript(chromium: Browser, address: str) -> None:
    context = chromium.new_context(base_url=address, java_script_enabled=False)
    opened = context.new_page()
    opened.goto(PATH)
    assert opened.locator("article").count() > 30
    assert opened.locator("#op-search_by_text pre").inner_text().startswith("curl ")
    context.close()


def test_the_page_is_linked_from_the_others(page: Page) -> None:
    page.goto("/")
    assert page.locator("footer a[href='/api/v1/docs']").count() == 1
