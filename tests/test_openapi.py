"""The OpenAPI document: valid, complete, and the one that is committed.

After a change that is meant: ``python tests/test_openapi.py`` writes docs/openapi.json anew.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from clipsearch.config import read_settings
from clipsearch.library import Library
from clipsearch.web import create_app

COMMITTED = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}


def draw_up() -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """The document of a running app, and the routes that it has."""
    with tempfile.TemporaryDirectory() as folder, Library.open(read_settings(data_dir=Path(folder))) as library:
        app = create_app(library)
        found = app.test_client().get("/api/v1/openapi.json")
        assert found.status_code == 200
        routes = {
            (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
            for rule in app.url_map.iter_rules()
            for method in rule.methods or ()
            if method.lower() in METHODS and (rule.rule.startswith("/api/") or rule.rule.endswith("z"))
        }
        return found.get_json(), routes - {("/api/v1/openapi.json", "get")}


@pytest.fixture(scope="module")
def drawn_up() -> tuple[dict[str, Any], set[tuple[str, str]]]:
    return draw_up()


@pytest.fixture(scope="module")
def document(drawn_up: tuple[dict[str, Any], set[tuple[str, str]]]) -> dict[str, Any]:
    return drawn_up[0]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, many in document["paths"].items() for method, one in many.items()]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_the_committed_document_is_that_of_the_app(document: dict[str, Any]) -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == document, f"renew it: python {Path(__file__)}"


def test_every_route_stands_in_the_document(drawn_up: tuple[dict[str, Any], set[tuple[str, str]]]) -> None:
    document, routes = drawn_up
    assert {(path, method) for path, method, _ in operations(document)} == routes


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        place: Any = document
        for part in reference.split("/"):
            place = place[part]


def test_every_body_is_required_and_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(set(names)) == len(names)
    assert all(one["requestBody"]["required"] for _, _, one in operations(document) if "requestBody" in one)
    assert all(one["summary"] for _, _, one in operations(document))


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for path, _, one in operations(document):
        for status, answer in one["responses"].items():
            if status >= "400" and (path, status) != ("/readyz", "503"):
                assert answer["$ref"].startswith("#/components/responses/")
    for answer in document["components"]["responses"].values():
        assert set(answer["content"]) == {"application/problem+json"}


def test_each_schema_stands_once(document: dict[str, Any]) -> None:
    assert not [name for name in document["components"]["schemas"] if "." in name]
    assert "$defs" not in json.dumps(document)


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps(draw_up()[0], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
