"""What a server says went wrong, as the error that it would have been here; knows codes, and what passes by itself."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from clipsearch.errors import AlreadyRunning, Busy, ClipSearchError, InvalidInput, RateLimited

PROBLEM_TYPE = "application/problem+json"
# What passes by itself: too much to do, a limit, a proxy whose server is starting.
PASSING = frozenset({429, 502, 503, 504})
_NOT_PASSING = frozenset({"model_unavailable"})
_IN_PROGRESS = "idempotency_in_progress"


class NoAnswer(ClipSearchError):
    """The server could not be reached, or broke off, also after trying again."""

    code = "no_answer"


class ServerError(ClipSearchError):
    """The server answered with an error that this version does not know; ``status`` is HTTP's, ``told`` its code."""

    code = "server_error"

    def __init__(self, message: str, status: int, told: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status
        self.told = told


class InvalidRequest(InvalidInput):
    """The server does not take a request of this form: an option is out of its range, or newer than the server."""

    code = "invalid_request"


def error_of(response: httpx2.Response) -> ClipSearchError:
    """The error that an answer tells of; ``details["request_id"]`` stands in the server's log, too."""
    said = _problem(response)
    code, detail = str(said.get("code", "")), str(said.get("detail") or "")
    kind = _KINDS.get(code)
    if kind is None:
        told = f": {detail}" if detail else ""
        message = f"the server answered with status {response.status_code}{told}"
        error: ClipSearchError = ServerError(message, response.status_code, code)
    else:
        error = kind(detail or response.reason_phrase)
    if isinstance(said.get("details"), Mapping):
        error.details |= said["details"]
    if said.get("request_id"):
        error.details["request_id"] = said["request_id"]
    if isinstance(error, Busy | RateLimited):
        error.retry_after = _seconds(error.details.get("retry_after"), error.retry_after)
        error.details["retry_after"] = error.retry_after
    return error


def _seconds(told: object, usual: float) -> float:
    if isinstance(told, int | float) and not isinstance(told, bool) and 0.0 <= told < math.inf:
        return told
    return usual


def seconds_to_wait(response: httpx2.Response, usual: float) -> float | None:
    """After how many seconds to ask again, ``usual`` where the server names none; None where that is of no use."""
    code = str(_problem(response).get("code", ""))
    passing = response.status_code in PASSING and code not in _NOT_PASSING
    # Who works on a collection may do so for hours; the server says when it will be a moment only.
    passing |= code == AlreadyRunning.code and "Retry-After" in response.headers
    if not passing and code != _IN_PROGRESS:
        return None
    return _retry_after(response.headers.get("Retry-After"), usual)


def _retry_after(named: str | None, usual: float) -> float:
    if named is None:
        return usual
    try:
        return max(0.0, float(named))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(named).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return usual


def _problem(response: httpx2.Response) -> Mapping[str, Any]:
    if not response.headers.get("Content-Type", "").startswith(PROBLEM_TYPE):
        return {}
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _with_codes(kind: type[ClipSearchError]) -> dict[str, type[ClipSearchError]]:
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        if below not in (NoAnswer, ServerError):
            found |= _with_codes(below)
    return found


_KINDS = {**_with_codes(ClipSearchError), InvalidRequest.code: InvalidRequest}
