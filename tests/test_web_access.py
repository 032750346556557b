"""Who is let in: keys in headers, sessions of the page, scopes, limits, origins, and where no server starts."""

from __future__ import annotations

import datetime as dt
import html
import json
import logging
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from access_fixtures import Keys, bearer, fresh_client, locked_site, make_keys
from cli_fixtures import call
from sqlalchemy import update
from web_fixtures import API, IMAGES, Contract, Site, running_server, small_site

from clipsearch.authorizing import create_key, list_keys, revoke_key
from clipsearch.config import Settings, read_settings
from clipsearch.database.access_schema import api_key
from clipsearch.encoder import Encoder
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from clipsearch.web import create_app
from clipsearch.web.access import check_start
from clipsearch.web.scopes import is_open, scope_of
from clipsearch.web.sessions import MOST_OF_ONE_KEY, Sessions
from clipsearch.web.sign_in import local_path

HERE = f"{API}/collections/default"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with locked_site(tmp_path_factory.mktemp("site"), shared_encoder, rate_limit="none") as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> Keys:
    return make_keys(site)


@pytest.fixture(scope="module")
def open_site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("open"), shared_encoder, pictures=1) as site:
        yield site


# Keys in headers ----------------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_answered_but_what_is_open(site: Site) -> None:
    client = fresh_client(site)
    for rule in site.app.url_map.iter_rules():
        values: dict[str, Any] = {name: 1 if name.endswith("_id") else "x" for name in rule.arguments}
        with site.app.test_request_context():
            path = site.app.url_for(rule.endpoint, **values)
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            with client.open(path, method=method, json={} if method != "GET" else None) as answer:
                open_ = path in {"/healthz", "/readyz", "/favicon.ico"} or rule.endpoint == "static"
                if open_ or is_open(site.app.view_functions[rule.endpoint]):
                    assert answer.status_code != 401 or path.endswith(("/session", "/sign-in")), (method, path)
                else:
                    assert (answer.status_code, answer.get_json()["code"]) == (401, "key_required"), (method, path)
                    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="clipsearch"'


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_key_in_either_header_is_let_in(site: Site, keys: Keys, header: str) -> None:
    value = f"bearer {keys.read.key}" if header == "Authorization" else keys.read.key
    answer = fresh_client(site).get(f"{API}/whoami", headers={header: value})
    assert answer.get_json() == {
        "by": "key", "key": keys.read.prefix, "name": "the read one", "scopes": ["read"], "expires_at": None,
        "key_required": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "method", "path", "statuses"),
    [
        ("read", "GET", f"{API}/collections", (200, 200, 200)),
        ("read", "GET", f"{IMAGES}/1/thumbnail", (200, 200, 200)),
        ("read", "POST", f"{HERE}/search", (200, 200, 200)),
        ("read", "GET", "/", (200, 200, 200)),
        ("write", "PUT", f"{API}/label-sets/animals", (403, None, None)),
        ("write", "DELETE", f"{IMAGES}/999", (403, 404, 404)),
        ("admin", "DELETE", f"{API}/collections/nowhere", (403, 403, 404)),
        ("none", "GET", f"{API}/nowhere", (404, 404, 404)),
        ("none", "POST", f"{API}/nowhere", (404, 404, 404)),
    ],
)
def test_each_key_may_do_what_its_scope_allows(
    site: Site, keys: Keys, scope: str, method: str, path: str, statuses: tuple[int | None, ...]
) -> None:
    body = {"terms": [{"text": "a"}]} if path.endswith("search") else {"labels": ["a", "b"]}
    for key, status in zip((keys.read, keys.write, keys.admin), statuses, strict=True):
        options: dict[str, Any] = {"json": body} if method in {"POST", "PUT"} else {}
        with fresh_client(site).open(path, method=method, headers=bearer(key), **options) as answer:
            assert answer.status_code == status or (status is None and answer.status_code in {200, 201})
            if answer.status_code == 403:
                told = answer.get_json()
                assert (told["code"], told["details"]["needed"]) == ("missing_scope", scope)


