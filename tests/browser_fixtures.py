"""A real Chromium for tests that look at pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip


def tamper_later(page: Page) -> None:
    """Before a page is opened: a test will have its requests fail. Chromium hands out those of a page that is there
    already a moment after it was told to, and the next one may slip through."""
    page.route("**/asked-for-by-nobody", lambda route: route.abort())


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """The browser; where there is none the test is skipped with the reason, or fails where one is demanded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CLIPSEARCH_REQUIRE_BROWSER") == "1":
            pytest.fail("CLIPSEARCH_REQUIRE_BROWSER is set, and there is no chromium on the PATH")
        pytest.skip("there is no chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
