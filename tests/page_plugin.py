"""What tests in a browser share: Chromium, and the picture-book on a server, drawn and indexed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from page_fixtures import Book
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, or a reason why there is none. One a module: Playwright's loop would be in the way of the rest."""
    from browser_fixtures import open_chromium

    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """The picture-book; tests leave its images and its collection as they are."""
    from page_fixtures import open_book  # with Playwright, which the other tests do not load

    with open_book(tmp_path_factory.mktemp("book")) as opened:
        yield opened