def test_every_post_that_only_reads_says_so_and_no_other(site: Site) -> None:
    reading = {"search_by_terms", "search_by_many", "search_by_upload", "classify_images", "classify_images_with_sets",
               "classify_with_label_set", "classify_collection", "embed", "preview", "read_label_file"}  # fmt: skip
    views = {name.rpartition(".")[2]: view for name, view in site.app.view_functions.items()}
    rules = site.app.url_map.iter_rules()
    posts = {rule.endpoint.rpartition(".")[2] for rule in rules if "POST" in (rule.methods or ())}
    assert {name for name in posts if scope_of(views[name], "POST") == "read"} == reading
    assert scope_of(views["evaluate"], "POST") == "write", "it may write thresholds"
    assert scope_of(views["delete_collection"], "DELETE") == "admin"
    assert scope_of(views["put_label_set"], "PUT") == "write"


WRONG = ["x", "cs_", "ä", "\N{SNOWMAN}".encode().decode("latin-1"), "cs_" + "0" * 12 + "_" + "0" * 64, "a b c",
         "\xff\xfe", "cs_" + "a" * 9_000, "None", "' OR 1=1 --"]  # fmt: skip


@pytest.mark.parametrize(("header", "wrong"), list(product(["Authorization", "X-Api-Key"], WRONG)))
@pytest.mark.parametrize("locked", [True, False])
def test_a_key_that_is_none_is_refused_on_every_server(
    site: Site, open_site: Site, header: str, wrong: str, locked: bool
) -> None:
    asked = site if locked else open_site
    asked.app.extensions["clipsearch.access"].failures._counts = None
    value = f"Bearer {wrong}" if header == "Authorization" else wrong
    answer = fresh_client(asked).get(f"{API}/collections", headers={header: value})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_key")
    assert answer.content_type == "application/problem+json"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_key_is_refused_from_the_moment_on_that_it_is_revoked_or_expires(site: Site) -> None:
    made = create_key(site.library, "short", lifetime=dt.timedelta(hours=1))
    gone = create_key(site.library, "gone")
    client = fresh_client(site)
    assert client.get(f"{API}/status", headers=bearer(gone)).status_code == 200
    revoke_key(site.library, gone.prefix)
    assert "revoked" in client.get(f"{API}/status", headers=bearer(gone)).get_json()["detail"]
    assert client.get(f"{API}/status", headers=bearer(made)).status_code == 200
    with site.library.database.write() as connection:
        passed = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
        connection.execute(update(api_key).where(api_key.c.prefix == made.prefix).values(expires_at=passed))
    assert "expired" in client.get(f"{API}/status", headers=bearer(made)).get_json()["detail"]


def test_what_a_browser_sends_by_itself_is_no_key(site: Site, keys: Keys) -> None:
    client = fresh_client(site)
    for header in ({"Authorization": f"Basic {keys.admin.key}"}, {"Authorization": keys.admin.key}):
        assert client.get(f"{API}/status", headers=header).get_json()["code"] == "key_required"
    assert client.get(f"{API}/status?key={keys.admin.key}&api_key={keys.admin.key}").status_code == 401
    client.set_cookie("clipsearch_session", keys.admin.key)
    assert client.get(f"{API}/status").get_json()["code"] == "key_required"


def test_on_the_loopback_nobody_needs_a_key_and_one_that_is_sent_counts(open_site: Site) -> None:
    client = fresh_client(open_site)
    told = client.get(f"{API}/whoami").get_json()
    assert (told["by"], told["scopes"], told["key_required"]) == ("nobody", ["read", "write", "admin"], False)
    made = create_key(open_site.library, "reader")
    refused = client.put(f"{API}/label-sets/x", json={"labels": ["a", "b"]}, headers=bearer(made))
    assert (refused.status_code, refused.get_json()["code"]) == (403, "missing_scope")


