"""Turns whatever a view raises into an RFC 9457 problem; it alone knows which error has which HTTP status."""

from __future__ import annotations

import http
import logging
import math

from apiflask import APIFlask, HTTPError
from flask import Response, g, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from clipsearch.errors import (
    AlreadyRunning,
    Busy,
    ClipSearchError,
    Conflict,
    InvalidInput,
    ModelUnavailable,
    NotAllowed,
    NotFound,
    StorageFull,
    TooLarge,
)
from clipsearch.log_lines import redacted
from clipsearch.web.replies import Problem

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"

# The nearest class in the tree decides; what is not here is a fault of ours.
STATUSES: dict[type[ClipSearchError], int] = {
    InvalidInput: 400,
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    Busy: 503,
    ModelUnavailable: 503,
    StorageFull: 507,
}
INVALID_REQUEST = 422
# Seconds: who holds a collection for longer than short changes wait, indexes.
WHILE_OTHERS_CHANGE = "5"


class InvalidRequest(InvalidInput):
    """The request does not have the form that the document describes."""

    code = "invalid_request"


def register_errors(app: APIFlask) -> None:
    """Have every error of the app answered as a problem, Flask's own included."""
    app.register_error_handler(ClipSearchError, _answer_ours)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(HTTPError, _answer_framework)
    app.register_error_handler(Exception, _answer_fault)


def invalid_request(error: ValidationError, where: str) -> InvalidRequest:
    """What pydantic found, in words; the values themselves are not repeated."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        place = ".".join(str(part) for part in fault["loc"])
        faults.append({"place": place, "message": fault["msg"].removeprefix("Value error, "), "kind": fault["type"]})
    said = "; ".join(
        f"{fault['place']}: {fault['message']}" if fault["place"] else fault["message"] for fault in faults
    )
    return InvalidRequest(f"the {where} cannot be used: {said}", where=where, faults=faults)


def problem(status: int, detail: str, code: str, details: dict[str, object] | None = None) -> Response:
    """An answer of this status as a problem; nothing secret stands in it, whatever was asked."""
    g.problem_code = code
    body = Problem(
        title=_title(status),
        status=status,
        detail=_said(detail),
        code=code,
        request_id=_said(request_id()),
        details={_said(name): _shown(value) for name, value in (details or {}).items()},
    )
    return Response(body.model_dump_json(), status, content_type=PROBLEM_TYPE)


def _said(text: str) -> str:
    # Half a surrogate pair, which a request may hold, cannot be written.
    return redacted(text).encode("utf-8", "replace").decode()


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return {_said(str(name)): _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return _said(value) if isinstance(value, str) else value


def request_id() -> str:
    """The id of this request, which stands in its answer and in the log."""
    return str(g.get("request_id", ""))


def _answer_ours(error: ClipSearchError) -> Response:
    status = _status_of(error)
    if status is None:
        return _answer_fault(error)
    response = problem(status, error.message, error.code, error.details)
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, AlreadyRunning):
        response.headers["Retry-After"] = WHILE_OTHERS_CHANGE
    return response


def _answer_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _answer_fault(error)
    if status < 400:  # a redirection
        return Response(response=error.get_response().response, status=status, headers=dict(error.get_headers()))
    response = problem(status, error.description or _title(status), _code_of(status))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _answer_framework(error: HTTPError) -> Response:
    return problem(error.status_code, error.message or _title(error.status_code), _code_of(error.status_code))


def _answer_fault(error: Exception) -> Response:
    route = request.url_rule.rule if request.url_rule else "no route"
    log.error("request %s (%s %s) failed", request_id(), request.method, route, exc_info=error)
    detail = f"the server failed to answer; the reason stands in its log under {request_id()}"
    return problem(500, detail, "internal_error")


def _status_of(error: ClipSearchError) -> int | None:
    if isinstance(error, InvalidRequest):
        return INVALID_REQUEST
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _code_of(status: int) -> str:
    return _title(status).lower().replace(" ", "_").replace("-", "_")
