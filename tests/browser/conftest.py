"""What the browser tests share: the picture-book on a server, drawn and indexed once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from page_fixtures import Book, open_book


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """The picture-book; tests leave its images and its collection as they are."""
    with open_book(tmp_path_factory.mktemp("book")) as opened:
        yield opened
