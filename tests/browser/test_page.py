"""The page in a real Chromium: what a person does there, and that nothing gets past its content policy."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser_fixtures import open_chromium
from library_fixtures import draw
from playwright.sync_api import Browser, Page
from web_fixtures import API, Site, small_site

from clipsearch.encoder import Encoder
from clipsearch.web.serving import Server

pytestmark = pytest.mark.browser

MARKUP = '"><img src=x onerror=alert(1)>.png'
WAIT = 20_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, or a reason why there is none."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[tuple[Site, str]]:
    """A site on a port of the loopback."""
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=70) as site:
        draw(site.photos / MARKUP, 900)
        site.client.put(f"{API}/label-sets/animals", json={"labels": ["cat", "dog", "<b>fish</b>"]})
        job = site.client.post(f"{API}/collections/default/jobs", json={"source": str(site.photos)})
        while site.client.get(job.headers["Location"]).get_json()["state"] in {"queued", "running"}:
            threading.Event().wait(0.02)
        site.library.create_collection("empty")
        server = Server(site.app, site.library, "127.0.0.1", 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield site, server.address
        server.stop()
        thread.join()


@pytest.fixture
def page(chromium: Browser, served: tuple[Site, str]) -> Iterator[Page]:
    """An open page; that the console stayed silent and no dialog came is checked at its end."""
    context = chromium.new_context(base_url=served[1])
    context.set_default_timeout(WAIT)
    opened = context.new_page()
    heard: list[str] = []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    opened.on("request", lambda request: heard.append(request.url) if _is_foreign(request.url, served[1]) else None)
    opened.goto("/")
    yield opened
    context.close()
    assert heard == []


def _is_foreign(url: str, own: str) -> bool:
    return not url.startswith((own, "blob:", "data:"))


def search(page: Page, text: str) -> None:
    """Search, and have all of it shown: the model of these tests was never trained, so that little matches anything."""
    page.fill("#q", text)
    page.press("#q", "Enter")
    until(page, "text => document.title.startsWith(text)", text)
    settled(page)
    if page.locator("#show-all").is_visible():
        page.click("#show-all")
        page.wait_for_selector(".tile")
        settled(page)


def until(page: Page, expression: str, value: Any = None) -> None:
    """Wait for an expression to be true; Playwright's own wait asks by eval, which the page's policy forbids."""
    deadline = time.monotonic() + WAIT / 1000
    while not page.evaluate(expression, value):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def settled(page: Page) -> None:
    until(page, "document.querySelector('#status').textContent !== 'Searching…'")


def tiles(page: Page) -> list[str]:
    return page.locator(".tile .name").all_inner_texts()


def test_a_search_shows_pictures_with_scores_and_stands_in_the_address(page: Page) -> None:
    search(page, "a dog")
    assert "q=a+dog" in page.url
    assert len(tiles(page)) == 60
    assert page.locator(".tile .score").first.inner_text().lstrip("-").replace(".", "").isdigit()
    assert page.inner_text("#status") == "the first 60 images"
    until(page, "[...document.querySelectorAll('.tile img')].slice(0, 4).every(one => one.naturalWidth > 0)")
    page.click("#more")
    until(page, "document.querySelectorAll('.tile').length === 71")
    assert not page.locator("#more").is_visible()


def test_what_does_not_match_is_left_out_until_all_is_asked_for(page: Page) -> None:
    page.fill("#q", "a dog")
    page.press("#q", "Enter")
    until(page, "document.querySelector('#status').textContent.startsWith('nothing matches')")
    assert tiles(page) == []
    page.click("#show-all")
    page.wait_for_selector(".tile")
    settled(page)
    assert len(tiles(page)) == 60
    assert "all=1" in page.url
    assert not page.locator("#show-all").is_visible()
    assert "relevance 0." in (page.locator(".tile .score").first.get_attribute("title") or "")
    page.go_back()
    until(page, "document.querySelector('#status').textContent.startsWith('nothing matches')")
    assert page.locator("#show-all").is_visible()


def test_back_and_forward_and_a_link_show_the_same_again(page: Page) -> None:
    search(page, "first")
    first = tiles(page)
    search(page, "second")
    while "q=first" not in page.url:
        page.go_back()
    until(page, "document.querySelector('#q').value === 'first'")
    settled(page)
    assert tiles(page) == first
    page.go_forward()
    until(page, "document.querySelector('#q').value === 'second'")
    page.goto("/?q=first&collection=default&all=1")
    assert tiles(page) == first
    assert page.input_value("#q") == "first"


def test_without_javascript_a_search_works_all_the_same(chromium: Browser, served: tuple[Site, str]) -> None:
    context = chromium.new_context(base_url=served[1], java_script_enabled=False)
    opened = context.new_page()
    opened.goto("/")
    opened.fill("#q", "a dog")
    opened.press("#q", "Enter")
    opened.wait_for_selector("#show-all")
    assert tiles(opened) == []
    opened.click("#show-all")
    opened.wait_for_selector(".tile")
    assert len(tiles(opened)) == 60
    opened.locator(".similar").first.click()
    opened.wait_for_url("**/?similar=*")
    opened.click("#show-all")
    opened.wait_for_url("**/?similar=*all=1")
    assert len(tiles(opened)) == 60
    assert "like number" in opened.inner_text("#asked")
    context.close()


def test_an_image_is_chosen_dropped_and_pasted_to_search_by_it(page: Page, served: tuple[Site, str]) -> None:
    picture = served[0].photos / "0005.png"
    page.set_input_files("#picture", picture)
    page.wait_for_selector("#asked img")
    page.wait_for_selector(".tile")
    assert tiles(page)[0] == "0005.png"
    for kind in ("drop", "paste"):
        page.goto("/")
        page.evaluate(GIVE, [kind, list(picture.read_bytes())])
        page.wait_for_selector(".tile")
        assert tiles(page)[0] == "0005.png"
        assert "given.png" in page.inner_text("#asked")


GIVE = """([kind, bytes]) => {
  const given = new DataTransfer();
  given.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const event = kind === "drop" ? new DragEvent("drop", { ...options, dataTransfer: given })
                                : new ClipboardEvent("paste", { ...options, clipboardData: given });
  document.body.dispatchEvent(event);
}"""


def test_similar_images_are_one_click_or_one_key_away(page: Page) -> None:
    search(page, "a dog")
    page.locator(".similar").nth(2).focus()
    page.keyboard.press("Enter")
    until(page, "location.search.includes('similar=')")
    settled(page)
    assert "like number" in page.inner_text("#asked")
    page.go_back()
    until(page, "document.querySelector('#q').value === 'a dog'")
    settled(page)


def test_images_are_classified_with_own_labels_and_with_a_label_set(page: Page, served: tuple[Site, str]) -> None:
    pictures = [served[0].photos / "0001.png", served[0].photos / MARKUP]
    page.click("#classify summary")
    page.click("#classify-form button[type=submit]")
    assert "Choose the images" in page.inner_text("#classify-status")
    page.fill("#labels", "cat, dog\n<i>cow</i>")
    page.set_input_files("#classify-pictures", pictures)
    until(page, "document.querySelectorAll('.bars').length === 2")
    assert page.locator("#classified strong").all_inner_texts() == ["0001.png", MARKUP]
    labels = page.locator(".bars").first.locator("li span:first-child").all_inner_texts()
    assert sorted(labels) == ["<i>cow</i>", "cat", "dog"]
    shares = [
        float(one.rstrip(" %")) for one in page.locator(".bars").first.locator("li span:last-child").all_inner_texts()
    ]
    assert abs(sum(shares) - 100) < 0.5
    page.select_option("#label-set", "animals")
    assert not page.locator("#labels").is_visible()
    page.click("#classify-form button[type=submit]")
    until(page, "document.querySelector('.bars').textContent.includes('fish')")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"labels": ["cat", "dog", "<b>cow</b>"], "background": ["grass"]}, None),
        ({"labels": ["cat", "dog"], "background": ["grass"], "min_score": 1}, "none of them: "),
        ({"labels": ["cat", "<b>cow</b>"], "mode": "multi", "min_probability": 0}, "cat, <b>cow</b>"),
    ],
)
def test_a_classified_image_has_a_verdict_and_no_row_without_a_name(
    page: Page, served: tuple[Site, str], chosen: dict[str, Any], said: str | None
) -> None:
    site = served[0]
    assert site.client.put(f"{API}/label-sets/verdict", json=chosen).status_code < 300
    page.reload()
    page.click("#classify summary")
    page.select_option("#label-set", "verdict")
    page.set_input_files("#classify-pictures", site.photos / "0001.png")
    page.wait_for_selector(".verdict")
    names = page.locator(".bars li span:first-child").all_inner_texts()
    behind = ["something else"] if "background" in chosen else []
    assert sorted(names) == sorted([*chosen["labels"], *behind])
    verdict = page.inner_text(".verdict")
    if said is None:
        assert verdict == ("none of them: something else fits better" if names[0] == "something else" else names[0])
    elif said.startswith("none"):
        reason = "something else fits better" if names[0] == "something else" else "the score is below its threshold"
        assert verdict == said + reason
    else:
        assert sorted(verdict.split(", ")) == sorted(said.split(", "))


def test_a_file_name_with_markup_is_shown_as_text(page: Page) -> None:
    page.goto("/?q=a+dog&all=1")
    page.click("#more")
    until(page, "document.querySelectorAll('.tile').length === 71")
    assert MARKUP in tiles(page)
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "'\"><script>alert(1)</script>", "{{7*7}}"])
def test_a_query_with_markup_is_shown_as_text(page: Page, text: str) -> None:
    search(page, text)
    page.reload()
    assert page.input_value("#q") == text


def test_what_goes_wrong_is_said_in_words(page: Page, served: tuple[Site, str], tmp_path: Path) -> None:
    page.select_option("#collection", "empty")
    page.fill("#q", "a dog")
    page.press("#q", "Enter")
    until(page, "document.querySelector('#status').textContent.includes('holds no images yet')")
    (tmp_path / "no.png").write_text("no image")
    page.set_input_files("#picture", tmp_path / "no.png")
    # A browser writes every answer that is an error to its console.
    page.goto("about:blank")


def test_an_answer_that_is_an_error_or_does_not_come_is_told(chromium: Browser, served: tuple[Site, str]) -> None:
    context = chromium.new_context(base_url=served[1])
    context.set_default_timeout(WAIT)
    opened = context.new_page()
    opened.goto("/")
    opened.set_input_files("#picture", {"name": "no.png", "mimeType": "image/png", "buffer": b"no image"})
    opened.wait_for_selector("#status.error")
    assert "image" in opened.inner_text("#status")
    opened.route("**/search?**", lambda route: route.abort())
    opened.fill("#q", "a dog")
    opened.press("#q", "Enter")
    until(opened, "document.querySelector('#status').textContent.includes('cannot be reached')")
    context.close()


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(chromium: Browser, served: tuple[Site, str], width: int, scheme: Any) -> None:
    context = chromium.new_context(base_url=served[1], viewport={"width": width, "height": 700}, color_scheme=scheme)
    context.set_default_timeout(WAIT)
    opened = context.new_page()
    opened.goto("/?q=a+dog&all=1")
    opened.click("#classify summary")
    opened.fill("#labels", "a rather long label that goes on, Donaudampfschifffahrtsgesellschaftskapitän, cat")
    opened.set_input_files("#classify-pictures", served[0].photos / MARKUP)
    opened.wait_for_selector(".bars")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 21, 24)" if scheme == "dark" else "rgb(251, 251, 250)"
    )
    context.close()
