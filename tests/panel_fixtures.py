"""A served site for the tests of the views beside the search, and a page that heard nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from browser_fixtures import tamper_later
from library_fixtures import draw
from playwright.sync_api import Browser, Error, Page
from web_fixtures import API, Site, small_site

from clipsearch.encoder import Encoder
from clipsearch.web.serving import Server

MARKUP = '"><img src=x onerror=alert(1)>.png'
MARKUP_LABEL = "<b>fish</b>"
WAIT = 10_000
_BEGUN = """!['classify', 'labels', 'review', 'folders'].includes(document.body.dataset.view)
  || document.body.dataset.ready === 'yes'"""


@dataclass
class Served:
    """A site and where it answers."""

    site: Site
    address: str

    def put(self, name: str, labels: list[Any], **rest: Any) -> None:
        """Store a label set."""
        answer = self.site.client.put(f"{API}/label-sets/{name}", json={"labels": labels, **rest})
        assert answer.status_code < 300, answer.get_data()

    def make(self, collection: str) -> None:
        """Make a collection."""
        answer = self.site.client.post(f"{API}/collections", json={"name": collection})
        assert answer.status_code == 201, answer.get_data()

    def tag(self, name: str, labels: list[Any], **rest: Any) -> None:
        """Store a label set and apply it."""
        self.put(name, labels, **rest)
        answer = self.site.client.post(f"{API}/collections/default/tags", json={"label_set": name})
        assert answer.status_code < 300, answer.get_data()

    def get(self, path: str) -> Any:
        """The JSON of an answer."""
        return self.site.client.get(f"{API}{path}").get_json()


@contextmanager
def served_site(folder: Path, encoder: Encoder, *, pictures: int = 24, **settings: Any) -> Iterator[Served]:
    """A site on a port of the loopback; one picture's name is markup, and one file is no picture."""
    with small_site(folder, encoder, pictures=pictures, **settings) as site:
        draw(site.photos / MARKUP, 900)
        (site.photos / "broken.png").write_bytes(b"no picture")
        if site.library.settings.roots:
            job = site.client.post(f"{API}/collections/default/jobs", json={"source": str(site.photos)})
            while site.client.get(job.headers["Location"]).get_json()["state"] in {"queued", "running"}:
                threading.Event().wait(0.02)
        server = Server(site.app, site.library, "127.0.0.1", 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield Served(site, server.address)
        finally:
            server.stop()
            thread.join()


@dataclass
class Visitor:
    """A page of a context of its own, and all that its console and its requests said."""

    page: Page
    address: str
    heard: list[str] = field(default_factory=list)

    def wait(self, expression: str, value: Any = None) -> None:
        """Wait for an expression; Playwright's own wait asks by eval, which the policy of the page forbids."""
        deadline = time.monotonic() + WAIT / 1000
        while not self._holds(expression, value):
            assert time.monotonic() < deadline, (expression, value, self.heard, self.page.inner_html("main")[:6000])
            self.page.wait_for_timeout(20)

    def _holds(self, expression: str, value: Any) -> bool:
        try:
            return bool(self.page.evaluate(expression, value))
        except Error as error:
            if "context was destroyed" in error.message:  # another page is on its way
                return False
            raise

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until the first element of a selector is there and holds a text."""
        self.wait("([selector, text]) => Boolean(document.querySelector(selector)?.textContent.includes(text))",
                  [selector, text])  # fmt: skip

    def too_wide(self) -> list[str]:
        """What reaches beyond the window."""
        found: list[str] = self.page.evaluate(_TOO_WIDE)
        return found

    def faults(self) -> list[str]:
        """What axe objects to."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


@contextmanager
def visitor(
    chromium: Browser, served: Served, path: str, *, silent: bool = True, width: int = 1280, **options: Any
) -> Iterator[Visitor]:
    """A page at ``path``; that nothing was said on its console, and nothing asked elsewhere, is checked at the end."""
    context = chromium.new_context(
        base_url=served.address, viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
    )
    context.set_default_timeout(WAIT)
    page = context.new_page()
    found = Visitor(page, served.address)
    page.on("console", lambda message: found.heard.append(message.text))
    page.on("pageerror", lambda error: found.heard.append(str(error)))
    page.on("request", lambda request: _note_foreign(found, request.url))
    tamper_later(page)
    page.goto(path)
    if options.get("java_script_enabled", True):
        found.wait(_BEGUN)
    yield found
    if silent:
        assert found.heard == []
    context.close()


def _note_foreign(visitor: Visitor, url: str) -> None:
    if not url.startswith((visitor.address, "blob:", "data:")):
        visitor.heard.append(url)


def give(page: Page, selector: str, kind: str, files: list[Path]) -> None:
    """Drop or paste files on an element."""
    page.evaluate(_GIVE, [selector, kind, [[one.name, list(one.read_bytes())] for one in files]])


_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth)
    .map((one) => `${one.tagName}.${one.className}#${one.id}: ${one.textContent.slice(0, 60)}`)"""
_GIVE = """([selector, kind, files]) => {
  const given = new DataTransfer();
  for (const [name, bytes] of files) given.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const event = kind === "drop" ? new DragEvent("drop", { ...options, dataTransfer: given })
                                : new ClipboardEvent("paste", { ...options, clipboardData: given });
  document.querySelector(selector).dispatchEvent(event);
}"""
