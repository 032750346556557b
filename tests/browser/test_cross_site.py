"""Pages of other sites in a real Chromium: whatever they send, nothing is written and nothing is read.

Each way of sending is tried from another site and from another port of the same one, at a server that asks for no key
and at one where the browser is signed in.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import pytest

# Beside the other tests' fixtures, which lie one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from access_fixtures import locked_site
from playwright.sync_api import Browser, Page
from web_fixtures import API, Site, small_site

from clipsearch.authorizing import create_key
from clipsearch.encoder import Encoder
from clipsearch.inspecting import list_collections
from clipsearch.labelling import list_label_sets
from clipsearch.web.serving import Server

pytestmark = pytest.mark.browser

WAIT = 20_000
ENOUGH = "new Promise(done => setTimeout(() => done('no answer'), 1500))"
# Each is given the address of the API and answers when the browser is done with it.
WAYS = {
    "a form": """api => submit(api + "/collections", "text/plain",
        form => field(form, '{"name": "a", "x": "', '"}'))""",
    "a form with a file": """api => submit(api + "/label-sets/kept/labels/one/examples", "multipart/form-data",
        form => file(form, "image"))""",
    "text without asking": """api => quiet(fetch(api + "/collections", {method: "POST", mode: "no-cors",
        credentials: "include", body: '{"name": "b"}'}))""",
    "json": """api => quiet(fetch(api + "/collections", {method: "POST", credentials: "include",
        headers: {"Content-Type": "application/json"}, body: '{"name": "c"}'}))""",
    "a key that is none": """api => quiet(fetch(api + "/label-sets/stolen", {method: "PUT", headers: {
        "Content-Type": "application/json", "Authorization": "Bearer cs_000000000000_" + "0".repeat(64)},
        body: '{"labels": ["x", "y"]}'}))""",
    "delete": """api => quiet(fetch(api + "/label-sets/kept", {method: "DELETE", credentials: "include"}))""",
}
UNASKED = {"a form", "a form with a file", "text without asking"}
PAGE = b"""<!doctype html><title>another site</title><iframe name="sink" hidden></iframe><script>
const quiet = promise => promise.then(answer => answer.type, () => "refused");
function submit(action, enctype, fill) {
  const form = Object.assign(document.createElement("form"), {method: "post", action, enctype, target: "sink"});
  fill(form);
  document.body.append(form);
  return new Promise(done => {
    document.querySelector("iframe").onload = () => done("sent");
    setTimeout(() => done("no answer"), 2000);
    form.submit();
  });
}
function field(form, name, value) {
  form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
}
function file(form, name) {
  const input = Object.assign(document.createElement("input"), {type: "file", name}), box = new DataTransfer();
  box.items.add(new File([Uint8Array.from(atob("PICTURE"), sign => sign.charCodeAt(0))], "a.png"));
  input.files = box.files;
  form.append(input);
}
</script>"""


@dataclass
class Victim:
    """A server, and a browser that may use it."""

    site: Site
    address: str
    context_of: Page
    heard: list[str]

    def state(self) -> tuple[list[str], list[str]]:
        """All that the attacks try to change."""
        library = self.site.library
        sets = [f"{one.name} {one.version} {one.model_dump_json()}" for one in list_label_sets(library)]
        return [one.name for one in list_collections(library)], sets


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a site of somebody else."""
    import base64

    from library_fixtures import draw

    picture = draw(tmp_path_factory.mktemp("stranger") / "a.png", 5).read_bytes()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.replace(b"PICTURE", base64.b64encode(picture)))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def served(site: Site) -> Iterator[str]:
    """The site on a port of the loopback, under the name that people type."""
    server = Server(site.app, site.library, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://localhost:{server.port}"
    finally:
        server.stop()
        thread.join()


def listen(site: Site) -> list[str]:
    """The status of each write that comes to the app from now on."""
    heard: list[str] = []
    answer = site.app.wsgi_app

    def listening(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        def note(status: str, *more: Any) -> Any:
            if environ["REQUEST_METHOD"] not in {"GET", "OPTIONS"}:
                heard.append(status)
            return start(status, *more)

        return answer(environ, note)

    site.app.wsgi_app = listening  # type: ignore[method-assign, assignment]
    return heard


@pytest.fixture(scope="module", params=["no key needed", "signed in"])
def victim(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_encoder: Encoder,
    chromium: Browser,
) -> Iterator[Victim]:
    signed_in = request.param == "signed in"
    make = locked_site if signed_in else small_site
    with make(tmp_path_factory.mktemp("victim"), shared_encoder, pictures=1) as site, served(site) as address:
        key = create_key(site.library, "mine", scope="admin")
        headers = {"Authorization": f"Bearer {key.key}"}
        site.client.put(f"{API}/label-sets/kept", json={"labels": ["one", "two"]}, headers=headers)
        page = chromium.new_context().new_page()
        page.set_default_timeout(WAIT)
        if signed_in:
            page.goto(f"{address}/sign-in")
            page.fill("#key", key.key)
            page.click("button")
            page.wait_for_url(f"{address}/")
        yield Victim(site, address, page, listen(site))
        page.context.close()


@pytest.mark.parametrize(("place", "way"), list(product(["another site", "another port"], WAYS)))
def test_a_page_of_another_origin_changes_nothing(victim: Victim, stranger: int, place: str, way: str) -> None:
    before = victim.state()
    victim.heard.clear()
    page = victim.context_of.context.new_page()
    page.goto(f"http://{'127.0.0.1' if place == 'another site' else 'localhost'}:{stranger}/")
    # A request that the browser holds back for good is none; evaluate would wait for it for ever.
    page.evaluate(f"api => Promise.race([({WAYS[way]})(api), {ENOUGH}])", victim.address + API)
    page.close()
    assert victim.state() == before
    assert before[0] == ["default"]
    # What needs no leave of the server does come to it, and is refused there; the rest already by the browser.
    assert victim.heard == (["403 FORBIDDEN"] if way in UNASKED else [])


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_reads_nothing(victim: Victim, stranger: int, place: str) -> None:
    page = victim.context_of.context.new_page()
    page.goto(f"http://{place}:{stranger}/")
    url = f"{victim.address}{API}/collections"
    read = "fetch(url, {credentials: 'include'}).then(answer => answer.text(), () => 'refused')"
    assert page.evaluate(f"url => Promise.race([{read}, {ENOUGH}])", url) in {"refused", "no answer"}
    thumbnail = f"{victim.address}{API}/collections/default/images/1/thumbnail"
    shown = """new Promise(done => { const image = new Image(); image.onload = () => done(true);
        image.onerror = () => done(false); image.src = url; document.body.append(image); })"""
    assert page.evaluate(f"url => Promise.race([{shown}, {ENOUGH}])", thumbnail) is not True
    page.close()


def test_the_own_page_does_all_of_that(victim: Victim) -> None:
    """The same requests from the server's own origin are carried out: it is the origin that makes the difference."""
    page = victim.context_of.context.new_page()
    page.goto(f"{victim.address}/sign-in")
    api = victim.address + API
    quiet = "const quiet = promise => promise.then(answer => answer.status);"
    statuses = [page.evaluate(f"api => {{ {quiet} return ({WAYS[way]})(api); }}", api) for way in ("json", "delete")]
    assert statuses == [201, 204]
    assert victim.state()[0] == ["c", "default"]
    victim.site.library.delete_collection("c")
    page.close()


def test_a_link_from_another_site_leads_to_the_page(victim: Victim, stranger: int) -> None:
    page = victim.context_of.context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"http://127.0.0.1:{stranger}/")
    page.evaluate("url => { location.href = url; }", f"{victim.address}/labels")
    page.wait_for_url(f"{victim.address}/labels")
    page.close()
