"""The label editor in a real Chromium: preview while one types, saving, versions, examples, files, tags."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from panel_fixtures import MARKUP_LABEL, Served, Visitor, give, served_site, visitor
from playwright.sync_api import Browser
from web_fixtures import API

from clipsearch.encoder import Encoder

pytestmark = pytest.mark.browser

PICTURES = 25


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Served]:
    with served_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=PICTURES - 1) as found:
        yield found


def previewed(seen: Visitor) -> None:
    """Wait until the preview shows what was typed last."""
    seen.wait(
        "document.querySelectorAll('.preview-grid li:not(.awaited)').length > 0 "
        "&& !document.querySelector('.preview-grid.waiting')"
    )


def labels_of(seen: Visitor) -> list[str]:
    return [one.input_value() for one in seen.page.locator("input.label-name").all()]


def press(seen: Visitor, name: str) -> None:
    """Press a button, of the dialog where one is open."""
    place = seen.page.locator("dialog" if seen.page.locator("dialog[open]").count() else "body")
    place.get_by_role("button", name=name, exact=True).click()


def toast(seen: Visitor, text: str) -> None:
    seen.wait_for_text("#toasts", text)


def test_a_set_is_made_with_a_preview_on_ones_own_images(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/labels") as seen:
        seen.page.click("#new")
        assert "new=1" in seen.page.url
        seen.page.fill("#set-name", "fresh")
        seen.page.fill("#add-labels", f"cat, dog, {MARKUP_LABEL}")
        seen.page.press("#add-labels", "Enter")
        previewed(seen)
        assert seen.page.locator(".preview-grid li").count() == min(24, PICTURES)
        told = seen.page.locator(".label-head .hint").all_inner_texts()
        assert sum(int(one.split()[0]) for one in told) == PICTURES
        assert seen.page.locator(".label-card").first.locator(".best li").count() == 8
        seen.page.fill("#add-labels", "cow")
        press(seen, "Add")
        seen.wait("document.querySelectorAll('.label-card:last-child .best li:not(.awaited)').length === 8")
        press(seen, "Save")
        toast(seen, "Saved fresh")
        seen.wait("location.search.includes('set=fresh')")
        assert [one["name"] for one in served.get("/label-sets/fresh")["labels"]] == ["cat", "dog", MARKUP_LABEL, "cow"]
        assert seen.page.locator("b").count() == 0
        seen.page.go_back()
        seen.page.wait_for_selector("#list h1")


def test_what_is_typed_is_previewed_and_saved_as_a_version(chromium: Browser, served: Served) -> None:
    served.put("typed", ["cat", "dog"])
    with visitor(chromium, served, "/labels?set=typed") as seen:
        previewed(seen)
        card = seen.page.locator(".label-card").first
        card.locator("textarea").first.fill("a striped cat\na kitten")
        seen.page.select_option("#mode", "multi")
        seen.page.fill("#background", "grass")
        card.locator("summary").click()
        card.get_by_label("Category").fill("animal")
        card.get_by_label("Least probability").fill("0.99")
        seen.wait("[...document.querySelectorAll('.editor-status')].some(one => one.textContent === 'Not saved yet')")
        seen.page.locator(".label-card").nth(1).get_by_label("Move up dog").click()
        press(seen, "Save")
        toast(seen, "Saved as version 2")
        found = served.get("/label-sets/typed")
        assert [one["name"] for one in found["labels"]] == ["dog", "cat"]
        assert found["labels"][1]["prompts"] == ["a striped cat", "a kitten"]
        assert (found["labels"][1]["category"], found["labels"][1]["min_probability"]) == ("animal", 0.99)
        assert (found["mode"], found["background"]) == ("multi", ["grass"])
        press(seen, "History")
        seen.page.click("dialog >> text=Version 1")
        seen.wait("location.search.includes('version=1')")
        seen.wait_for_text("#editor header .main", "Bring version 1 back")
        assert labels_of(seen) == ["cat", "dog"]
        press(seen, "Bring version 1 back")
        toast(seen, "Saved as version 3")
        assert [one["name"] for one in served.get("/label-sets/typed")["labels"]] == ["cat", "dog"]


def test_what_cannot_be_saved_says_why(chromium: Browser, served: Served) -> None:
    served.put("taken", ["cat", "dog"])
    with visitor(chromium, served, "/labels?new=1", silent=False) as seen:
        seen.wait_for_text(".editor-status", "Give the first labels")
        seen.page.fill("#add-labels", "cat")
        seen.page.press("#add-labels", "Enter")
        seen.wait_for_text(".editor-status", "One label alone")
        seen.page.fill("#add-labels", "dog")
        seen.page.press("#add-labels", "Enter")
        press(seen, "Save")
        toast(seen, "Give the label set a name")
        seen.page.fill("#set-name", "cats/dogs")
        seen.wait_for_text(".editor-status", "has no slashes")
        assert seen.page.is_disabled("#editor header .main")
        seen.page.fill("#set-name", "taken")
        press(seen, "Save")
        toast(seen, "There is a label set taken already")
        seen.page.locator("input.label-name").first.fill("dog")
        seen.wait_for_text(".editor-status", "The label dog stands twice")


def test_going_away_and_back_keeps_what_was_not_saved(chromium: Browser, served: Served) -> None:
    served.put("kept", ["cat", "dog"])
    with visitor(chromium, served, "/labels") as seen:
        seen.page.reload()
        # Before its module listens the link is one to another page, which what was typed keeps one on.
        seen.page.wait_for_selector("body[data-ready]")
        seen.page.click("a[data-open=kept]")
        seen.page.wait_for_selector("input.label-name")
        seen.page.locator("input.label-name").first.fill("tiger")
        seen.wait_for_text(".editor-status", "Not saved yet")
        seen.page.go_back()
        seen.page.wait_for_selector("#list h1")
        seen.page.go_forward()
        seen.page.wait_for_selector("input.label-name")
        assert labels_of(seen) == ["tiger", "dog"]


def test_what_someone_else_saved_is_not_overwritten_silently(chromium: Browser, served: Served) -> None:
    served.put("shared", ["cat", "dog"])
    with visitor(chromium, served, "/labels?set=shared") as seen:
        seen.page.wait_for_selector("input.label-name")
        served.put("shared", ["cat", "dog", "horse"])
        seen.page.locator("input.label-name").first.fill("tiger")
        press(seen, "Save")
        seen.wait_for_text("dialog", "Someone saved this set in between")
        assert "label 'horse' added" in seen.page.inner_text("dialog")
        assert seen.faults() == []
        press(seen, "Go on editing")
        assert labels_of(seen) == ["tiger", "dog"]
        press(seen, "Save")
        press(seen, "Save mine")
        toast(seen, "Saved as version 3")
        assert [one["name"] for one in served.get("/label-sets/shared")["labels"]] == ["tiger", "dog"]
        served.put("shared", ["cow", "dog"])
        seen.page.locator("input.label-name").first.fill("lion")
        press(seen, "Save")
        press(seen, "Take theirs")
        seen.wait("document.querySelector('input.label-name')?.value === 'cow'")


def test_images_are_dropped_onto_a_label_and_taken_from_the_preview(chromium: Browser, served: Served) -> None:
    served.put("seen", ["cat", "dog"])
    with visitor(chromium, served, "/labels?set=seen") as seen:
        previewed(seen)
        give(seen.page, ".label-card:first-child", "drop", [served.site.photos / "0002.png"])
        seen.wait("document.querySelectorAll('.label-card:first-child .examples .thumbs img').length === 1")
        assert served.get("/label-sets/seen")["labels"][0]["examples"] == []
        previewed(seen)
        seen.page.locator(".preview-grid button").first.click()
        seen.page.select_option("#example-of", label="dog")
        assert seen.faults() == []
        press(seen, "Use as an example")
        seen.wait("document.querySelectorAll('.label-card:nth-child(2) .examples .thumbs img').length === 1")
        press(seen, "Save")
        toast(seen, "Saved as version 2")
        found = served.get("/label-sets/seen")["labels"]
        assert [len(one["examples"]) for one in found] == [1, 1]
        seen.page.reload()
        seen.wait("document.querySelector('.label-card:nth-child(2) .examples img')?.naturalWidth > 0")
        seen.page.get_by_label("Remove the example").first.click()
        press(seen, "Save")
        toast(seen, "Saved as version 3")
        assert [len(one["examples"]) for one in served.get("/label-sets/seen")["labels"]] == [0, 1]


def test_a_set_is_exported_and_read_back(chromium: Browser, served: Served, tmp_path: Path) -> None:
    served.put("out", [{"name": "cat", "prompts": ["a cat", "a kitten"]}, "dog"], min_margin=0.25)
    with visitor(chromium, served, "/labels?set=out") as seen:
        with seen.page.expect_download() as download:
            seen.page.click("text=Export")
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        assert file.name == "out.yaml"
        file.write_text(file.read_text().replace("kitten", "tomcat") + "  - {name: cow, examples: [cow.jpg]}\n")
        seen.page.goto("/labels")
        seen.page.wait_for_selector("#new")
        seen.page.set_input_files("#import", file)
        seen.page.wait_for_selector("input.label-name")
        assert "cow.jpg" in seen.page.inner_text(".warnings")
        assert seen.page.input_value("#set-name") == "out"
        seen.page.fill("#set-name", "in")
        press(seen, "Save")
        toast(seen, "Saved in")
        found = served.get("/label-sets/in")
        assert [one["name"] for one in found["labels"]] == ["cat", "dog", "cow"]
        assert (found["labels"][0]["prompts"], found["min_margin"]) == (["a cat", "a tomcat"], 0.25)


def test_a_file_that_is_none_is_refused_in_words(chromium: Browser, served: Served, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("labels: [cat, cat]")
    with visitor(chromium, served, "/labels", silent=False) as seen:
        seen.page.wait_for_selector("#new")
        seen.page.set_input_files("#import", tmp_path / "bad.yaml")
        seen.wait_for_text("#toasts .error", "cat")
        assert seen.page.is_visible("#list")


def test_a_built_in_set_is_copied_and_a_set_deleted(chromium: Browser, served: Served) -> None:
    with visitor(chromium, served, "/labels?set=builtin:photo-quality") as seen:
        previewed(seen)
        assert seen.page.is_disabled("input.label-name >> nth=0")
        press(seen, "Copy it to change it")
        seen.page.fill("#copy-name", "quality")
        press(seen, "Copy")
        seen.wait("location.search.includes('set=quality')")
        seen.page.wait_for_selector("input.label-name:enabled")
        press(seen, "Delete…")
        press(seen, "Keep it")
        assert served.site.client.get(f"{API}/label-sets/quality").status_code == 200
        press(seen, "Delete…")
        seen.page.click("dialog button.danger")
        seen.page.wait_for_selector("#list h1")
        assert served.site.client.get(f"{API}/label-sets/quality").status_code == 404


def test_a_set_is_applied_as_tags(chromium: Browser, served: Served) -> None:
    served.put("applied", ["cat", "dog", MARKUP_LABEL])
    with visitor(chromium, served, "/labels?set=applied") as seen:
        press(seen, "Apply as tags")
        seen.wait_for_text("aside", f"{PICTURES} images tagged")
        seen.wait_for_text(".counts", MARKUP_LABEL)
        assert "tag=applied%3A" in (seen.page.locator(".counts a").first.get_attribute("href") or "")
        seen.page.click("text=Review them")
        seen.page.wait_for_url("**/review?**set=applied")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/labels", "/labels?new=1", "/labels?set=looked", "/labels?set=missing"])
def test_nothing_is_in_the_way_of_anyone(chromium: Browser, served: Served, path: str, scheme: Any) -> None:
    served.put("looked", ["cat", {"name": "dog", "category": "animal", "min_score": 0.1}])
    with visitor(chromium, served, path, silent="missing" not in path, width=320, color_scheme=scheme) as seen:
        if path.endswith("looked"):
            previewed(seen)
        elif path.endswith("missing"):
            seen.wait_for_text("#editor .notice", "cannot be shown")
        else:
            seen.wait("[...document.querySelectorAll('h1')].some(one => one.offsetParent)")
        assert seen.faults() == []
        assert seen.too_wide() == []