def test_the_key_of_another_service_is_passed_over_outside_the_api_where_none_is_needed(open_site: Site) -> None:
    assert fresh_client(open_site).get("/", headers=bearer("sk-of-another-service")).status_code == 200


def test_the_last_use_of_a_key_is_noted_when_the_answer_is_out(site: Site) -> None:
    made = create_key(site.library, "seen")
    with fresh_client(site).get(f"{API}/status", headers=bearer(made)):
        pass
    found = next(key for key in list_keys(site.library).keys if key.prefix == made.prefix)
    assert found.last_used_at is not None


def test_every_refusal_is_foreseen_by_the_document(site: Site, keys: Keys) -> None:
    document = fresh_client(site).get(f"{API}/openapi.json", headers=bearer(keys.read)).get_json()
    contract, client = Contract(document), fresh_client(site)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            target = path.replace("{name}", "x").replace("{label_set}", "x").replace("{label}", "x")
            target = target.replace("{image_id}", "1").replace("{job_id}", "1")
            if operation.get("security"):
                contract.check(method, target, client.open(target, method=method.upper()))
            if operation.get("security", [{}])[0].get("bearer") not in (None, ["read"]):
                contract.check(method, target, client.open(target, method=method.upper(), headers=bearer(keys.read)))
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header", "session"}


# The page's session -------------------------------------------------------------------------------------------


def test_signing_in_sets_a_cookie_that_is_not_the_key_and_is_kept_from_scripts(site: Site, keys: Keys) -> None:
    client = fresh_client(site)
    answer = client.post(f"{API}/session", json={"key": keys.write.key})
    assert (answer.status_code, answer.get_json()["by"]) == (200, "session")
    cookie = answer.headers["Set-Cookie"]
    assert keys.write.key.rpartition("_")[2] not in cookie
    assert keys.write.prefix not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie
    told = client.get(f"{API}/whoami").get_json()
    assert (told["by"], told["key"], told["scopes"]) == ("session", keys.write.prefix, ["read", "write"])
    assert client.delete(f"{API}/session").status_code == 204
    assert client.get(f"{API}/whoami").status_code == 401


def test_a_cookie_that_was_signed_out_is_worth_nothing_where_it_was_copied(site: Site, keys: Keys) -> None:
    client, thief = fresh_client(site), fresh_client(site)
    client.post(f"{API}/session", json={"key": keys.read.key})
    cookie = client.get_cookie("clipsearch_session")
    assert cookie is not None
    thief.set_cookie("clipsearch_session", cookie.value)
    assert thief.get(f"{API}/whoami").status_code == 200
    client.delete(f"{API}/session")
    assert thief.get(f"{API}/whoami").status_code == 401


def test_a_session_ends_with_its_key(site: Site) -> None:
    made, client = create_key(site.library, "gone"), fresh_client(site)
    client.post(f"{API}/session", json={"key": made.key})
    assert client.get(f"{API}/whoami").status_code == 200
    revoke_key(site.library, made.prefix)
    assert client.get(f"{API}/whoami").status_code == 401


def test_over_https_the_cookie_is_sent_over_https_only(tmp_path: Path, shared_encoder: Encoder) -> None:
    with locked_site(tmp_path, shared_encoder, pictures=0, trusted_proxies=1) as site:
        made = create_key(site.library, "x")
        answer = fresh_client(site).post(
            f"{API}/session", json={"key": made.key}, headers={"X-Forwarded-Proto": "https"}
        )
        assert answer.headers["Set-Cookie"].startswith("__Host-clipsearch_session=")
        assert "; Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                                     {"Origin": "http://localhost:9999"}, {"Origin": "null"}])  # fmt: skip
