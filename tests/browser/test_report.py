"""The report in a real Chromium: narrow and wide, light and dark, nothing fetched, and numbers where they belong."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from report_fixtures import BINS, whole_report

from clipsearch.reports import write_report

pytestmark = pytest.mark.browser

MARKUP = '"><img src=x onerror=alert(1)><b>bold</b>&amp;.png'
LONG = "a_file_name_without_any_place_to_break_IMG_20240811_102233_and_further_still.jpg"
BOX = "one => (({x, y, width, height}) => ({x, y, width, height}))(one.getBBox())"
SMALLEST_TEXT = 10  # pixels of the screen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports that are looked at."""
    folder = tmp_path_factory.mktemp("reports")
    write_report(whole_report(MARKUP), folder / "two.html")
    write_report(whole_report(LONG, sides=1), folder / "long.html")
    write_report(whole_report(sides=1, labels=1000), folder / "many.html")
    return folder


class Looking:
    """One context of the browser; what its pages asked for, and what they said."""

    def __init__(self, context: BrowserContext, folder: Path) -> None:
        self.context, self.folder = context, folder
        self.asked: list[str] = []
        self.heard: list[str] = []

    def at(self, name: str) -> Page:
        page = self.context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.heard.append(message.text))
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("dialog", lambda dialog: self.heard.append(f"dialog: {dialog.message}"))
        page.goto((self.folder / name).as_uri())
        return page

    def check(self) -> None:
        """Only the file itself and what lies within it was asked for, and nothing was said."""
        outside = [url for url in self.asked if not url.startswith("data:")]
        assert outside == [page.url for page in self.context.pages]
        assert self.heard == []


@pytest.fixture(params=[(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")], ids=str)
def looking(chromium: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Looking]:
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened = Looking(context, folder)
    yield opened
    opened.check()
    context.close()


@pytest.mark.parametrize("name", ["two.html", "long.html", "many.html"])
def test_a_report_fits_the_screen_and_its_words_can_be_read(looking: Looking, name: str) -> None:
    page = looking.at(name)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Wider than the screen only within a place that scrolls by itself.
    beyond = page.evaluate("""
        [...document.querySelectorAll('body *')]
            .filter(one => !one.parentElement.closest('.scroll') && one.getBoundingClientRect().right > innerWidth + .5)
            .map(one => one.outerHTML.slice(0, 100))
    """)
    assert beyond == []
    smallest = page.evaluate("""
        Math.min(...[...document.querySelectorAll('p, td, th, dd, dt, li, small, figcaption, summary, svg text')].map(
            one => parseFloat(getComputedStyle(one).fontSize) * (one.closest('svg')?.getScreenCTM().a ?? 1)))
    """)
    assert smallest >= SMALLEST_TEXT


def test_a_report_has_nothing_that_axe_objects_to(looking: Looking) -> None:
    page = looking.at("two.html")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20


def test_markup_in_names_is_shown_as_text(looking: Looking) -> None:
    page = looking.at("two.html")
    assert page.inner_text("h1") == MARKUP
    assert page.title() == MARKUP
    assert MARKUP in page.locator(".mistakes .name").first.inner_text()
    assert page.locator("script").count() == 0
    # All pictures are the thumbnails, and every one is drawn.
    assert page.evaluate("[...document.images].map(one => one.naturalWidth)") == [160] * 6


def test_two_sides_stand_next_to_each_other_where_there_is_room(looking: Looking) -> None:
    page = looking.at("two.html")
    boxes = [one.bounding_box() for one in page.locator(".sides").nth(1).locator(".side").all()]
    first, second = boxes
    assert first is not None
    assert second is not None
    viewport = page.viewport_size
    assert viewport is not None
    if viewport["width"] == 1280:
        assert first["y"] == second["y"]
        assert first["x"] + first["width"] <= second["x"]
    else:
        assert first["x"] == second["x"]
        assert first["y"] + first["height"] <= second["y"]


def test_the_paper_is_light_or_dark_as_wished(looking: Looking, request: pytest.FixtureRequest) -> None:
    page = looking.at("two.html")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", paper)) / 3
    dark = "'dark'" in request.node.name
    assert (brightness < 60) if dark else (brightness > 200)


def test_the_plots_show_the_numbers_they_were_given(looking: Looking) -> None:
    page = looking.at("two.html")
    bars = page.locator(".chart rect.right").evaluate_all(f"all => all.map({BOX})")
    full = [one for one in BINS if one[2]]
    chart = bars[: len(full)]
    frame = page.locator(".chart .diagonal").first.evaluate(BOX)
    for (low, high, _, _, accuracy), bar in zip(full, chart, strict=True):
        assert accuracy is not None
        assert (bar["x"] - frame["x"]) / frame["width"] == pytest.approx(low, abs=1e-4)
        assert bar["width"] / frame["width"] == pytest.approx(high - low, abs=1e-4)
        assert bar["height"] / frame["height"] == pytest.approx(accuracy, abs=1e-4)
    points = page.locator(".chart circle").evaluate_all(
        "all => all.map(one => [one.cx.baseVal.value, one.cy.baseVal.value])"
    )
    said = [(x - frame["x"]) / frame["width"] for x, _ in points[: len(full)]]
    assert said == pytest.approx([one[3] for one in full], abs=1e-4)
    # recall = 1 - threshold in the report that is shown: a falling diagonal from corner to corner
    recall = page.locator("polyline.recall").first.evaluate("one => [...one.points].map(at => [at.x, at.y])")
    across, down = frame["x"] + frame["width"], frame["y"] + frame["height"]
    assert recall[0] == pytest.approx([frame["x"], frame["y"]], abs=0.01)
    assert recall[-1] == pytest.approx([across, down], abs=0.01)
    chosen = page.locator(".chart line.chosen").first.evaluate("one => one.x1.baseVal.value")
    assert (chosen - frame["x"]) / frame["width"] == pytest.approx(0.52, abs=1e-4)


def test_the_matrix_and_its_table_hold_the_same_counts(looking: Looking) -> None:
    page = looking.at("two.html")
    given = whole_report().sides[0].confusion
    assert given is not None
    matrix = page.locator("svg.matrix").first
    drawn = matrix.locator("rect.cell title").evaluate_all("all => all.map(one => one.textContent)")
    counts = [int(found[1].replace(",", "")) for words in drawn if (found := re.search(r": ([\d,]+) images, ", words))]
    assert counts == given.counts.ravel().tolist()
    shades = matrix.locator("rect.cell").evaluate_all("all => all.map(one => +one.getAttribute('fill-opacity'))")
    shares = given.counts / given.counts.sum(axis=1, keepdims=True)
    assert shades == pytest.approx(shares.ravel().tolist(), abs=1e-3)
    rows = (
        page.locator("details table").first.locator("tbody td").evaluate_all("all => all.map(one => +one.textContent)")
    )
    assert rows == counts
