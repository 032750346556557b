"""Classifying in a real Chromium: given and stored images, own labels and label sets, and the address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from panel_fixtures import MARKUP, MARKUP_LABEL, Served, Visitor, give, served_site, visitor
from playwright.sync_api import Browser, Route

from clipsearch.encoder import Encoder

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Served]:
    with served_site(tmp_path_factory.mktemp("site"), shared_encoder) as found:
        found.put("pets", ["cat", "dog", MARKUP_LABEL], background=["grass"])
        found.put("strict", ["cat", "dog"], min_score=1)
        yield found


def bars(visitor: Visitor) -> list[str]:
    return visitor.page.locator(".bars .bar-label").all_inner_texts()


def test_chosen_images_are_classified_with_own_labels(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/classify") as seen:
        seen.page.click("#ask button[type=submit]")
        assert "Choose the images" in seen.page.inner_text("#status")
        seen.page.fill("#labels", "cat, dog\n<i>cow</i>")
        seen.page.set_input_files("#files", [served.site.photos / "0001.png", served.site.photos / MARKUP])
        seen.wait("document.querySelectorAll('.classified .bars').length === 2")
        assert seen.page.locator(".classified h2").all_inner_texts() == ["0001.png", MARKUP]
        names = seen.page.locator(".bars").first.locator(".bar-label").all_inner_texts()
        assert sorted(one.split("\n")[0].removesuffix("✓") for one in names) == ["<i>cow</i>", "cat", "dog"]
        shares = seen.page.locator(".bars").first.locator("progress").evaluate_all("all => all.map(one => one.value)")
        assert abs(sum(shares) - 1) < 1e-6
        assert seen.page.locator("img[src=x], i").count() == 0


def test_what_was_chosen_before_the_script_came_is_taken(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/labels") as seen:
        late: list[Route] = []
        seen.page.route("**/static/app.js*", lambda route: late.append(route))  # noqa: PLW0108 - Playwright takes functions only
        seen.page.goto("/classify?label=cat&label=dog", wait_until="commit")
        seen.page.wait_for_selector("#files", state="attached")
        seen.page.set_input_files("#files", served.site.photos / "0001.png")
        seen.wait("true")  # lets Playwright hand out the request
        late[0].continue_()
        seen.page.wait_for_selector(".classified .bars")
        assert seen.page.locator(".classified h2").all_inner_texts() == ["0001.png"]


def test_images_are_dropped_and_pasted(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/classify?label=cat&label=dog") as seen:
        seen.wait_for_text("#results", "Nothing to look at yet")
        give(seen.page, "#zone", "drop", [served.site.photos / "0003.png"])
        seen.wait_for_text(".classified h2", "0003.png")
        give(seen.page, "body", "paste", [served.site.photos / "0004.png"])
        seen.wait("document.querySelectorAll('.classified').length === 2")
        seen.page.click("#chosen li:first-child button")
        assert seen.page.locator("#chosen li").count() == 1


def test_a_rejected_image_says_why(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/classify?set=strict&image=1") as seen:
        seen.wait_for_text(".verdict", "None of them: the score of")
        assert "is below the least score" in seen.page.inner_text(".verdict")


def test_several_sets_look_at_given_and_stored_images_alike(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/classify") as seen:
        seen.page.click("text=Take images of the collection")
        seen.page.locator("#shelf button").first.click()
        seen.page.set_input_files("#files", served.site.photos / "0002.png")
        seen.page.check("input[value=sets]")
        seen.page.check("input[value=pets]")
        assert seen.page.is_enabled("#min_score")
        seen.page.check("input[value='builtin:photo-quality']")
        assert seen.page.is_disabled("#min_score")
        seen.page.click("#ask button[type=submit]")
        seen.wait("document.querySelectorAll('.classified .bars').length === 4")
        assert seen.page.locator(".set-name").all_inner_texts() == ["pets", "builtin:photo-quality"] * 2
        assert any(MARKUP_LABEL in one for one in bars(seen))


def test_the_address_brings_back_what_was_asked(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/classify?label=cat&label=dog&image=1&min_probability=1") as seen:
        seen.wait_for_text(".verdict", "None of them")
        seen.page.fill("#labels", "cow, sheep, goat")
        seen.page.click("text=Advanced") if not seen.page.is_visible("#min_probability") else None
        seen.page.fill("#min_probability", "")
        seen.page.click("#ask button[type=submit]")
        seen.wait_for_text(".bars", "goat")
        assert "label=goat" in seen.page.url
        seen.page.go_back()
        seen.wait("!document.querySelector('.bars')?.textContent.includes('goat')")
        seen.wait("document.querySelector('#labels').value === 'cat\\ndog'")
        seen.wait_for_text(".verdict", "None of them")
        seen.page.go_forward()
        seen.wait_for_text(".bars", "goat")
        seen.page.reload()
        seen.wait_for_text(".bars", "goat")


def test_of_a_link_what_is_still_there_is_classified_and_the_missing_named(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/classify?label=cat&label=dog&image=1&image=99999", silent=False) as seen:
        seen.wait_for_text("#status", "1 image classified")
        assert "Image 99999 is not in default" in seen.page.inner_text("#status")
        assert seen.page.locator(".classified .bars").count() == 1


def test_what_was_given_is_asked_for_after_a_reload(chromium: Browser, served: Served, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    with visitor(chromium, served, "/classify", silent=False) as seen:
        seen.page.fill("#labels", "cat\ndog\ncat")
        seen.page.set_input_files("#files", [served.site.photos / "0001.png", tmp_path / "no.png"])
        seen.wait_for_text("#status", "1 image classified, 1 not")
        assert len(bars(seen)) == 2
        seen.wait("document.querySelectorAll('.classified .no-picture').length === 1")
        assert seen.too_wide() == []
        seen.page.reload()
        seen.wait_for_text("#status", "Give 0001.png, no.png again")


def test_an_error_is_said_with_a_way_out(chromium: Browser, served: Served, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    with visitor(chromium, served, "/classify?label=cat&label=dog", silent=False) as seen:
        seen.page.set_input_files("#files", tmp_path / "no.png")
        seen.wait_for_text(".classified .error", "not an image")
        seen.page.route("**/api/v1/classify", lambda route: route.abort())
        seen.page.click("#ask button[type=submit]")
        seen.wait_for_text("#results .notice", "cannot be reached")
        seen.page.unroute("**/api/v1/classify")
        seen.page.click("#results .notice button")
        seen.wait_for_text(".classified .error", "not an image")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/classify", "/classify?set=pets&set=strict&image=1&image=25&min_score=.1"])
def test_nothing_is_in_the_way_of_anyone(chromium: Browser, served: Served, path: str, scheme: Any) -> None:
    with visitor(chromium, served, path, width=320, color_scheme=scheme) as seen:
        if "image" in path:
            seen.wait("document.querySelectorAll('.classified .bars').length === 4")
        else:
            seen.wait_for_text("#results", "Nothing to look at yet")
        assert seen.faults() == []
        assert seen.too_wide() == []