def test_a_cookie_lets_no_other_site_write_and_a_key_in_a_header_is_no_matter_of_sites(
    site: Site, keys: Keys, headers: dict[str, str]
) -> None:
    client = fresh_client(site)
    client.post(f"{API}/session", json={"key": keys.admin.key})
    refused = client.put(f"{API}/label-sets/evil", json={"labels": ["a", "b"]}, headers=headers)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "cross_site")
    for path in (f"{API}/session", "/sign-in", "/sign-out"):
        assert client.post(path, headers=headers, data={"key": keys.read.key}).status_code == 403
    own = fresh_client(site).put(
        f"{API}/label-sets/fine", json={"labels": ["a", "b"]}, headers={**headers, **bearer(keys.admin)}
    )
    assert own.status_code in {200, 201}


def test_a_page_without_a_key_leads_to_the_sign_in_and_back(site: Site, keys: Keys) -> None:
    client = fresh_client(site)
    away = client.get("/?q=a+dog&collection=default", headers=PAGE)
    assert (away.status_code, away.headers["Location"]) == (
        303, "/sign-in?next=/?q%3Da%2Bdog%26collection%3Ddefault",
    )  # fmt: skip
    form = client.get(away.headers["Location"], headers=PAGE)
    assert form.status_code == 200
    assert 'value="/?q=a+dog&amp;collection=default"' in form.text
    assert "<script" not in form.text
    entered = client.post("/sign-in", data={"key": f" {keys.read.key}\n", "next": "/?q=a+dog&collection=default"})
    assert (entered.status_code, entered.headers["Location"]) == (303, "/?q=a+dog&collection=default")
    assert client.get("/", headers=PAGE).status_code == 200
    assert "the read one" in client.get("/sign-in").text
    left = client.post("/sign-out")
    assert (left.status_code, left.headers["Location"]) == (303, "/sign-in")
    assert client.get("/", headers=PAGE).status_code == 303
    assert client.get("/").status_code == 401  # a program that takes anything wants no page


def test_who_is_signed_in_and_follows_a_link_from_another_site_is_not_asked_again(site: Site, keys: Keys) -> None:
    client, linked = fresh_client(site), {**PAGE, "Sec-Fetch-Site": "cross-site"}
    # The browser leaves the cookie out, and the page has it come once more, which brings it.
    away = client.get("/labels", headers=linked)
    form = client.get(away.headers["Location"], headers=linked)
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', form.text)
    assert found is not None
    once_more = html.unescape(found[1])
    assert "refresh" not in client.get(once_more, headers=linked).text
    client.post(f"{API}/session", json={"key": keys.read.key})
    back = client.get(once_more, headers=PAGE)
    assert (back.status_code, back.headers["Location"]) == (303, "/labels")


def test_a_wrong_key_on_the_form_is_told_and_not_shown(site: Site) -> None:
    answer = fresh_client(site).post("/sign-in", data={"key": "cs_not_a_key_at_all", "next": "/labels"})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "not_a_key_at_all" not in answer.text
    assert 'value="/labels"' in answer.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil", "evil",
                                    "javascript:alert(1)", "/\t/evil.example", "/\n/evil", "", "http:evil", "/sign-in",
                                    "//[", "/\x00", "/" + "a" * 5_000, "///evil.example", "/ /evil"])  # fmt: skip
def test_signing_in_leads_nowhere_but_to_this_server(target: str) -> None:
    assert local_path(target) == "/"


@pytest.mark.parametrize("target", ["/", "/labels", "/?q=a+dog&all=1", "/labels?set=caf%C3%A9", "/a//b"])
def test_signing_in_leads_back_to_where_one_was(target: str) -> None:
    assert local_path(target) == target


def test_sessions_are_bounded_and_one_key_cannot_end_those_of_another() -> None:
    sessions = Sessions()
    other = sessions.begin("other")
    tokens = [sessions.begin("greedy") for _ in range(MOST_OF_ONE_KEY + 5)]
    assert sessions.prefix_of(other) == "other"
    assert [sessions.prefix_of(token) for token in tokens[:5]] == [None] * 5
    assert sessions.prefix_of(tokens[-1]) == "greedy"
    assert Sessions(seconds=0.0).prefix_of(Sessions(seconds=0.0).begin("x")) is None
    ended = Sessions(seconds=-1.0)
    assert ended.prefix_of(ended.begin("x")) is None


