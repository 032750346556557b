"""The picture-book on a server, drawn and indexed once for all tests in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from page_fixtures import Book


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """The picture-book; tests leave its images and its collection as they are."""
    from page_fixtures import open_book  # with Playwright, which the other tests do not load

    with open_book(tmp_path_factory.mktemp("book")) as opened:
        yield opened
