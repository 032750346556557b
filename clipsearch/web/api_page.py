"""The page that shows the API to people, drawn from the app's own OpenAPI document; knows how it is arranged."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

from apiflask import APIFlask

from clipsearch.web.api_schemas import Field, Schema, Words, example, field, fields_of, kind_of, reference
from clipsearch.web.scopes import scope_of


@dataclass(frozen=True)
class Body:
    """One form in which a route takes its body."""

    media_type: str
    kind: Words
    fields: list[Field]


@dataclass(frozen=True)
class Reply:
    """One answer that is no error."""

    status: str
    description: str
    kinds: list[tuple[str, Words]]


@dataclass(frozen=True)
class Operation:
    """One route with one method."""

    name: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    scope: str
    parameters: list[Field]
    bodies: list[Body]
    replies: list[Reply]
    errors: list[tuple[str, str]]
    curl: str

    def says(self, words: list[str]) -> bool:
        """Whether every word stands in what is told of it."""
        names = " ".join(one.name for many in (self.parameters, *(body.fields for body in self.bodies)) for one in many)
        text = f"{self.name} {self.method} {self.path} {self.tag} {self.summary} {names}".lower()
        return all(word in text for word in words)


@dataclass(frozen=True)
class ApiPage:
    """What the template shows."""

    groups: list[tuple[str, list[Operation]]]
    objects: list[tuple[str, str, list[Field]]]
    errors: list[tuple[str, str]]
    found: int
    total: int


def draw_page(app: APIFlask, address: str, find: str = "") -> ApiPage:
    """The page's content, with the operations that say all words of ``find``; ``address`` stands in the examples."""
    document = cast(dict[str, Any], app.spec)
    schemas: dict[str, Schema] = document["components"]["schemas"]
    operations = [
        _operation(app, document, path, method, one, address)
        for path, many in document["paths"].items()
        for method, one in many.items()
    ]
    words = find.lower().split()
    shown = [one for one in operations if one.says(words)]
    tags = dict.fromkeys(one.tag for one in operations)
    groups = [(tag, [one for one in shown if one.tag == tag]) for tag in tags]
    objects = [] if words else [
        (name, schema.get("description", ""), fields_of(schema))
        for name, schema in schemas.items() if schema.get("properties")
    ]  # fmt: skip
    errors = [(name, one["description"]) for name, one in document["components"]["responses"].items()]
    return ApiPage([one for one in groups if one[1]], objects, errors, len(shown), len(operations))


def _operation(
    app: APIFlask, document: dict[str, Any], path: str, method: str, one: dict[str, Any], address: str
) -> Operation:
    schemas = document["components"]["schemas"]
    content = one.get("requestBody", {}).get("content", {})
    bodies = [_body(kind, part["schema"], schemas) for kind, part in content.items()]
    replies, errors = [], []
    for status, response in one["responses"].items():
        if (name := reference(response)) is not None:
            errors.append((status, name))
        else:
            kinds = [(kind, kind_of(part["schema"]) if part.get("schema") else [])
                     for kind, part in response.get("content", {}).items()]  # fmt: skip
            replies.append(Reply(status, response["description"], kinds))
    parameters = [field(given["name"], given["schema"], given.get("required", False), given.get("description", ""))
                  for given in one["parameters"]]  # fmt: skip
    return Operation(
        name=one["operationId"], method=method.upper(), path=path, tag=(one.get("tags") or ["Other"])[0],
        summary=one["summary"], description=one.get("description", ""), scope=_scope(app, path, method),
        parameters=parameters, bodies=bodies, replies=replies, errors=errors,
        curl=_curl(address, path, method, one, schemas),
    )  # fmt: skip


def _body(media_type: str, schema: Schema, schemas: dict[str, Schema]) -> Body:
    name = reference(schema)
    return Body(media_type, kind_of(schema), fields_of(schemas[name] if name else schema))


def _scope(app: APIFlask, path: str, method: str) -> str:
    shape = path.replace("{", "<").replace("}", ">").split("/")
    for rule in app.url_map.iter_rules():
        parts = rule.rule.split("/")
        same = len(parts) == len(shape) and all(
            one == other or (one.startswith("<") and other.startswith("<"))
            for one, other in zip(parts, shape, strict=True)
        )
        if same and method.upper() in (rule.methods or ()):
            return scope_of(app.view_functions[rule.endpoint], method.upper())
    return "read"


def _curl(address: str, path: str, method: str, one: dict[str, Any], schemas: dict[str, Schema]) -> str:
    query = {}
    for given in one["parameters"]:
        value = example(given["schema"], schemas, given["name"])
        if given["in"] == "path":
            value = "animals" if path.startswith("/api/v1/label-sets/{name}") else value
            value = "default" if value == "holiday" else value
            path = path.replace("{" + given["name"] + "}", quote(str(value), safe=""))
        elif given.get("required"):
            query[given["name"]] = value
    words = ["curl", *([] if method == "get" else ["-X", method.upper()]), address + path]
    if query:
        words[-1] += "?" + urlencode(query)
    content = one.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        schema = content["multipart/form-data"]["schema"]
        words += _form_words(schemas[reference(schema) or ""] if reference(schema) else schema, schemas)
    elif "application/json" in content:
        body = example(content["application/json"]["schema"], schemas)
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False)]
    return shlex.join(words)


def _form_words(schema: Schema, schemas: dict[str, Schema]) -> list[str]:
    words = []
    for name, one in schema.get("properties", {}).items():
        inner = one.get("items", one)
        if inner.get("format") == "binary":
            words += ["-F", f"{name}=@photo.jpg"]
        elif name in schema.get("required", ()) or name == "labels":
            value = example(one, schemas, name)
            for part in value if isinstance(value, list) else [value]:
                words += ["-F", f"{name}={part}"]
    return words
