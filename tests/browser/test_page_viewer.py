"""One result, large, in a real Chromium: by pointer and by keyboard, with all that can be done from there."""

from __future__ import annotations

import pytest
from page_fixtures import Book, Windows, page, search, settled, tiles, until, windows
from playwright.sync_api import Page

from clipsearch.label_set import Label, LabelSet
from clipsearch.labelling import save_label_set, show_label_set
from clipsearch.tagging import tag_collection, untag

__all__ = ["page", "windows"]

pytestmark = pytest.mark.browser


def is_open(page: Page) -> bool:
    return page.locator("#viewer[open]").count() == 1


def test_a_result_opens_large_and_back_closes_it(page: Page) -> None:
    search(page, "a boat")
    name = tiles(page)[1]
    page.locator(".tile .open").nth(1).click()
    page.wait_for_selector("#viewer[open]")
    until(page, "location.search.includes('open=')")
    assert page.inner_text("#viewer-name") == name
    until(page, "document.querySelector('#viewer-picture img').naturalWidth > 0")
    page.wait_for_selector("#viewer-more summary")
    facts = page.inner_text("#viewer-facts")
    assert "Format" in facts
    assert "kB" in facts
    assert float(page.locator("#viewer-numbers strong").first.inner_text()) > 0.1
    page.go_back()
    until(page, "!document.querySelector('#viewer').open")
    assert tiles(page)[1] == name
    page.go_forward()
    until(page, "document.querySelector('#viewer').open")
    assert page.inner_text("#viewer-name") == name
    address = page.url
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#viewer').open")
    page.goto(address)
    page.wait_for_selector("#viewer[open]")
    until(page, "name => document.querySelector('#viewer-name').textContent === name", name)
    settled(page)
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#viewer').open && !location.search.includes('open=')")


def test_keys_move_through_the_tiles_open_one_and_close_it(page: Page) -> None:
    search(page, "a dog", everything=True)
    focused = "document.activeElement.closest('li')?.ariaPosInSet"
    page.locator(".tile .open").first.focus()
    for key, place in [("ArrowRight", "2"), ("ArrowRight", "3"), ("ArrowLeft", "2"), ("Home", "1")]:
        page.keyboard.press(key)
        assert page.evaluate(focused) == place
    page.keyboard.press("ArrowDown")
    below = int(page.evaluate(focused))
    assert below > 2
    page.keyboard.press("ArrowUp")
    assert int(page.evaluate(focused)) < below
    for _ in range(7):
        page.keyboard.press("ArrowDown")
    far = page.evaluate(focused)
    assert int(far) > 20
    box = page.evaluate("(({top, bottom}) => [top, bottom])(document.activeElement.getBoundingClientRect())")
    assert box[0] >= 0
    assert box[1] <= 800
    # One tile can be reached by Tab, however many there are.
    assert page.locator("#found .open[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    name = page.inner_text("#viewer-name")
    page.keyboard.press("ArrowRight")
    until(page, "name => document.querySelector('#viewer-name').textContent !== name", name)
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#viewer').open")
    until(page, f"{focused} === '{int(far) + 1}'")


def test_the_focus_stays_in_what_is_open(page: Page) -> None:
    search(page, "a boat")
    page.locator(".tile .open").first.click()
    page.wait_for_selector("#viewer-more summary")
    for _ in range(14):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"
            " || document.querySelector('#viewer').contains(document.activeElement)"
        )
    page.click("#viewer-after")
    until(page, "document.querySelector('#viewer-place').textContent === '2'")
    page.click("#viewer-close")
    until(page, "!document.querySelector('#viewer').open")


def test_similar_images_are_one_click_or_one_key_away(page: Page) -> None:
    search(page, "a boat")
    page.locator(".tile").nth(1).hover()
    page.locator(".tile .similar").nth(1).click()
    until(page, "location.search.includes('similar=')")
    settled(page)
    assert page.input_value("#q") == ""
    assert page.inner_text("#chips .what").startswith("more of image ")
    page.go_back()
    until(page, "document.querySelector('#q').value === 'a boat'")
    settled(page)
    page.locator(".tile .open").first.click()
    page.get_by_role("button", name="Find similar").press("Enter")
    until(page, "location.search.includes('similar=') && !document.querySelector('#viewer').open")
    settled(page)
    assert tiles(page)


def test_more_and_less_of_an_image_are_mixed_in_and_explained(page: Page) -> None:
    search(page, "a boat")
    page.locator(".tile .open").first.click()
    page.get_by_role("button", name="More of this").click()
    until(page, "location.search.includes('term=1%2Cimage%2C')")
    settled(page)
    page.locator(".tile .open").nth(1).click()
    page.wait_for_selector(".contributions li")
    shares = [float(one.replace("−", "-")) for one in page.locator(".contributions .number").all_inner_texts()]
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(float(page.locator("#viewer-numbers strong").first.inner_text()), abs=0.002)
    assert page.locator(".contributions li").first.inner_text().startswith("a boat")
    page.get_by_role("button", name="Less of this").click()
    until(page, "location.search.includes('term=-0.5%2Cimage%2C')")
    settled(page)
    assert page.locator("#chips .chip.less").count() == 1
    page.go_back()
    until(page, "document.querySelector('#viewer').open")


def test_an_image_becomes_an_example_for_a_label(page: Page, book: Book) -> None:
    save_label_set(book.library, "moods", LabelSet(labels=(Label(name="calm"), Label(name="wild/<b>loud</b>"))))
    page.locator(".tile .open").first.click()
    page.click("#viewer-more summary")
    page.select_option("#example-set", "moods")
    page.select_option("#example-label", "wild/<b>loud</b>")
    page.click("text=Use as example >> nth=-1")
    page.wait_for_selector("#toasts .toast")
    assert page.inner_text("#toasts span") == "It stands for “wild/<b>loud</b>” in moods now."
    labels = {one.name: one for one in show_label_set(book.library, "moods").labels}
    assert len(labels["wild/<b>loud</b>"].examples) == 1
    assert labels["calm"].examples == []


def test_the_tags_of_an_image_lead_to_the_others_that_bear_them(page: Page, book: Book) -> None:
    save_label_set(book.library, "things", LabelSet(labels=tuple(Label(name=one) for one in ("dog", "boat", "car"))))
    tag_collection(book.library, "things")
    try:
        search(page, "a boat")
        page.locator(".tile .open").first.click()
        page.wait_for_selector(".tags a")
        assert page.locator(".tags a").first.inner_text().startswith("boat")
        page.locator(".tags a").first.click()
        page.wait_for_url("**tag=things%3Aboat**")
        settled(page)
        page.click("#filters-toggle")
        until(page, "document.querySelectorAll('#filter-tag optgroup').length === 1")
        page.select_option("#filter-tag", "things:dog")
        until(page, "location.search.includes('tag=things%3Adog')")
        settled(page)
        assert page.locator("#active-filters button").count() == 2
    finally:
        untag(book.library, "things")


def test_the_original_is_offered_where_it_may_be_fetched(page: Page, book: Book) -> None:
    search(page, "a boat")
    page.locator(".tile .open").first.click()
    with page.expect_download() as caught:
        page.click("text=Original file")
    assert caught.value.path().stat().st_size > 1_000


def test_near_duplicates_are_shown_once_when_asked_for(windows: Windows) -> None:
    opened = windows.open("/?q=a+dog&all=1")
    settled(opened)
    opened.click("#filters-toggle")
    opened.check("#collapse")
    until(opened, "location.search.includes('collapse=1')")
    settled(opened)
    opened.reload()
    settled(opened)
    assert opened.is_checked("#collapse")
