"""A problem as a page, for people who came to an address that cannot be shown; programs get it as JSON."""

from __future__ import annotations

import logging

from apiflask import APIFlask
from flask import Response, render_template, request

from clipsearch import __version__

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"
TITLES = {403: "This is not allowed", 404: "There is no such page", 500: "Something went wrong"}


def show_problems(app: APIFlask) -> None:
    """Have the problems of ``TITLES`` shown as pages to browsers that want one, outside the API."""

    @app.after_request
    def _show(response: Response) -> Response:
        title = TITLES.get(response.status_code)
        if title is None or response.mimetype != PROBLEM_TYPE or not wants_a_page():
            return response
        told = response.get_json()
        try:
            page = render_template("problem.html", version=__version__, title=title, detail=_detail(told),
                                   number=told["request_id"] if response.status_code == 500 else "")  # fmt: skip
        except Exception:  # what goes wrong here must not hide what went wrong there
            log.exception("the page of a problem could not be drawn")
            return response
        response.set_data(page)
        response.content_type = "text/html; charset=utf-8"
        response.headers["Cache-Control"] = "no-store"
        return response


def wants_a_page() -> bool:
    """Whether a browser asks for something to look at. By name: programs that take anything want no page."""
    if request.method not in {"GET", "HEAD"} or request.path.startswith(("/api/", "/static/")):
        return False
    return any(kind == "text/html" for kind, _ in request.accept_mimetypes)


def _detail(told: dict[str, str]) -> str:
    if told["code"] == "not_found":
        return "The link is not right, or what it led to is gone."
    return f"{told['detail'][:1].upper()}{told['detail'][1:]}."
