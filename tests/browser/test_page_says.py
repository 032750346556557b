"""The search view in a real Chromium where something is not there: it says so, and never shows another in its place."""

from __future__ import annotations

import pytest
from page_fixtures import Book, Windows, page, search, settled, status, tiles, until, violations, windows
from playwright.sync_api import Page

from clipsearch.inspecting import list_collections

__all__ = ["page", "windows"]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["/", "/classify", "/labels", "/review", "/folders"])
def test_a_collection_that_is_not_there_is_never_another(windows: Windows, book: Book, path: str) -> None:
    for scripts in (True, False):
        opened = windows.open(f"{path}?collection=gone&q=a+dog", scripts=scripts)
        assert opened.inner_text(".notice h1") == "There is no collection “gone”"
        assert opened.locator("main form, main input, #found").count() == 0
        assert opened.locator("#collection option:checked").inner_text() == "gone (not there)"
        opened.get_by_role("link", name="default").click()
        opened.wait_for_url(f"**{path}?collection=default")
        if scripts and path == "/":
            opened.goto(f"{path}?collection=gone")
            assert violations(opened) == []
    assert sorted(one.name for one in list_collections(book.library)) == ["default", "empty"]


def test_a_collection_that_goes_while_it_is_looked_at_is_missed(windows: Windows, book: Book) -> None:
    book.library.create_collection("short")
    page = windows.open("/?collection=short")
    settled(page)
    book.library.delete_collection("short")
    page.fill("#q", "a dog")
    page.wait_for_selector(".notice h2 >> text=There is no collection “short” any more")
    assert page.locator("#message button", has_text="Try again").count() == 0
    page.click("#message a")
    settled(page)
    assert page.input_value("#collection") == "default"
    assert tiles(page)
    # A browser writes every answer that is an error to its console.
    windows.heard.clear()


def test_a_note_can_be_read_and_closed_while_an_image_is_large(windows: Windows) -> None:
    page = windows.open(tampered=True)
    settled(page)
    page.locator(".tile .open").first.click()
    page.wait_for_selector("#viewer-more summary")
    page.route("**/label-sets", lambda route: route.abort())
    page.click("#viewer-more summary")
    page.wait_for_selector("#viewer .toast")
    page.get_by_label("Close", exact=True).last.click(timeout=2_000)
    assert page.locator(".toast").count() == 0
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#viewer').open")
    until(page, "document.querySelector('#toasts').parentElement === document.body")
    windows.heard.clear()


def test_an_image_that_is_not_there_offers_nothing_to_do_with_it(windows: Windows) -> None:
    page = windows.open("/?open=99999")
    until(page, "document.querySelector('#viewer-name').textContent === 'This image is not there'")
    assert page.locator("#viewer-actions *").count() == 0
    assert "no image 99999" in page.inner_text("#viewer-picture")
    assert violations(page) == []
    windows.heard.clear()


def test_a_server_that_stopped_is_no_file_that_is_gone(windows: Windows) -> None:
    page = windows.open(tampered=True)
    settled(page)
    page.route("**/api/**", lambda route: route.abort())
    page.locator(".tile .open").nth(1).click()
    page.wait_for_selector("#viewer-picture p:not(:empty)")
    assert "cannot be reached" in page.inner_text("#viewer-picture")
    assert "gone" not in page.inner_text("#viewer-picture")
    windows.heard.clear()


def test_where_the_filters_leave_nothing_they_are_what_is_taken_away(page: Page) -> None:
    page.goto("/?q=red+boat&format=FOO")
    page.wait_for_selector(".notice h2")
    assert page.locator("#message button.main").inner_text() == "Take away the filters"
    assert page.locator("#message button", has_text="nearest").count() == 0
    assert page.is_disabled("#cut-slider")
    assert page.locator("#cut-bars rect").count() == 0
    page.click("text=Take away the filters")
    until(page, "document.querySelector('.tile .score')")
    assert page.is_enabled("#cut-slider")


def test_an_error_leaves_no_word_of_the_results_before_it(windows: Windows) -> None:
    page = windows.open("/?q=a+dog", tampered=True)
    settled(page)
    assert page.is_visible("#cut-note")
    page.route("**/search", lambda route: route.abort())
    page.fill("#q", "a boat")
    page.wait_for_selector("text=The server does not answer")
    assert not page.is_visible("#cut-note")
    windows.heard.clear()


def test_a_long_word_that_nobody_knows_is_not_repeated_whole(page: Page) -> None:
    search(page, "y" * 3_000)
    assert len(status(page)) < 300
    assert page.evaluate("document.querySelector('#status').offsetHeight") < 120
    page.goto("/?all=1&q=a+dog+" + "y" * 3_000)
    settled(page)
    assert len(status(page)) < 300


def test_the_name_of_a_file_keeps_its_letters(windows: Windows) -> None:
    page = windows.open(tampered=True)
    settled(page)
    page.route("**/search", lambda route: route.fulfill(status=400, json={"detail": "l.json is not JSON"}))
    page.fill("#q", "a dog")
    page.wait_for_selector(".notice p")
    assert page.inner_text(".notice p") == "l.json is not JSON"
    # What the server will never do is not worth another try.
    assert page.locator("#message button").all_inner_texts() == ["Start anew"]
    windows.heard.clear()


def test_what_an_address_cannot_mean_is_told(windows: Windows) -> None:
    page, bare = windows.open(), windows.open(scripts=False)
    for said in ("from=2024-99-99", "term=-1:boat", "sort=bogus", "min_width=99999999"):
        page.goto(f"/?q=a+dog&{said}")
        page.wait_for_selector(".toast")
        assert said in page.inner_text(".toast")
        settled(page)
        assert tiles(page)
        bare.goto(page.url)
        assert bare.locator(".plain .score").count() > 0


def test_typing_with_rests_is_one_step_of_history(page: Page) -> None:
    before = page.evaluate("history.length")
    for word in ("a red", " boat", " at sea"):
        page.locator("#q").press_sequentially(word, delay=30)
        page.wait_for_timeout(300)
        settled(page)
    assert page.evaluate("history.length") == before + 1
