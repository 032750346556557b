"""The search view in a real Chromium, narrow and wide, light and dark: nothing jumps, overflows or bars anyone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from page_fixtures import SCHEMES, Windows, search, settled, shifts, tiles, until, violations, windows
from playwright.sync_api import Page

__all__ = ["windows"]

pytestmark = pytest.mark.browser

LONG = "a rather long text that goes on, Donaudampfschifffahrtsgesellschaftskapitän, cat"


def start(page: Page) -> None:
    settled(page)


def results(page: Page) -> None:
    search(page, "a dog")


def mixed_and_filtered(page: Page) -> None:
    page.goto(f"/?q=a+dog&term=1,text,{LONG}&term=-0.5,image,3&term=1,picture,lost.jpg&format=JPEG&contains=e")
    page.wait_for_selector(".notice")
    page.goto(f"/?q=a+dog&term=1,text,{LONG}&term=-0.5,image,3&format=JPEG&contains=e&from=2001-01-01&all=1")
    settled(page)
    page.click("#filters-toggle")
    until(page, "document.querySelectorAll('#filter-folder option').length > 1")


def lost_picture(page: Page) -> None:
    page.goto("/?term=1,picture,lost.jpg")
    page.wait_for_selector(".notice")


def large(page: Page) -> None:
    page.goto("/?q=a+dog&term=0.5,text,night")
    settled(page)
    page.locator(".tile .open").first.click()
    page.click("#viewer-more summary")
    page.wait_for_selector(".contributions")


def nothing_found(page: Page) -> None:
    page.goto("/?contains=there-is-no-such-name")
    page.wait_for_selector(".notice")


def nothing_there(page: Page) -> None:
    page.goto("/?collection=empty")
    page.wait_for_selector(".notice")


def failed(page: Page) -> None:
    page.route("**/search", lambda route: route.abort())
    page.goto("/?q=a+dog")
    page.wait_for_selector(".notice")


def waiting(page: Page) -> None:
    page.route("**/search", lambda _route: None)
    page.goto("/?q=a+dog")
    page.wait_for_selector("#pending .skeleton")


STATES = [start, results, mixed_and_filtered, lost_picture, large, nothing_found, nothing_there, failed, waiting]


@pytest.mark.parametrize("state", STATES)
def test_axe_objects_to_nothing_in_light_and_dark(windows: Windows, state: Callable[[Page], None]) -> None:
    page = windows.open(reduced_motion="reduce")
    state(page)
    for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 360)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 700})
        assert violations(page) == [], (scheme, width)
    if state is failed:
        windows.heard.clear()


@pytest.mark.parametrize("width", [320, 768, 1280, 2560])
def test_nothing_is_wider_than_the_window(windows: Windows, width: int) -> None:
    page = windows.open(width=width, height=700)
    for state in (start, results, mixed_and_filtered, large, lost_picture):
        state(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
        beyond = page.evaluate("""[...document.querySelectorAll('body *')].filter((one) => one.checkVisibility()
            && !one.closest('.mix .terms, .unseen, .skip') && one.getBoundingClientRect().right > innerWidth + .5)
            .map((one) => one.outerHTML.slice(0, 100))""")
        assert beyond == [], state


def test_nothing_jumps_on_the_way_through(windows: Windows) -> None:
    for width in (390, 1280):
        page = windows.open(width=width)
        settled(page)
        page.locator("#q").press_sequentially("a dog", delay=30)
        until(page, "location.search.includes('a+dog')")
        settled(page)
        page.wait_for_timeout(600)
        page.evaluate("scrollTo(0, 400)")
        page.wait_for_timeout(600)
        page.locator(".tile .open").first.click()
        page.wait_for_selector("#viewer-more summary")
        page.wait_for_timeout(600)
        page.go_back()
        until(page, "!document.querySelector('#viewer').open")
        page.go_back()
        until(page, "location.search === ''")
        settled(page)
        page.go_forward()
        until(page, "location.search.includes('a+dog')")
        settled(page)
        assert shifts(page) == []
        page.goto("/?q=a+boat&term=-1,text,night")
        settled(page)
        until(page, "document.querySelector('.tile img').naturalWidth > 0")
        assert tiles(page)
        assert shifts(page) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_is_light_or_dark_as_wished(windows: Windows, scheme: Any) -> None:
    page = windows.open(color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(one) for one in paper[4:-1].split(",")) / 3
    assert brightness < 60 if scheme == "dark" else brightness > 200


def test_what_happens_is_read_out(windows: Windows) -> None:
    page = windows.open()
    settled(page)
    assert page.get_attribute("#status", "role") == "status"
    assert page.get_attribute("#toasts", "aria-live") == "polite"
    search(page, "a dog")
    first = page.locator("#found > li").first
    assert first.get_attribute("aria-posinset") == "1"
    name = page.get_by_role("list", name="Images").get_by_role("link").first.inner_text()
    assert "dog" in name
    assert "relevance" in name
    assert page.get_by_role("slider", name="Least score").get_attribute("aria-valuetext") != ""
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur(); document.body.focus()")


def test_one_gets_to_the_results_by_keyboard_alone(windows: Windows) -> None:
    page = windows.open("/?q=a+dog")
    settled(page)
    page.locator(".home").focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className || document.activeElement.id"))
        if reached[-1] == "open":
            break
    assert reached[-1] == "open", reached
    assert "cut-slider" in reached
