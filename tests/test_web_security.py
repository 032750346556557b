"""Who may ask, what a browser may do with an answer, and that nothing outside the roots is ever given away."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from library_fixtures import draw
from web_fixtures import API, IMAGES, Site, small_site

from clipsearch.authorizing import create_key
from clipsearch.encoder import Encoder
from clipsearch.errors import InvalidInput
from clipsearch.indexing import IndexingOptions
from clipsearch.web import create_app
from clipsearch.web.security import is_loopback

HERE = f"{API}/collections/default"
SECRET = b"the secret of the house"


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder) as site:
        yield site


@pytest.fixture
def site(tmp_path: Path, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path, shared_encoder, pictures=2) as site:
        yield site


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("127.0.0.1:1", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.168.1.5:8000", False),
        ("", False),
        ("[::2]", False),
        ("127.0.0.1:80@evil.com", False),
        ("127.0.0.1@evil.com", False),
        ("[::1]evil.com", False),
        ("[::1", False),
        ("localhost:80:evil.com", False),
        ("localhost/evil.com", False),
    ],
)
def test_a_server_on_the_loopback_answers_under_its_own_names_only(shared_site: Site, host: str, allowed: bool) -> None:
    for path in ("/", f"{API}/collections", "/healthz"):
        answer = shared_site.client.get(path, headers={"Host": host})
        assert answer.status_code == (200 if allowed else 421)
        if not allowed:
            assert answer.get_json()["code"] == "wrong_host"


def test_a_server_on_another_address_is_reached_by_any_name(shared_site: Site) -> None:
    client = create_app(shared_site.library, host="0.0.0.0").test_client()
    assert client.get("/healthz", headers={"Host": "photos.example"}).status_code == 200


@pytest.mark.parametrize(("address", "loopback"), [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True),
                         ("[::1]", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
                         ("192.168.1.1", False), ("photos.example", False)])  # fmt: skip
def test_loopback_addresses_are_known(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


WRITES = [
    ("POST", f"{API}/collections"),
    ("DELETE", f"{API}/collections/nowhere"),
    ("PATCH", f"{API}/collections/nowhere"),
    ("POST", f"{HERE}/search/image"),
    ("PUT", f"{API}/label-sets/x"),
    ("POST", f"{HERE}/jobs"),
]
FOREIGN = [
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "none"},
    {"Origin": "null", "Sec-Fetch-Site": "none"},
]
OWN = [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}]


@pytest.mark.parametrize(("write", "headers"), list(product(WRITES, FOREIGN)))
def test_another_site_changes_nothing(shared_site: Site, write: tuple[str, str], headers: dict[str, str]) -> None:
    answer = shared_site.client.open(write[1], method=write[0], headers=headers, data="{}")
    assert (answer.status_code, answer.get_json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize("headers", OWN)
def test_the_own_page_and_programs_may_write(shared_site: Site, headers: dict[str, str]) -> None:
    answer = shared_site.client.post(f"{HERE}/search", headers=headers, json={"terms": [{"text": "a"}]})
    assert answer.status_code == 200


def test_other_sites_may_not_read_either(shared_site: Site) -> None:
    answer = shared_site.client.get(f"{API}/collections", headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "path", ["/", "/static/app.js", f"{API}/collections", f"{IMAGES}/1/thumbnail", f"{IMAGES}/1/original", "/nowhere"]
)
def test_every_answer_is_sealed(shared_site: Site, path: str) -> None:
    with shared_site.client.get(path) as answer:
        headers = answer.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Request-Id"]


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_who_looks_at_an_address_that_is_none_sees_a_page(
    site: Site, shared_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shared_site.client
    page = there.get("/nope<b>", headers=BROWSER)
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "There is no such page" in page.text
    assert '<nav aria-label="Views">' in page.text
    assert "nope" not in page.text
    assert page.headers["Content-Security-Policy"] == there.get("/").headers["Content-Security-Policy"]
    key = create_key(site.library, "reader").key
    refused = site.client.get("/metrics", headers={**BROWSER, "Authorization": f"Bearer {key}"})
    assert (refused.status_code, "This is not allowed" in refused.text) == (403, True)
    for path, headers in (("/nope", {}), ("/nope", {"Accept": "*/*"}), (f"{API}/nope", BROWSER)):
        assert there.get(path, headers=headers).mimetype == "application/problem+json"

    def broken(_view: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("clipsearch.web.panels.shell", broken)
    fault = site.client.get("/classify", headers={**BROWSER, "X-Request-Id": "one-1"})
    assert (fault.status_code, fault.mimetype) == (500, "text/html")
    assert "Something went wrong" in fault.text
    assert "one-1" in fault.text


def test_a_request_id_that_is_given_is_kept_unless_it_is_odd(shared_site: Site) -> None:
    assert shared_site.client.get("/healthz", headers={"X-Request-Id": "my-1"}).headers["X-Request-Id"] == "my-1"
    odd = shared_site.client.get("/healthz", headers={"X-Request-Id": "a b<script>"}).headers["X-Request-Id"]
    assert odd.isalnum()


def traversals() -> list[str]:
    ups = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "....//", "..;/", "%252e%252e%252f", "..%c0%af",
           "%uff0e%uff0e/", "..%00/", "./../"]  # fmt: skip
    ends = ["etc/passwd", "etc%2fpasswd", "secret.png", "secret.txt", "etc/passwd%00.png", "proc/self/environ"]
    starts = ["", "/", "1/", "1%2f", "file:///", "%2f"]
    return [start + up * depth + end for start, up, end in product(starts, ups, ends) for depth in (1, 8)]


def test_no_path_leads_out_of_the_images(shared_site: Site) -> None:
    outside = shared_site.photos.parent / "secret.txt"
    outside.write_bytes(SECRET)
    strings = traversals()
    assert len(strings) >= 500
    for one in strings:
        for path in (f"{IMAGES}/{one}/original", f"{IMAGES}/{one}/thumbnail", f"/static/{one}", f"{IMAGES}/1/{one}"):
            answer = shared_site.client.get(path)
            assert answer.status_code in {308, 404, 421}, (path, answer.status_code)
            assert b"root:" not in answer.data
            assert SECRET not in answer.data


def test_jobs_stay_under_the_roots(shared_site: Site) -> None:
    root = shared_site.photos
    beside = Path(f"{root}-more")
    beside.mkdir(exist_ok=True)
    strings = ["/", "/etc", "/etc/passwd", f"{root}/..", f"{root}/../data", str(root.parent), str(beside)]
    strings += ["/proc/self", f"{root}/../../..", f"/{root}/../x"]
    strings += [f"{root}/{'../' * depth}etc" for depth in range(1, 20)]
    for source in strings:
        answer = shared_site.client.post(f"{API}/collections/new/jobs", json={"source": source})
        assert (answer.status_code, answer.get_json()["code"]) == (403, "not_allowed"), source
    for source in ["", "photos", "../photos", "~", "file:///etc", "a\x00b", "s3://bucket"]:
        answer = shared_site.client.post(f"{API}/collections/new/jobs", json={"source": source})
        assert answer.status_code in {400, 403, 422}, source
    assert shared_site.client.get(f"{API}/collections/new").status_code == 404
    assert shared_site.client.get(f"{API}/jobs").get_json()["jobs"][0]["id"] == 1


def test_no_link_with_dots_behind_it_leads_a_job_above_the_roots(site: Site, tmp_path: Path) -> None:
    (site.photos / "a" / "b" / "c").mkdir(parents=True)
    (site.photos / "l").symlink_to(site.photos / "a" / "b" / "c")
    (tmp_path / "c").symlink_to(site.photos / "a")
    post = f"{API}/collections/new/jobs"
    draw(site.photos / "a" / "x.png", 40)
    for source, true in (("l/../../..", "."), ("l/../..", "a"), ("l/..", "a/b"), ("a/b/c/../..", "a")):
        answer = site.client.post(post, json={"source": f"{site.photos}/{source}"})
        assert (answer.status_code, answer.get_json().get("source")) == (202, str(site.photos / true)), source
    for source in (f"{site.photos}/l/../../../..", f"{tmp_path}/c/../..", f"{site.photos}/../c/.."):
        answer = site.client.post(post, json={"source": source})
        expected = 202 if Path(source).resolve() == site.photos else 403
        assert answer.status_code == expected, source


def test_a_source_that_no_path_can_have_is_refused_in_words(site: Site) -> None:
    for character in ("\0", chr(0xD800), chr(0xDCFF)):
        source = f"{site.photos}/{character}x"
        answer = site.client.post(f"{HERE}/jobs", json={"source": source})
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_request")
        with pytest.raises(InvalidInput, match="characters that no path can have"):
            site.app.extensions["clipsearch"].jobs.submit("default", source, IndexingOptions())


def test_a_source_that_turned_into_a_way_out_while_it_waited_is_not_indexed(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    draw(outside / "secret.png", 99)
    jobs = site.app.extensions["clipsearch"].jobs
    waits = site.photos / "waits"
    waits.mkdir()
    with jobs._changed:  # whoever holds this keeps every job waiting
        run = jobs.submit("default", str(waits), IndexingOptions())
        waits.rmdir()
        waits.symlink_to(outside)
    deadline = time.monotonic() + 20
    while (run := jobs.show(run.id)).state in {"queued", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert run.state == "failed"
    assert "CLIPSEARCH_ROOTS" in run.error
    assert site.client.get(f"{IMAGES}?path_glob=*secret*").get_json()["images"] == []


def test_without_roots_nothing_is_indexed_and_no_original_given(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=1, roots=()) as site:
        assert site.client.get(f"{IMAGES}/1/original").status_code == 403
        assert site.client.get(f"{IMAGES}/1/thumbnail").status_code == 200
        assert site.client.post(f"{HERE}/jobs", json={"source": str(site.photos)}).status_code == 403


Layout = Callable[[Path, Path], None]


def _swap_for_link(image: Path, outside: Path) -> None:
    image.unlink()
    image.symlink_to(outside / "secret.png")


def _swap_for_relative_link(image: Path, outside: Path) -> None:
    image.unlink()
    image.symlink_to(os.path.relpath(outside / "secret.png", image.parent))


def _swap_for_chain(image: Path, outside: Path) -> None:
    image.unlink()
    (image.parent / "step").symlink_to(outside / "secret.png")
    image.symlink_to("step")


def _swap_for_text(image: Path, outside: Path) -> None:
    image.unlink()
    image.symlink_to(outside / "secret.txt")


def _swap_for_hard_link(image: Path, outside: Path) -> None:
    image.unlink()
    os.link(outside / "secret.png", image)


def _swap_folder(image: Path, outside: Path) -> None:
    folder = image.parent
    shutil.rmtree(folder)
    shutil.copyfile(outside / "secret.png", outside / image.name)
    folder.symlink_to(outside, target_is_directory=True)


def _swap_for_loop(image: Path, _outside: Path) -> None:
    image.unlink()
    image.symlink_to(image.name)


def _swap_for_folder(image: Path, _outside: Path) -> None:
    image.unlink()
    image.mkdir()


def _swap_for_pipe(image: Path, _outside: Path) -> None:
    image.unlink()
    os.mkfifo(image)


def _swap_for_device(image: Path, _outside: Path) -> None:
    image.unlink()
    image.symlink_to("/dev/zero")


def _swap_for_itself_elsewhere(image: Path, outside: Path) -> None:
    shutil.copyfile(image, outside / "same.png")
    image.unlink()
    image.symlink_to(outside / "same.png")


@pytest.mark.parametrize("layout", [_swap_for_link, _swap_for_relative_link, _swap_for_chain, _swap_for_text,
                                    _swap_for_hard_link, _swap_folder, _swap_for_loop, _swap_for_folder,
                                    _swap_for_pipe, _swap_for_device, _swap_for_itself_elsewhere])  # fmt: skip
def test_what_is_put_in_the_place_of_an_image_is_not_given(site: Site, tmp_path: Path, layout: Layout) -> None:
    outside = tmp_path / "outside"
    draw(outside / "secret.png", 99)
    (outside / "secret.txt").write_bytes(SECRET)
    image = site.photos / "0000.png"
    mine = image.read_bytes()
    layout(image, outside)
    original = site.client.get(f"{IMAGES}/1/original")
    thumbnail = site.client.get(f"{IMAGES}/1/thumbnail")
    assert original.status_code in {403, 404}
    assert original.mimetype == "application/problem+json"
    if layout is _swap_for_itself_elsewhere:  # the very bytes that were indexed
        assert thumbnail.status_code == 200
        assert mine == (outside / "same.png").read_bytes()
    else:
        assert thumbnail.status_code in {400, 403, 404}
        assert thumbnail.mimetype == "application/problem+json"


def test_links_under_a_root_do_not_lead_jobs_out(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    draw(outside / "secret.png", 99)
    (site.photos / "way-out").symlink_to(outside, target_is_directory=True)
    (site.photos / "secret.png").symlink_to(outside / "secret.png")
    (site.photos / "hop").symlink_to("way-out", target_is_directory=True)
    for source in ("way-out", "way-out/secret.png", "secret.png", "hop", "hop/../way-out"):
        answer = site.client.post(f"{HERE}/jobs", json={"source": f"{site.photos}/{source}"})
        assert answer.status_code == 403, source


def test_a_root_that_is_itself_a_link_is_honoured(tmp_path: Path, shared_encoder: Encoder) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(tmp_path / "photos", target_is_directory=True)
    with small_site(tmp_path, shared_encoder, pictures=1, roots=(alias,)) as site:
        assert site.client.get(f"{IMAGES}/1/original").status_code == 200
        assert site.client.post(f"{HERE}/jobs", json={"source": str(alias)}).status_code == 202


def test_markup_in_file_names_and_labels_is_text_on_the_page(site: Site) -> None:
    draw(site.photos / '"><img src=x onerror=alert(1)>.png', 30)
    site.client.put(f"{API}/label-sets/<b>x", json={"labels": ["<i>a", "b"]})
    job = site.client.post(f"{HERE}/jobs", json={"source": str(site.photos)}).headers["Location"]
    while site.client.get(job).get_json()["state"] in {"queued", "running"}:
        pass
    page = site.client.get("/?all=1&q=<script>alert(1)</script>").get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in page


@pytest.mark.parametrize("model", ["/etc", "hf-hub:evil/evil", "ViT-B-32//etc/passwd", "ViT-B-32/openai"])
def test_no_stranger_makes_the_server_load_or_fetch_a_model(shared_site: Site, model: str) -> None:
    answer = shared_site.client.post(f"{API}/collections", json={"name": "strange", "model": model})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "not_allowed")