# Limits, proxies, hosts and origins ---------------------------------------------------------------------------


def test_a_key_has_its_own_limit_and_is_told_when_to_go_on(tmp_path: Path, shared_encoder: Encoder) -> None:
    with locked_site(tmp_path, shared_encoder, pictures=0, rate_limit="5/minute") as site:
        keys = make_keys(site)
        client = fresh_client(site)
        paths = [f"{API}/collections", f"{API}/whoami", f"{API}/jobs", f"{API}/status", f"{API}/collections"]
        assert [client.get(path, headers=bearer(keys.read)).status_code for path in paths] == [200] * 5
        answer = client.get(f"{API}/whoami", headers=bearer(keys.read))
        assert (answer.status_code, answer.get_json()["code"]) == (429, "rate_limited")
        assert answer.content_type == "application/problem+json"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert client.get(f"{API}/whoami", headers=bearer(keys.write)).status_code == 200
        assert [client.get("/healthz").status_code for _ in range(10)] == [200] * 10


def test_a_client_that_writes_its_own_forwarded_address_gains_nothing(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=0, rate_limit="20/hour") as site:
        client, spoofed = site.client, ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip")
        statuses = [
            client.get(f"{API}/whoami", headers=dict.fromkeys(spoofed, f"10.0.0.{one}")).status_code
            for one in range(250)
        ]
    assert statuses == [200] * 20 + [429] * 230


def test_behind_one_proxy_a_client_is_known_by_what_that_proxy_says(tmp_path: Path, shared_encoder: Encoder) -> None:
    settings = {"rate_limit": "3/hour", "trusted_proxies": 1, "require_key": "never"}
    with small_site(tmp_path, shared_encoder, pictures=0, **settings) as site:

        def ask(forwarded: str) -> int:
            return site.client.get(f"{API}/whoami", headers={"X-Forwarded-For": forwarded}).status_code

        assert [ask(f"1.2.3.{one}, 9.9.9.9") for one in range(5)] == [200, 200, 200, 429, 429]
        assert ask("9.9.9.8") == 200
        headers = {"X-Forwarded-Host": "localhost", "Host": "evil.example"}
        assert site.client.get("/healthz", headers=headers).status_code == 421


def test_keys_that_do_not_hold_are_limited_by_address_and_lock_nobody_out(
    tmp_path: Path, shared_encoder: Encoder
) -> None:
    with locked_site(tmp_path, shared_encoder, pictures=0) as site:
        made, client = create_key(site.library, "x"), fresh_client(site)
        statuses = [client.get(f"{API}/whoami", headers=bearer(f"wrong {one}")).status_code for one in range(40)]
        assert statuses == [401] * 30 + [429] * 10
        refused = client.post(f"{API}/session", json={"key": "wrong"})
        assert (refused.status_code, refused.get_json()["code"]) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) >= 1
        assert client.post("/sign-in", data={"key": "wrong"}).status_code == 429
        assert client.get(f"{API}/whoami", headers=bearer(made)).status_code == 200


def test_a_server_answers_under_the_names_that_it_was_given(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=0, allowed_hosts=("photos.example",)) as site:
        for host in ("127.0.0.1", "0.0.0.0"):
            client = create_app(site.library, host=host).test_client()
            for name, status in (("photos.example", 200), ("Photos.Example:443", 200), ("localhost", 200),
                                 ("evil.example", 421), ("photos.example.evil.example", 421)):  # fmt: skip
                assert client.get("/healthz", headers={"Host": name}).status_code == status, (host, name)
        # Others reach it by that name, so that a key is needed.
        assert site.client.get(f"{API}/status").status_code == 401


SHARED = "https://gallery.example"


