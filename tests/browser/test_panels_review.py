"""The review queue in a real Chromium: by keys alone, by clicks, taken back, to its end, and where it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from panel_fixtures import MARKUP, MARKUP_LABEL, Served, Visitor, served_site, visitor
from playwright.sync_api import Browser

from clipsearch.encoder import Encoder

pytestmark = pytest.mark.browser

IMAGES = 13
PETS = ["cat", "dog", MARKUP_LABEL]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Served]:
    with served_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=IMAGES - 1) as found:
        yield found


def shown(seen: Visitor) -> str:
    return seen.page.inner_text("figcaption")


def guessed(seen: Visitor) -> str:
    return seen.page.inner_text(".guess strong")


def reviewed(seen: Visitor, number: int) -> None:
    seen.wait_for_text("#figures", f"{number} of {IMAGES} reviewed")


def figures(served: Served, name: str) -> Any:
    return served.get(f"/collections/default/review/{name}?limit=1")["figures"]


def kept(seen: Visitor, served: Served, name: str, **wanted: int) -> None:
    """Wait until the server has these figures: the page shows the next image before the answer is there."""
    for _ in range(200):
        if all(figures(served, name)[key] == number for key, number in wanted.items()):
            return
        seen.page.wait_for_timeout(20)
    raise AssertionError((figures(served, name), wanted))


def test_a_queue_is_reviewed_to_its_end_by_keys_alone(chromium: Browser, served: Served) -> None:
    served.tag("keys", PETS)
    with visitor(chromium, served, "/review") as seen:
        seen.page.locator("a[data-open=keys]").focus()
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector(".review")
        assert "set=keys" in seen.page.url
        reviewed(seen, 0)
        seen_names = {shown(seen)}
        for number, key in enumerate(["Enter", " ", "1", "2", "3", "0", "Enter", "s", "Enter", "Enter"], start=1):
            seen.page.keyboard.press(key)
            reviewed(seen, number)
            seen_names.add(shown(seen))
        assert len(seen_names) == 11
        kept(seen, served, "keys", reviewed=10, skipped=1)
        assert seen.page.evaluate("document.activeElement.textContent").startswith("Accept")
        for number in range(11, IMAGES + 1):
            seen.page.keyboard.press("Enter")
            if number < IMAGES:
                reviewed(seen, number)
        seen.wait_for_text("#stage", "All reviewed")
        assert "clipsearch export keys keys --collection default" in seen.page.inner_text("#stage pre")
        kept(seen, served, "keys", reviewed=IMAGES, waiting=0)
        seen.page.keyboard.press("u")
        seen.page.wait_for_selector(".review")
        reviewed(seen, IMAGES - 1)
        kept(seen, served, "keys", reviewed=IMAGES - 1, waiting=1)
        assert MARKUP in seen_names or seen.page.locator("img[src=x], b").count() == 0


def test_a_decision_is_taken_back_and_the_arrows_only_look(chromium: Browser, served: Served) -> None:
    served.tag("back", PETS)
    with visitor(chromium, served, "/review?set=back") as seen:
        seen.page.wait_for_selector(".review")
        first = shown(seen)
        seen.page.keyboard.press("u")
        seen.wait_for_text("#toasts", "nothing to take back")
        seen.page.keyboard.press("ArrowRight")
        second = shown(seen)
        assert second != first
        seen.page.keyboard.press("ArrowLeft")
        assert shown(seen) == first
        assert figures(served, "back")["reviewed"] == 0
        guess = guessed(seen)
        seen.page.keyboard.press(str(PETS.index(next(one for one in PETS if one != guess)) + 1))
        reviewed(seen, 1)
        kept(seen, served, "back", corrected=1)
        assert shown(seen) == second
        seen.page.keyboard.press("Backspace")
        reviewed(seen, 0)
        assert shown(seen) == first
        kept(seen, served, "back", reviewed=0, waiting=IMAGES)


def test_it_works_by_touch(chromium: Browser, served: Served) -> None:
    served.tag("touch", PETS)
    with visitor(chromium, served, "/review?set=touch", width=390, has_touch=True, is_mobile=True) as seen:
        seen.page.wait_for_selector(".review")
        for number, name in enumerate(["Accept", "None of them", "Skip"], start=1):
            seen.page.get_by_role("button", name=name).first.tap()
            reviewed(seen, number)
        seen.page.get_by_role("button", name="Undo").tap()
        reviewed(seen, 2)
        seen.page.locator(".answer", has_text=MARKUP_LABEL).tap()
        reviewed(seen, 3)
        kept(seen, served, "touch", reviewed=3, skipped=0)


def test_several_labels_are_chosen_where_several_may_hold(chromium: Browser, served: Served) -> None:
    served.tag("several", PETS, mode="multi", min_probability=1)
    with visitor(chromium, served, "/review?set=several") as seen:
        seen.page.wait_for_selector(".review")
        image = served.get("/collections/default/review/several?limit=1")["entries"][0]["image"]["id"]
        seen.page.keyboard.press("1")
        seen.page.keyboard.press("3")
        assert seen.page.locator(".answer[aria-pressed=true]").count() == 2
        assert f"It is cat, {MARKUP_LABEL}" in seen.page.inner_text(".big.main")
        seen.page.keyboard.press("Enter")
        kept(seen, served, "several", corrected=1)
        tags = served.get(f"/collections/default/images/{image}")["tags"]
        assert {one["label"] for one in tags if one["label_set"] == "several"} == {"cat", MARKUP_LABEL}


def test_of_many_labels_one_is_found_by_typing(chromium: Browser, served: Served) -> None:
    served.tag("many", [f"thing {number}" for number in range(80)])
    with visitor(chromium, served, "/review?set=many") as seen:
        seen.page.wait_for_selector(".review")
        assert seen.page.locator(".answer").first.locator("span").first.inner_text() == guessed(seen)
        seen.wait_for_text(".answers", "and 20 more")
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("thing 77s")
        assert seen.page.locator(".answer").count() == 0
        seen.page.keyboard.press("Escape")
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("thing 77")
        image = served.get("/collections/default/review/many?limit=1")["entries"][0]["image"]["id"]
        seen.page.keyboard.press("Enter")
        kept(seen, served, "many", reviewed=1)
        tags = served.get(f"/collections/default/images/{image}")["tags"]
        assert [one["label"] for one in tags if one["label_set"] == "many"] == ["thing 77"]


def test_back_and_forward_show_the_sets_and_the_queue(chromium: Browser, served: Served) -> None:
    served.tag("pages", PETS)
    with visitor(chromium, served, "/review") as seen:
        seen.page.click("a[data-open=pages]")
        seen.page.wait_for_selector(".review")
        seen.page.go_back()
        seen.page.wait_for_selector("#taggings h1")
        seen.page.go_forward()
        seen.page.wait_for_selector(".review")
        seen.page.click("#leave")
        seen.page.wait_for_selector("#taggings h1")


def test_what_was_not_kept_comes_back(chromium: Browser, served: Served) -> None:
    served.tag("lost", PETS)
    with visitor(chromium, served, "/review?set=lost", silent=False) as seen:
        seen.page.wait_for_selector(".review")
        first = shown(seen)
        seen.page.route("**/review/lost/*", lambda route: route.abort())
        seen.page.keyboard.press("Enter")
        seen.wait_for_text("#toasts", "cannot be reached")
        reviewed(seen, 0)
        assert shown(seen) == first


def test_tags_that_hold_no_more_are_made_anew(chromium: Browser, served: Served) -> None:
    served.tag("stale", PETS)
    served.put("stale", ["cow", "horse"])
    with visitor(chromium, served, "/review?set=stale", silent=False) as seen:
        seen.wait_for_text("#stage", "The tags have to be made first")
        assert seen.faults() == []
        seen.page.click("text=Tag anew")
        seen.wait_for_text(".answers", "horse")


def test_without_tags_it_says_what_to_do(chromium: Browser, served: Served) -> None:
    served.make("bare")
    with visitor(chromium, served, "/review?collection=bare") as seen:
        seen.wait_for_text("#taggings", "No labels to review in bare")
        assert seen.faults() == []


def test_without_javascript_the_sets_are_listed(chromium: Browser, served: Served) -> None:
    served.tag("listed", PETS)
    with visitor(chromium, served, "/review", java_script_enabled=False) as seen:
        assert "listed" in seen.page.inner_text("#taggings")
        assert f"{IMAGES} of {IMAGES} images tagged" in seen.page.inner_text("#taggings")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_in_the_way_of_anyone(chromium: Browser, served: Served, width: int, scheme: Any) -> None:
    served.tag("looked", PETS)
    with visitor(chromium, served, "/review?set=looked", width=width, color_scheme=scheme) as seen:
        seen.wait("document.querySelector('.review-image')?.naturalWidth > 0")
        assert seen.faults() == []
        assert seen.too_wide() == []
