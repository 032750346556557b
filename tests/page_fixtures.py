"""The page for browser tests: the picture-book behind a real server, and windows whose silence is checked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_fixtures import tamper_later
from library_fixtures import draw
from playwright.sync_api import Browser, Page

from clipsearch.config import read_settings
from clipsearch.demo.picture_book import draw_picture_book
from clipsearch.indexing import index_source
from clipsearch.library import Library
from clipsearch.web import create_app
from clipsearch.web.serving import Server

MARKUP = '"><img src=x onerror=alert(1)>.png'
WAIT = 20_000
BOOK = 64
SCHEMES = ("light", "dark")


@dataclass
class Book:
    """The picture-book with its server; ``photos`` holds its pictures and one whose name is markup."""

    library: Library
    address: str
    photos: Path
    app: Any


@contextmanager
def serving(library: Library) -> Iterator[tuple[str, Any]]:
    """A server over this library, on a port of the loopback."""
    app = create_app(library)
    server = Server(app, library, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.address, app
    finally:
        server.stop()
        thread.join()


@contextmanager
def open_book(folder: Path) -> Iterator[Book]:
    """The picture-book in a folder, read by the demo model."""
    photos = folder / "photos"
    draw_picture_book(photos, BOOK, workers=1)
    draw(photos / MARKUP, 900)
    settings = read_settings(
        data_dir=str(folder / "data"), model="demo", device="cpu", dtype="float32", roots=(str(photos),)
    )
    with Library.open(settings) as library:
        index_source(library, photos)
        library.create_collection("empty")
        with serving(library) as (address, app):
            yield Book(library, address, photos, app)


@dataclass
class Windows:
    """Opens windows on a site, and hears what none of them may say: errors, dialogs, requests to elsewhere."""

    browser: Browser
    address: str
    heard: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def open(
        self, path: str = "/", *, width: int = 1280, height: int = 800, scripts: bool = True, tampered: bool = False,
        **options: Any,
    ) -> Page:  # fmt: skip
        """A window of its own; ``tampered``, where requests will be made to fail once it is open."""
        context = self.browser.new_context(
            base_url=self.address, viewport={"width": width, "height": height}, java_script_enabled=scripts, **options
        )
        self.contexts.append(context)
        context.set_default_timeout(WAIT)
        context.add_init_script(LISTEN)
        page = context.new_page()
        page.on("console", lambda message: self.heard.append(message.text))
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("dialog", lambda dialog: self.heard.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.heard.append(request.url) if self.is_foreign(request.url) else None)
        if tampered:
            tamper_later(page)
        page.goto(path)
        return page

    def is_foreign(self, url: str) -> bool:
        return not url.startswith((self.address, "blob:", "data:", "about:"))

    def close(self) -> None:
        for context in self.contexts:
            context.close()


# Layout shifts are gathered from the first paint on: all of them, also those right after a key or a click.
LISTEN = """
  window.shifts = []; window.tasks = [];
  try {
    new PerformanceObserver((list) => {
      for (const one of list.getEntries()) shifts.push({ value: one.value, late: !one.hadRecentInput,
        of: one.sources.map(({ node }) => node && (node.outerHTML || node.textContent).slice(0, 80)) });
    }).observe({ type: "layout-shift", buffered: true });
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
      .observe({ type: "longtask" });
  } catch {}
"""


@pytest.fixture
def windows(chromium: Browser, book: Book) -> Iterator[Windows]:
    """Windows on the picture-book; that all of them stayed silent is checked at the end."""
    opened = Windows(chromium, book.address)
    yield opened
    opened.close()
    assert opened.heard == []


@pytest.fixture
def page(windows: Windows) -> Page:
    """A window with the newest images."""
    opened = windows.open()
    settled(opened)
    return opened


def allowance() -> float:
    """By how much what is timed may take longer here: other programs that run are not the page's fault."""
    return max(1.0, 1.5 * os.getloadavg()[0] / (os.cpu_count() or 1))


def until(page: Page, expression: str, value: Any = None) -> None:
    """Wait for an expression to be true; Playwright's own wait asks by eval, which the page's policy forbids."""
    deadline = time.monotonic() + WAIT / 1000
    while not page.evaluate(expression, value):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def settled(page: Page) -> None:
    """Wait until the page shows what it was asked for."""
    until(
        page,
        "Boolean(document.querySelector('#status').textContent) && document.querySelector('#pending').hidden"
        " && !document.querySelector('#found').hasAttribute('aria-busy')",
    )


def search(page: Page, text: str, *, everything: bool = False) -> None:
    """Look for a text, and wait for its results."""
    page.fill("#q", text)
    page.press("#q", "Enter")
    until(page, "text => document.title.startsWith(text)", text)
    settled(page)
    if everything:
        page.click("#cut-all")
        until(page, "location.search.includes('all=1')")
        settled(page)


def tiles(page: Page) -> list[str]:
    """The names of the images that are shown."""
    return page.locator("#found .tile .name").all_inner_texts()


def status(page: Page) -> str:
    return page.inner_text("#status")


def violations(page: Page) -> list[Any]:
    """What axe objects to, as rule and element."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found]


def shifts(page: Page) -> list[Any]:
    """Every shift of the layout so far that no key or click just before it explains."""
    page.wait_for_timeout(100)
    found: list[Any] = page.evaluate("shifts.filter((one) => one.late)")
    return found
