"""What the OpenAPI document says of access: the three ways to bring a key, scopes, and refusals, for each operation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Flask

from clipsearch.web.access import OPEN_PATHS
from clipsearch.web.credentials import KEY_HEADER
from clipsearch.web.errors import PROBLEM_TYPE
from clipsearch.web.idempotency import HEADER, takes_key
from clipsearch.web.scopes import is_open, scope_of

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer cs_…; made by "
               "`clipsearch keys create`"},
    "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same key in a header of its "
               "own"},
    "session": {"type": "apiKey", "in": "cookie", "name": "clipsearch_session", "description": "Set by POST "
                "/api/v1/session, for the page; over https its name begins with __Host-"},
}  # fmt: skip
PROBLEMS = {
    "Unauthorized": "No key, where one is needed, or a key that does not hold (codes key_required, invalid_key).",
    "TooManyRequests": "More requests than are allowed (code rate_limited); Retry-After says when to go on.",
}
PARAMETER = {
    "name": HEADER, "in": "header", "required": False,
    "description": "A request that is sent again with the same key within 24 hours is not carried out again: it gets "
                   "the first answer, with Idempotency-Replayed: true. Another request with the key is 422 "
                   "idempotency_mismatch; while the first is at work it is 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip
_VARIABLE = re.compile(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>")
Views = dict[tuple[str, str], Callable[..., Any]]


def describe_access(document: dict[str, Any], app: Flask) -> None:
    """Add schemes, scopes and refusals to a document that is otherwise finished."""
    document["components"]["securitySchemes"] = SCHEMES
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    document["components"]["responses"] |= {
        name: {"description": text, "content": {PROBLEM_TYPE: reference}} for name, text in PROBLEMS.items()
    }
    views = _views(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            view = views.get((path, method))
            if path not in OPEN_PATHS and view is not None:
                _describe(operation, path, method.upper(), view)


def _views(app: Flask) -> Views:
    return {
        (_VARIABLE.sub(r"{\1}", rule.rule), method.lower()): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def _describe(operation: dict[str, Any], path: str, method: str, view: Callable[..., Any]) -> None:
    refusals = {"429": "TooManyRequests"}
    if is_open(view):
        if "requestBody" in operation:
            refusals |= {"401": "Unauthorized"}  # the key that it holds
    else:
        scope = scope_of(view, method)
        # The empty one: where only this machine reaches the server, no key is needed.
        operation["security"] = [{name: [scope]} for name in SCHEMES] + [{}]
        refusals |= {"401": "Unauthorized", "403": "Forbidden"}
    if takes_key(view, path, method):
        operation.setdefault("parameters", []).append(PARAMETER)
        refusals |= {"409": "Conflict", "422": "InvalidRequest"}
    for status, name in refusals.items():
        operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{name}"})
    operation["responses"] = dict(sorted(operation["responses"].items()))
