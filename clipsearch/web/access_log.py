"""Measures every request and writes its line: route template, never the address that was asked; no body, no headers."""

from __future__ import annotations

import logging
import re
import time

from apiflask import APIFlask
from flask import Response, g, request

from clipsearch.config import Settings
from clipsearch.stages import StageWatch, begin_watch, end_watch
from clipsearch.web.measurements import UNMATCHED, Measurements

log = logging.getLogger("clipsearch.access")

_TELLING = ("debug", "info")
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")


def writes_access_lines(settings: Settings) -> bool:
    """Whether each request gets a line: as it is set, else in JSON, and where the log shows what is normal."""
    if settings.access_log is not None:
        return settings.access_log
    return settings.log_format == "json" or settings.log_level in _TELLING


def observe_requests(app: APIFlask, measurements: Measurements, settings: Settings) -> None:
    """Time every request of the app, set its deadline, count it, and write its line where that is wanted.

    Stands before every other guard, so that what they refuse is measured too.
    """
    writes = writes_access_lines(settings)
    if writes:
        log.setLevel(logging.INFO)  # also where the log shows warnings only: these lines are asked for by name

    @app.before_request
    def _begin() -> None:
        g.began = time.monotonic()
        watch = StageWatch(measurements.stage, g.began + settings.request_seconds, settings.request_seconds)
        g.stage_watch = begin_watch(watch)

    @app.after_request
    def _tell(response: Response) -> Response:
        seconds = time.monotonic() - g.get("began", time.monotonic())
        code = str(g.get("problem_code", "")) if response.status_code >= 400 else ""
        route = route_template()
        measurements.request(route, request.method, response.status_code, seconds, code)
        if writes:
            _write(route, response, seconds, code)
        return response

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        token = g.pop("stage_watch", None)
        if token is not None:
            end_watch(token)


def route_template() -> str:
    """The route that answers this request, as it was declared: /api/v1/collections/{name}."""
    if request.url_rule is None:
        return UNMATCHED
    return _PLACE.sub(r"{\1}", request.url_rule.rule)


def _write(route: str, response: Response, seconds: float, code: str) -> None:
    size = None if response.is_streamed else response.calculate_content_length()
    fields = {
        "request_id": str(g.get("request_id", "")),
        "route": route,
        "method": request.method if request.method.isalpha() else "other",
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
        "bytes": size,
        "key": g.get("key_prefix"),
        "code": code or None,
    }
    log.info("%s %s %s in %s ms", fields["method"], route, fields["status"], fields["ms"], extra=fields)