def test_pages_of_an_origin_that_is_set_may_ask_and_others_may_not(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=1, cors_origins=(SHARED,)) as site:
        preflight = {"Access-Control-Request-Method": "PUT",
                     "Access-Control-Request-Headers": "authorization, idempotency-key"}  # fmt: skip
        path = f"{API}/label-sets/x"
        allowed = site.client.options(path, headers={"Origin": SHARED, **preflight})
        assert allowed.headers["Access-Control-Allow-Origin"] == SHARED
        assert "PUT" in allowed.headers["Access-Control-Allow-Methods"]
        assert "authorization" in allowed.headers["Access-Control-Allow-Headers"].lower()
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        for origin in (
            "https://evil.example",
            "https://gallery.example.evil.example",
            "http://gallery.example",
            "null",
        ):
            other = site.client.options(path, headers={"Origin": origin, **preflight})
            assert "Access-Control-Allow-Origin" not in other.headers
            body = {"labels": ["a", "b"]}
            assert site.client.put(path, json=body, headers={"Origin": origin}).status_code == 403
        cross = {"Origin": SHARED, "Sec-Fetch-Site": "cross-site"}
        assert site.client.put(path, json={"labels": ["a", "b"]}, headers=cross).status_code == 201
        made = create_key(site.library, "x", scope="write")
        site.client.post(f"{API}/session", json={"key": made.key})
        assert site.client.put(path, json={"labels": ["a", "c"]}, headers=cross).status_code == 403


def test_every_origin_may_be_allowed_only_where_a_key_is_needed(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=0) as site:
        settings = site.library.settings.model_copy(update={"cors_origins": ("*",)})
        library = Library(settings, site.library.database)
        with pytest.raises(ConfigError, match="CLIPSEARCH_CORS_ORIGINS"):
            create_app(library)
        client = create_app(library, host="0.0.0.0").test_client()
        answer = client.get(f"{API}/status", headers={"Origin": "https://any.example"})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, "*")
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "gallery.example"),
        ("CORS_ORIGINS", "https://gallery.example/path"),
        ("ALLOWED_HOSTS", "https://photos.example"),
        ("RATE_LIMIT", "often"),
        ("RATE_LIMIT", "0/minute"),
        ("TRUSTED_PROXIES", "-1"),
        ("REQUIRE_KEY", "perhaps"),
    ],
)
def test_settings_of_access_that_mean_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CLIPSEARCH_{name}", value)
    with pytest.raises(ConfigError, match=name):
        read_settings()


def test_lists_are_written_with_commas_or_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSEARCH_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    monkeypatch.setenv("CLIPSEARCH_ALLOWED_HOSTS", "a.example b.example,[::1]")
    settings = read_settings()
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")
    assert settings.allowed_hosts == ("a.example", "b.example", "[::1]")


# Starting -----------------------------------------------------------------------------------------------------

STARTS = {
    ("127.0.0.1", "auto", False): "open",
    ("127.0.0.1", "auto", True): "open",
    ("127.0.0.1", "always", False): "refused",
    ("127.0.0.1", "always", True): "locked",
    ("127.0.0.1", "never", False): "open",
    ("127.0.0.1", "never", True): "open",
    ("0.0.0.0", "auto", False): "refused",
    ("0.0.0.0", "auto", True): "locked",
    ("0.0.0.0", "always", False): "refused",
    ("0.0.0.0", "always", True): "locked",
    ("0.0.0.0", "never", False): "refused",
    ("0.0.0.0", "never", True): "refused",
}


@pytest.mark.parametrize(("host", "require_key", "with_key"), STARTS)
def test_a_server_starts_only_where_it_is_meant_to_be_open_or_somebody_can_get_in(
    library: Library, host: str, require_key: str, with_key: bool
) -> None:
    settings = Settings(**{**library.settings.model_dump(), "require_key": require_key})
    asked = Library(settings, library.database)
    for made in [create_key(asked, "x"), create_key(asked, "y", lifetime=dt.timedelta(days=1))]:
        revoke_key(asked, made.prefix)  # a key that does not hold is none
    if with_key:
        create_key(asked, "x")
    outcome = STARTS[host, require_key, with_key]
    if outcome == "refused":
        with pytest.raises(ConfigError, match=r"clipsearch keys create|CLIPSEARCH_REQUIRE_KEY"):
            check_start(asked, host)
        return
    check_start(asked, host)
    answer = create_app(asked, host=host).test_client().get(f"{API}/status")
    assert answer.status_code == (200 if outcome == "open" else 401)


