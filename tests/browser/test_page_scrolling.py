"""Thousands of results in a real Chromium that draws in software: few tiles, smooth frames, nothing that jumps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from library_fixtures import picture, unit_rows
from page_fixtures import Windows, allowance, serving, settled, shifts, until
from playwright.sync_api import Browser, Page

from clipsearch.config import read_settings
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import models as model_rows
from clipsearch.database.images import NewImage
from clipsearch.library import Library

pytestmark = pytest.mark.browser

IMAGES = 5_200
PICTURES = 24
SIZES = [(640, 480), (480, 640), (600, 600), (1024, 400), (800, 533), (533, 800), (3000, 500)]
TRIES = 4


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site with thousands of images, which share the thumbnails of a few."""
    folder = tmp_path_factory.mktemp("many")
    settings = read_settings(data_dir=str(folder), model="demo", device="cpu", dtype="float32")
    with Library.open(settings) as library:
        row, _ = library.ensure_collection(None, "demo")
        model = library.encoder("demo").model
        rng = random.Random(5)
        rows = unit_rows(IMAGES, model.dimension)
        images = []
        for place in range(IMAGES):
            which = place % PICTURES
            width, height = SIZES[which % len(SIZES)]
            images.append(NewImage(uri=f"/pictures/{place:05}.jpg", vector=rows[place], content_hash=digest(which),
                                   size=rng.randrange(10**6), width=width, height=height, format="JPEG"))  # fmt: skip
        with library.database.write() as connection:
            kept = model_rows.keep_model(connection, model)
            revision = collection_rows.advance(connection, row.id)
            image_rows.save_images(connection, row.id, revision, kept.id, images)
        for which in range(PICTURES):
            width, height = SIZES[which % len(SIZES)]
            keep_thumbnail(folder, digest(which), picture(which, (320, max(1, round(320 * height / width)))))
        with serving(library) as (address, _):
            yield address


def digest(which: int) -> str:
    return f"{which:064x}"[::-1]


def keep_thumbnail(folder: Path, content: str, image: PIL.Image.Image) -> None:
    """Put it where the server keeps thumbnails: there is no file that it could make one of."""
    path = folder / "thumbnails" / content[:2] / f"{content}-320.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def deep(chromium: Browser, many: str) -> Iterator[Page]:
    """A window with all of them as the results of a search."""
    windows = Windows(chromium, many)
    opened = windows.open("/?q=a+dog&all=1")
    settled(opened)
    yield opened
    windows.close()
    # There is no file to make a large thumbnail of.
    assert {one for one in windows.heard if "404" not in one} == set()


# Slowly, then to the end as fast as frames come, then slowly again: the times between frames, and the most tiles.
SCROLL = """async (all) => {
  tasks.length = 0;
  const frames = [];
  let most = 0, still = 0, end = "";
  await new Promise((done) => {
    let last = performance.now();
    const step = (now) => {
      frames.push(now - last);
      last = now;
      most = Math.max(most, document.querySelectorAll('.tile').length);
      scrollBy(0, frames.length < 60 ? 80 : 900);
      end = document.querySelector('#found').lastChild.ariaPosInSet;
      still = end === all ? still + 1 : 0;
      if (still > 40 || frames.length > 2500) done();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  frames.splice(0, 2);
  const moving = frames.slice(0, -40).sort((one, other) => one - other);
  return { median: moving[moving.length >> 1], frames: moving.length, most, end, longest: Math.max(0, ...tasks) };
}"""


@pytest.mark.alone
def test_five_thousand_results_scroll_smoothly_with_few_tiles_in_the_document(deep: Page) -> None:
    tried = []
    for _ in range(TRIES):
        deep.evaluate("scrollTo(0, 0)")
        deep.wait_for_timeout(300)
        found = deep.evaluate(SCROLL, str(IMAGES))
        assert found["most"] <= 300
        assert found["end"] == str(IMAGES)
        assert found["frames"] > 200
        tried.append((found["longest"], found["median"]))
        if found["longest"] <= 50 and found["median"] < 34:
            break
    # The best of a few: another program may take the processor away from one of them.
    longest, median = min(tried)
    assert longest <= 50 * allowance(), tried
    assert median < 34 * allowance(), tried
    until(deep, "[...document.querySelectorAll('.tile img')].every((one) => one.naturalWidth > 0)")
    assert deep.inner_text("#status") == f"{IMAGES:,} images"
    assert shifts(deep) == []


