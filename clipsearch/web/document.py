"""Finishes the OpenAPI document that APIFlask draws up; knows what it leaves out and what it gets wrong."""

from __future__ import annotations

from typing import Any

from flask import current_app
from pydantic import BaseModel

from clipsearch.web.access_document import describe_access
from clipsearch.web.binding import JSON_IN_PLACE_OF_FORM
from clipsearch.web.errors import INVALID_REQUEST, PROBLEM_TYPE
from clipsearch.web.replies import Problem

PROBLEMS = {
    "BadRequest": "The request cannot be answered as it stands.",
    "Forbidden": "What the request names may not be reached, its key does not allow it, or another site sent it.",
    "NotFound": "There is no such thing.",
    "Conflict": "The request does not fit the state of things; while another changes the collection (already_running), "
    "Retry-After says when to try again.",
    "TooLarge": "More bytes than the limits allow.",
    "UnsupportedMediaType": "The body is of another type than the route takes.",
    "MisdirectedRequest": "The request names another host than this server.",
    "InvalidRequest": "The request does not have the form that is described here.",
    "Fault": "The server failed; its log says why, under the request's id.",
    "Unavailable": "Busy, or the model is not there; Retry-After says when to try again.",
    "StorageFull": "The disk is full; nothing was written.",
}


Responses = dict[int | str, dict[str, str | dict[str, dict[str, Any]]]]


def also(status: int, description: str, message: type[BaseModel]) -> Responses:
    """A second answer of a route, of the same kind as its first."""
    schema = {"$ref": f"#/components/schemas/{message.__name__}"}
    return {status: {"description": description, "content": {"application/json": {"schema": schema}}}}


def a_file(media_type: str, description: str) -> Responses:
    """The answers of a route that gives a file and knows what the asker has already."""
    return {
        200: {"description": description, "content": {media_type: {"schema": {}}}},
        304: {"description": "It is what the asker has already"},
    }


def an_event_stream(description: str) -> Responses:
    """The answer of a route that tells of something as it happens."""
    return {200: {"description": description, "content": {"text/event-stream": {"schema": {}}}}}


def finish(document: dict[str, Any] | str) -> dict[str, Any] | str:
    """The document with bodies required, problems described and each schema named once."""
    if isinstance(document, str):
        raise TypeError("the document is drawn up as JSON")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in [name for name in schemas if "." in name]:
        # APIFlask registers what a message holds under "Message.Part", while the references say "Part".
        schemas.setdefault(name.rpartition(".")[2], schemas[name])
        del schemas[name]
    for name in ("ValidationError", "HTTPError"):
        schemas.pop(name, None)
    for message in JSON_IN_PLACE_OF_FORM.values():
        schemas[message.__name__] = message.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schemas[message.__name__].pop("$defs", {}))
    schemas["Problem"] = Problem.model_json_schema(mode="serialization")
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["responses"] = {
        name: {"description": text, "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        for name, text in PROBLEMS.items()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _finish_operation(path, method, operation)
            _finish_form(operation, schemas)
    document["paths"] = dict(sorted(document["paths"].items()))
    # Blueprints that share a tag bring it once each.
    document["tags"] = [{"name": name} for name in dict.fromkeys(one["name"] for one in document.get("tags", ()))]
    describe_access(document, current_app)
    return document


def _without_null(schema: dict[str, Any]) -> None:
    # An address and a form are made of texts: what is not given is left out, and null is the text "null".
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if schema.get("default", 0) is None:
        del schema["default"]
    if options and len(options) < len(schema["anyOf"]):
        del schema["anyOf"]
        schema |= options[0] if len(options) == 1 else {"anyOf": options}


def _finish_form(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema", {})
    for one in schemas.get(form.get("$ref", "").rpartition("/")[2], {}).get("properties", {}).values():
        _without_null(one)


def _finish_parameter(parameter: dict[str, Any]) -> None:
    if parameter["in"] == "path":
        parameter["required"] = True
        if parameter["name"].endswith("_id"):
            parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
        return
    _without_null(parameter["schema"])
    if description := parameter["schema"].get("description"):
        parameter["description"] = description


def _finish_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    # The name of the view function: APIFlask's own is "get_images_list_images".
    operation["operationId"] = operation["operationId"].split("_", 2)[2]
    for parameter in operation["parameters"]:
        _finish_parameter(parameter)
    body = "requestBody" in operation
    if body:
        operation["requestBody"]["required"] = True
        _add_json(operation["requestBody"]["content"])
    responses = {
        status: {name: part for name, part in response.items() if part != {}}
        for status, response in operation["responses"].items()
    }
    problems = {"421": "MisdirectedRequest", "500": "Fault", "503": "Unavailable"}
    if path.startswith("/api/"):
        problems |= {"400": "BadRequest"}
    if "{" in path:
        problems |= {"404": "NotFound"}
    if any((one["in"], one["name"]) == ("query", "collection") for one in operation["parameters"]):
        problems |= {"404": "NotFound"}
    if {"tags", "label_set"} & {parameter["name"] for parameter in operation["parameters"]}:
        problems |= {"409": "Conflict"}  # tags that do not hold any more
    if method != "get":
        problems |= {"403": "Forbidden", "409": "Conflict", "507": "StorageFull"}
    if "/original" in path:
        problems |= {"403": "Forbidden"}
    if body:
        problems |= {"404": "NotFound", "413": "TooLarge", "415": "UnsupportedMediaType"}
    if body or any(parameter["in"] == "query" for parameter in operation["parameters"]):
        problems[str(INVALID_REQUEST)] = "InvalidRequest"
    for status, name in problems.items():
        if "content" not in responses.get(status, {}) or status == str(INVALID_REQUEST):
            responses[status] = {"$ref": f"#/components/responses/{name}"}
    operation["responses"] = dict(sorted(responses.items()))


def _add_json(content: dict[str, Any]) -> None:
    # A route that takes JSON as well as a form, which APIFlask cannot say.
    for form, body in JSON_IN_PLACE_OF_FORM.items():
        if content.get("multipart/form-data") == {"schema": {"$ref": f"#/components/schemas/{form.__name__}"}}:
            content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
