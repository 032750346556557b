"""What ``GET /`` answers to programs: who asks for no HTML gets JSON that says what this is and where to go on."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import Response, current_app, jsonify, request

from clipsearch import __version__

_EXTENSION = "clipsearch.greeting"


def greet_with(app: APIFlask, **words: Any) -> None:
    """Have programs told this as well, for clients of another system that look for it. The later word wins."""
    app.extensions.setdefault(_EXTENSION, {}).update(words)


def greeting() -> Response | None:
    """The answer to a program; None for a browser, which accepts HTML, and for who does not say what it accepts.

    A client that accepts anything ("*/*", as curl and HTTP libraries say) is a program: browsers name HTML.
    """
    if request.args or _wants_page():
        return None
    response = jsonify(
        {
            "name": "clipsearch",
            "version": __version__,
            "api": "/api/v1",
            "document": "/api/v1/openapi.json",
            "page": "/",
            **current_app.extensions.get(_EXTENSION, {}),
        }
    )
    response.vary.add("Accept")
    return response


def _wants_page() -> bool:
    return "Accept" not in request.headers or any(
        kind in {"text/html", "application/xhtml+xml", "text/*"} and quality > 0
        for kind, quality in request.accept_mimetypes
    )
