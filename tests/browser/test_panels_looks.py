"""The views beside the search in a real Chromium, from a phone to a wide window: nothing jumps while they come."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from page_fixtures import LISTEN
from panel_fixtures import Served, Visitor, served_site, visitor
from playwright.sync_api import Browser

from clipsearch.encoder import Encoder

pytestmark = pytest.mark.browser

# A view, and what stands in it once all has come.
VIEWS = {
    "/folders": "!document.querySelector('#statistics-panel').hidden && document.querySelector('#models li')",
    "/classify": "document.querySelector('#results .notice')",
    "/classify?set=pets&image=1&min_score=.1": "document.querySelector('.classified .bars')",
    "/labels": "document.querySelector('body[data-ready]')",
    "/labels?new=1": "document.querySelector('#set-name')",
    "/labels?set=pets": "document.querySelector('.preview-grid li:not(.awaited)')",
    "/review": "document.querySelector('#taggings a')",
    "/review?set=pets": "document.querySelector('.review-image')?.naturalWidth > 0",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Served]:
    with served_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=6) as found:
        found.tag("pets", ["cat", "dog"])
        yield found


def jumps(seen: Visitor) -> float:
    """How much the layout shifted on its own, as browsers count it: the sum of the window that is worst."""
    seen.page.wait_for_timeout(150)
    found: float = seen.page.evaluate("shifts.filter((one) => one.late).reduce((sum, one) => sum + one.value, 0)")
    return found


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_jumps_while_a_view_comes(chromium: Browser, served: Served, width: int) -> None:
    with visitor(chromium, served, "/sign-in", width=width) as seen:
        seen.page.add_init_script(LISTEN)
        found = {}
        for path, shown in VIEWS.items():
            seen.page.goto(path)
            seen.wait(f"Boolean({shown})")
            if (value := jumps(seen)) > 0.01:
                found[path] = (value, seen.page.evaluate("shifts"))
        assert found == {}


def test_a_long_name_of_a_collection_leaves_room(chromium: Browser, served: Served) -> None:
    name = "holiday " * 23
    served.make(name.strip())
    with visitor(chromium, served, f"/folders?collection={name.strip()}", width=320) as seen:
        seen.page.wait_for_selector("#create")
        assert seen.page.locator("h1").bounding_box()["height"] < 80  # type: ignore[index]
        assert seen.too_wide() == []
