"""The pictures of the README, taken of the page as it is: ``make screenshots`` keeps them in docs/images."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from page_fixtures import search, serving, settled, until
from playwright.sync_api import Browser, Page

from clipsearch.config import read_settings
from clipsearch.demo.picture_book import draw_picture_book
from clipsearch.indexing import index_source
from clipsearch.label_set import LabelSet
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.tagging import tag_collection

pytestmark = pytest.mark.browser

PICTURES = 160
SIZE = (1280, 800)
THINGS = ("ball balloon bicycle bird boat book butterfly car cat chair clock dog fish flower guitar hat house kite "
          "lamp mushroom rocket star teapot train tree umbrella").split()  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("search", "viewer", "labels", "review")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: the folder that is named, else one that is thrown away."""
    named = os.environ.get("CLIPSEARCH_SCREENSHOTS")
    place = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with the picture-book, tagged with what is in it."""
    with tempfile.TemporaryDirectory(prefix="home-") as home:  # its name is in the pictures
        yield from _served(Path(home))


def _served(place: Path) -> Iterator[str]:
    draw_picture_book(place / "Pictures", PICTURES, workers=1)
    settings = read_settings(data_dir=str(place / "data"), model="demo", device="cpu", dtype="float32")
    with Library.open(settings) as library:
        index_source(library, place / "Pictures")
        save_label_set(library, "things", LabelSet.of(((one, [f"a {one}"]) for one in THINGS), ("{}",)))
        tag_collection(library, "things")
        with serving(library) as (found, _):
            yield found


def opened(chromium: Browser, address: str, path: str, scheme: Literal["light", "dark"]) -> Page:
    context = chromium.new_context(
        base_url=address, color_scheme=scheme, reduced_motion="reduce", viewport={"width": SIZE[0], "height": SIZE[1]}
    )
    page = context.new_page()
    page.goto(path)
    return page


def keep(page: Page, folder: Path, name: str) -> None:
    """Take the picture when every image on it is there, and see that something is on it."""
    until(
        page,
        "[...document.images].every((one) => one.complete || one.getBoundingClientRect().top > innerHeight"
        " || one.getClientRects().length === 0)",
    )
    page.wait_for_timeout(300)
    data = page.screenshot(type="jpeg", quality=82)
    page.context.close()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == SIZE
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 5_000
    (folder / f"{name}.jpg").write_bytes(data)


def test_the_search_is_pictured(chromium: Browser, address: str, folder: Path) -> None:
    page = opened(chromium, address, "/", "light")
    settled(page)
    search(page, "red boat at night")
    keep(page, folder, "search")


def test_a_large_result_is_pictured_in_the_dark(chromium: Browser, address: str, folder: Path) -> None:
    page = opened(chromium, address, "/?q=blue+bird", "dark")
    settled(page)
    page.locator("#found .tile a").first.click()
    until(page, "Boolean(document.querySelector('dialog[open] img')?.complete)")
    keep(page, folder, "viewer")


def test_the_label_editor_is_pictured(chromium: Browser, address: str, folder: Path) -> None:
    page = opened(chromium, address, "/labels?set=things", "light")
    until(page, "document.querySelectorAll('.preview-grid li').length > 0")
    keep(page, folder, "labels")


def test_the_review_is_pictured(chromium: Browser, address: str, folder: Path) -> None:
    page = opened(chromium, address, "/review?set=things", "light")
    until(page, "document.images.length > 0")
    keep(page, folder, "review")


def test_the_readme_shows_the_pictures_that_are_taken() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in SHOWN:
        assert f"docs/images/{name}.jpg" in readme
        assert (ROOT / "docs" / "images" / f"{name}.jpg").is_file()
