"""What every wire is made of: a blueprint whose errors are told in the other system's way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response

from clipsearch.web.errors import PROBLEM_TYPE
from clipsearch.web.wires.admission import PREFIX

Problem = dict[str, Any]


def wire(name: str, tell: Callable[[Problem], Any], *, statuses: Mapping[int, int] | None = None) -> Blueprint:
    """A blueprint for the wire of this name.

    ``tell`` makes of a problem (its members as in RFC 9457) the body that the other system's clients read; what went
    wrong may have been found anywhere, by the guard and the framework as well. ``statuses`` are those that they know
    by another number.
    """
    routes = Blueprint(f"{PREFIX}{name}", __name__)
    others = statuses or {}

    @routes.after_request
    def _translate(response: Response) -> Response:
        if response.mimetype != PROBLEM_TYPE:
            return response
        problem = json.loads(response.get_data())
        response.status_code = others.get(response.status_code, response.status_code)
        problem |= {"status": response.status_code, "title": HTTPStatus(response.status_code).phrase}
        told = tell(problem)
        if told is not problem:
            response.mimetype = "application/json"
        response.set_data(json.dumps(told))
        return response

    return routes


def as_it_is(problem: Problem) -> Problem:
    """For a system that has no way of its own to tell an error: the problem itself."""
    return problem


def reply(body: Any, status: int = 200) -> Response:
    """An answer in JSON, its members in the order in which they stand."""
    return Response(json.dumps(body), status, mimetype="application/json")
