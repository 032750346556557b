"""Signing in, in a real Chromium: without JavaScript, on a narrow screen, in light and dark, for everyone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from access_fixtures import locked_site
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from web_fixtures import Site

from clipsearch.authorizing import create_key, revoke_key
from clipsearch.encoder import Encoder
from clipsearch.web.serving import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[tuple[Site, str]]:
    """A site that answers to keys only, on a port of the loopback."""
    with locked_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=2) as site:
        server = Server(site.app, site.library, "127.0.0.1", 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield site, server.address
        server.stop()
        thread.join()


def test_one_signs_in_without_javascript_and_lands_where_one_wanted_to_go(
    chromium: Browser, served: tuple[Site, str]
) -> None:
    site, address = served
    key = create_key(site.library, "<b>mine</b>")
    context = chromium.new_context(java_script_enabled=False, base_url=address)
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto("/?q=a+dog&all=1")
    assert page.url.startswith(f"{address}/sign-in?next=")
    page.fill("#key", "cs_wrong")
    page.click("button")
    assert "no key of this library" in page.inner_text("[role=alert]")
    page.fill("#key", key.key)
    page.press("#key", "Enter")
    page.wait_for_url(f"{address}/?q=a+dog&all=1")
    page.goto("/sign-in")
    assert "<b>mine</b>" in page.inner_text("main")
    revoke_key(site.library, key.prefix)
    page.goto("/")
    assert page.url.startswith(f"{address}/sign-in")
    context.close()


def test_every_view_says_who_is_signed_in_and_lets_one_sign_out(chromium: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    key = create_key(site.library, "a rather long name for a key")
    context = chromium.new_context(base_url=address, viewport={"width": 320, "height": 600}, bypass_csp=True)
    page = context.new_page()
    page.goto("/sign-in")
    page.fill("#key", key.key)
    page.press("#key", "Enter")
    page.wait_for_selector(".who")
    for view in ("/", "/classify", "/labels", "/review", "/folders"):
        page.goto(view)
        assert key.name in (page.get_attribute(".who span", "title") or "")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert Axe().run(page, ".bar").response["violations"] == []
    page.click("text=Sign out")
    page.wait_for_url(f"{address}/sign-in")
    page.goto("/")
    assert page.url.startswith(f"{address}/sign-in")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_for_everyone(
    chromium: Browser, served: tuple[Site, str], scheme: Literal["light", "dark"]
) -> None:
    context = chromium.new_context(
        base_url=served[1], color_scheme=scheme, viewport={"width": 320, "height": 600}, bypass_csp=True
    )
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.goto("/sign-in?next=/labels")
    assert page.evaluate("document.activeElement.id") == "key"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert heard == []
    assert Axe().run(page).response["violations"] == []
    context.close()