def test_rows_fill_the_width_and_have_their_places_before_pictures_come(deep: Page) -> None:
    found = deep.evaluate("""() => {
      const list = document.querySelector('#found').getBoundingClientRect();
      const rows = new Map();
      for (const one of document.querySelectorAll('.tile')) {
        const box = one.getBoundingClientRect();
        rows.set(box.top, [...(rows.get(box.top) || []), [box.left - list.left, box.right - list.left, box.height]]);
      }
      return [list.width, [...rows.values()]];
    }""")
    width, rows = found
    assert len(rows) > 3
    for row in rows:
        assert row[0][0] == 0
        assert row[-1][1] == pytest.approx(width, abs=1)
        assert len({round(height) for _, _, height in row}) == 1
        assert all(abs(one[1] + 12 - other[0]) <= 1 for one, other in pairwise(row))
    assert deep.locator(".tile").first.get_attribute("aria-setsize") == "-1"
    assert np.diff(
        [int(one) for one in deep.evaluate("[...document.querySelectorAll('.tile')].map((one) => one.ariaPosInSet)")]
    ).tolist() == [1] * (deep.locator(".tile").count() - 1)


def test_coming_back_shows_the_same_place_again(deep: Page) -> None:
    for _ in range(6):
        deep.evaluate("scrollBy(0, 3000)")
        deep.wait_for_timeout(60)
    place = deep.evaluate("scrollY")
    deep.locator(".tile .open").nth(20).focus()
    name = deep.evaluate("document.activeElement.querySelector('.name').textContent")
    deep.keyboard.press("Enter")
    deep.wait_for_selector("#viewer[open]")
    deep.goto("about:blank")
    deep.go_back()
    until(deep, "document.querySelector('#viewer').open")
    deep.keyboard.press("Escape")
    until(deep, "!document.querySelector('#viewer').open")
    deep.fill("#q", "a boat")
    until(deep, "location.search.includes('boat')")
    settled(deep)
    deep.go_back()
    settled(deep)
    assert name
    assert place > 5_000


def test_a_place_far_down_is_found_again_after_leaving_and_after_a_reload(deep: Page) -> None:
    top = "[...document.querySelectorAll('.tile')].find((one) => one.getBoundingClientRect().bottom > 0).ariaPosInSet"
    until(deep, "(scrollTo(0, document.body.scrollHeight), document.body.scrollHeight > 40000)")
    deep.evaluate("scrollTo(0, 30000)")
    deep.wait_for_timeout(400)
    place = deep.evaluate(top)
    deep.reload()
    settled(deep)
    until(deep, "scrollY === 30000")
    assert deep.evaluate(top) == place
    # Left at once after the last scrolling.
    deep.evaluate("scrollTo(0, 31000)")
    deep.goto("/folders")
    deep.go_back()
    until(deep, "document.querySelector('#found') && scrollY > 29000")
    deep.wait_for_timeout(300)
    deep.locator(".tile .open").nth(30).click()
    deep.wait_for_selector("#viewer[open]")
    until(deep, "document.querySelector('#viewer-place').textContent !== ''")
    number, left = deep.inner_text("#viewer-place"), deep.evaluate("scrollY")
    deep.reload()
    until(deep, "document.querySelector('#viewer').open && document.querySelector('#viewer-place').textContent !== ''")
    assert deep.inner_text("#viewer-place") == number
    assert deep.is_enabled("#viewer-after")
    deep.keyboard.press("Escape")
    until(deep, "!document.querySelector('#viewer').open")
    assert abs(deep.evaluate("scrollY") - left) < 5


def test_a_picture_that_is_missing_leaves_its_name(chromium: Browser, many: str) -> None:
    windows = Windows(chromium, many)
    opened = windows.open("/")
    opened.route("**/thumbnail?**", lambda route: route.abort())
    opened.goto("/?q=a+dog&all=1")
    settled(opened)
    opened.wait_for_selector(".tile .gone")
    assert opened.locator(".tile .name").first.inner_text().endswith(".jpg")
    opened.locator(".tile .open").first.click()
    opened.wait_for_selector("#viewer-picture p")
    windows.close()