# Secrets ------------------------------------------------------------------------------------------------------


def test_no_secret_gets_into_a_log_or_an_answer(
    site: Site, keys: Keys, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty secrets, sent by every way there is, right and wrong ones."""
    caplog.set_level(logging.DEBUG)
    planted = [create_key(site.library, f"planted {one}", scope="admin").key for one in range(8)]
    planted += [f"cs_{one:012x}_{'f0' * 31}{one:02x}" for one in range(8)]
    planted += [f"s3cr3t-of-nobody-{one}" for one in range(4)]
    assert len(planted) == 20
    site.app.extensions["clipsearch.access"].failures._counts = None
    heard: list[str] = []

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    for secret in planted:
        client = fresh_client(site)
        for path in (f"{API}/whoami", f"{API}/nowhere", "/", "/sign-in"):
            for headers in (bearer(secret), {"X-Api-Key": secret}, {"Authorization": f"Basic {secret}"}):
                heard.append(client.get(path, headers=headers).text)
        for body in ({"key": secret}, {"key": secret, "more": secret}, {"key": [secret]}, secret):
            answer = client.post(f"{API}/session", json=body)
            heard += [answer.text, answer.headers.get("Set-Cookie", "")]
        heard.append(client.post(f"{API}/session", data=f'{{"key": "{secret}"', content_type="application/json").text)
        heard.append(client.post("/sign-in", data={"key": secret, "next": "/"}).text)
        heard.append(client.put(f"{API}/label-sets/x", json={}, headers=bearer(secret)).text)
        with monkeypatch.context() as patch:
            patch.setattr("clipsearch.web.api.status.status", fail)
            heard.append(client.get(f"{API}/status", headers=bearer(secret)).text)
    heard += [repr(list_keys(site.library)), site.library.settings.model_dump_json(), caplog.text]
    heard += [json.dumps(vars(record), default=repr) for record in caplog.records]
    whole = "\n".join(heard)
    assert "a fault of ours" in caplog.text
    hits = [secret for secret in planted if secret.rpartition("_")[2] in whole]
    assert hits == []


# A real server ------------------------------------------------------------------------------------------------


def test_a_real_server_that_asks_for_a_key_and_a_command_beside_it(
    tmp_path: Path, shared_encoder: Encoder, model_folder: Path
) -> None:
    with small_site(tmp_path, shared_encoder, pictures=2) as site:
        made = create_key(site.library, "x")
    environment = {"CLIPSEARCH_DATA_DIR": str(tmp_path / "data"), "CLIPSEARCH_MODEL": str(model_folder),
                   "CLIPSEARCH_DEVICE": "cpu", "CLIPSEARCH_DTYPE": "float32", "CLIPSEARCH_RUNTIME": "auto"}  # fmt: skip
    with running_server(tmp_path, str(model_folder), require_key="always", trusted_proxies=1) as server:
        assert server.get(f"{API}/status")[0] == 401
        request = Request(f"{server.address}{API}/status", headers=bearer(made))
        assert server.send(request)[0] == 200
        proxied = {"X-Forwarded-Proto": "https", "Content-Type": "application/json"}
        body = json.dumps({"key": made.key}).encode()
        with urlopen(Request(f"{server.address}{API}/session", body, proxied)) as signed_in:
            assert signed_in.headers["Set-Cookie"].startswith("__Host-clipsearch_session=")
        done = call("search", "a red boat", "--json", "--server", environment=environment)
        assert done.code == 0, done.err
        assert len(done.answer["hits"]) == 2
        assert done.err == ""
