"""The page of the API without a browser: it shows the whole document, its examples fit, and ``/`` greets programs."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from web_fixtures import API, Site, small_site

from clipsearch.encoder import Encoder
from clipsearch.web.api_schemas import kind_of, limits_of
from clipsearch.web.greeting import greet_with

PAGE = f"{API}/docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("site"), shared_encoder, pictures=1) as site:
        yield site


@pytest.fixture(scope="module")
def document(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.client.get(f"{API}/openapi.json").get_json()
    return found


@pytest.fixture(scope="module")
def page(site: Site) -> str:
    answer = site.client.get(PAGE)
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.get_data(as_text=True)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, many in document["paths"].items() for method, one in many.items()]


def test_every_operation_is_shown_once_with_its_parameters(page: str, document: dict[str, Any]) -> None:
    shown = re.findall(r'<article id="op-([^"]+)" aria-labelledby', page)
    assert sorted(shown) == sorted(one["operationId"] for _, _, one in operations(document))
    for _, _, one in operations(document):
        article = page[page.index(f'<article id="op-{one["operationId"]}"') :].partition("</article>")[0]
        for parameter in one["parameters"]:
            assert f"<code>{parameter['name']}</code>" in article
        assert html.escape(one["summary"], quote=False).replace("'", "&#39;") in article
        for status in one["responses"]:
            assert f">{status}<" in article


def test_every_link_within_the_page_leads_somewhere(page: str) -> None:
    places = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= places
    assert len(re.findall(r' id="([^"]+)"', page)) == len(places)


def test_every_example_is_a_request_that_the_document_allows(page: str, document: dict[str, Any]) -> None:
    schemas = document["components"]
    checked = 0
    pattern = r'<article id="op-([^"]+)" aria-labelledby.*?<pre><code>(.*?)</code></pre>'
    commands = {match[1]: html.unescape(match[2]) for match in re.finditer(pattern, page, flags=re.DOTALL)}
    for path, method, one in operations(document):
        words = shlex.split(commands[one["operationId"]])
        assert words[0] == "curl"
        assert ("-X" in words) == (method != "get")
        address = next(word for word in words if word.startswith("http://localhost/"))
        pattern = re.sub(r"\\\{\w+\\\}", "[^/?]+", re.escape(path))
        assert re.fullmatch(pattern, address.removeprefix("http://localhost").partition("?")[0]), address
        if "-d" in words:
            body = json.loads(words[words.index("-d") + 1])
            schema = one["requestBody"]["content"]["application/json"]["schema"]
            jsonschema.Draft202012Validator({**schema, "components": schemas}).validate(body)
            checked += 1
    assert checked > 5


def test_words_find_operations_and_nothing_is_said_where_none_fits(site: Site) -> None:
    found = site.client.get(f"{PAGE}?find=LABEL+set+delete").get_data(as_text=True)
    assert 'id="op-delete_label_set"' in found
    assert 'id="op-healthz"' not in found
    nothing = site.client.get(f"{PAGE}?find=%3Cscript%3Ealert(1)%3C/script%3E").get_data(as_text=True)
    assert "No operation says that." in nothing
    assert "<script>alert" not in nothing


@pytest.mark.parametrize(
    ("schema", "kind", "limits"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "whole number", "1 to 1,000"),
        ({"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]}, "text or null", "up to 20 characters"),
        ({"type": "array", "items": {"$ref": "#/x/Hit"}, "minItems": 1}, "list of Hit", "1 of them or more"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number", ""),
        ({"enum": ["cat", True, None]}, "cat, true, null", ""),
        ({"type": "string", "format": "date-time"}, "time", ""),
        ({"type": "string", "contentEncoding": "base64"}, "base64", ""),
        ({}, "anything", ""),
    ],
)
def test_schemas_are_said_in_words(schema: dict[str, Any], kind: str, limits: str) -> None:
    assert "".join(text for text, _ in kind_of(schema)) == kind
    assert limits_of(schema) == limits


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/*", "text/html"),
        (None, "text/html"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html;q=0, application/json", "application/json"),
    ],
)
def test_programs_are_greeted_in_json_and_browsers_get_the_page(site: Site, accept: str | None, mimetype: str) -> None:
    answer = site.client.get("/", headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200
    assert answer.mimetype == mimetype
    if mimetype == "application/json":
        assert answer.get_json()["name"] == "clipsearch"
        assert site.client.get(answer.get_json()["document"]).status_code == 200


def test_a_wire_can_add_the_words_that_its_clients_look_for(site: Site) -> None:
    before = dict(site.app.extensions)
    try:
        greet_with(site.app, message="Hello")
        answer = site.client.get("/", headers={"Accept": "application/json"}).get_json()
        assert (answer["message"], answer["name"]) == ("Hello", "clipsearch")
    finally:
        site.app.extensions.clear()
        site.app.extensions |= before
