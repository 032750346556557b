"""Writes that may be sent twice and are done once: ``Idempotency-Key`` gives a repeated request the answer it had.

What makes two requests the same is their method, address and body, read piece by piece from where the server keeps
it; of a form with files the boundary, which every client draws anew, does not count. What failed in the server, and
what was refused because there was too much to do or because another was at work, is not kept: it may be sent again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apiflask import APIFlask
from flask import Response, current_app, g, request

from clipsearch.database import idempotency as rows
from clipsearch.errors import AlreadyRunning, ClipSearchError, LeaseLost
from clipsearch.library import Library
from clipsearch.web.binding import largest_body
from clipsearch.web.errors import INVALID_REQUEST, problem
from clipsearch.web.raw_body import pieces_of_body
from clipsearch.web.scopes import READING, is_open, scope_of

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
# Larger answers are not kept; a repetition is told that the work is done.
LARGEST_ANSWER = 1_000_000
KEPT_HEADERS = ("Content-Type", "ETag", "Link", "Location")
RETRY_SECONDS = 2
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Refusals that pass by themselves: another was at work, or took over.
_PASSING = frozenset({AlreadyRunning.code, LeaseLost.code})


@dataclass(frozen=True)
class Claim:
    """A request that is at work, by its holder and key."""

    holder: str
    key: str


def repeat_safely(app: APIFlask, library: Library) -> None:
    """Have writes under /api/v1 with an idempotency key done once; stands behind the guard that finds who asks."""

    @app.before_request
    def _begin() -> Response | None:
        key = request.headers.get(HEADER)
        if key is None or not _is_write():
            return None
        if not _KEY.fullmatch(key):
            return problem(INVALID_REQUEST, f"{HEADER} is 1 to 255 visible ASCII characters", "invalid_request")
        if (request.content_length or 0) > largest_body(library.settings.max_upload_bytes):
            return None  # which the view refuses
        holder = str(g.get("key_prefix") or "nobody")
        digest = _digest_of_request()
        with library.database.write() as connection:
            known = rows.claim(connection, holder, key, digest)
        if known is not None:
            return _answer_again(known, digest)
        g.idempotency = Claim(holder, key)
        return None

    @app.after_request
    def _keep(response: Response) -> Response:
        claim: Claim | None = g.pop("idempotency", None)
        if claim is not None:
            _settle(library, claim, response)
        return response

    @app.teardown_request
    def _forget(_error: BaseException | None) -> None:
        claim: Claim | None = g.pop("idempotency", None)
        if claim is not None:  # whatever went wrong, there was no answer
            _settle(library, claim, None)


def takes_key(view: Any, path: str, method: str) -> bool:
    """Whether this view looks at the header."""
    writes = method not in READING and scope_of(view, method) != "read"
    return path.startswith("/api/v1/") and view is not None and writes and not is_open(view)


def _is_write() -> bool:
    return takes_key(current_app.view_functions.get(request.endpoint or ""), request.path, request.method)


def _answer_again(known: rows.KeptAnswer, digest: str) -> Response:
    if known.request_digest != digest:
        return problem(INVALID_REQUEST, f"this {HEADER} came with another request before; a new request needs a key of "
                       "its own", "idempotency_mismatch")  # fmt: skip
    if known.status is None:
        response = problem(409, f"the first request with this {HEADER} is still at work", "idempotency_in_progress")
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    if known.body is None:
        return problem(409, f"the first request with this {HEADER} was carried out with status {known.status}; its "
                       "answer was too large to be kept", "idempotency_answer_gone")  # fmt: skip
    again = Response(known.body, known.status)
    again.headers.remove("Content-Type")
    again.headers.update(known.headers)
    again.headers[REPLAYED] = "true"
    return again


def _settle(library: Library, claim: Claim, response: Response | None) -> None:
    """Keep the answer, or forget the request where it may be sent again. What fails here costs no answer."""
    try:
        with library.database.write() as connection:
            if response is None or _may_be_sent_again(response):
                rows.release(connection, claim.holder, claim.key)
                return
            whole = not response.is_streamed and not response.direct_passthrough
            body = response.get_data() if whole else None
            if body is not None and len(body) > LARGEST_ANSWER:
                body = None
            headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
            rows.keep_answer(connection, claim.holder, claim.key, response.status_code, headers, body)
    except ClipSearchError as error:
        log.warning("the answer to a write with an idempotency key could not be kept: %s", error)


def _may_be_sent_again(response: Response) -> bool:
    refused = response.status_code == 409 and g.get("problem_code") in _PASSING
    return refused or response.status_code == 429 or response.status_code >= 500


def _digest_of_request() -> str:
    digest = hashlib.sha256()
    for part in (request.method, request.path, request.query_string.decode("latin-1"), request.mimetype):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    boundary = request.mimetype_params.get("boundary", "") if request.mimetype == "multipart/form-data" else ""
    _update(digest, pieces_of_body(), boundary.encode("latin-1", "replace"))
    return digest.hexdigest()


def _update(digest: Any, pieces: Iterable[bytes], boundary: bytes) -> None:
    """Hash a body, with nothing in the place of the boundary."""
    pending = b""
    kept_back = max(0, len(boundary) - 1)
    for piece in pieces:
        *whole, pending = (pending + piece).split(boundary) if boundary else [pending + piece]
        for part in whole:
            digest.update(part + b"\0boundary\0")
        # The end may be the beginning of a boundary.
        ready = len(pending) - kept_back
        if ready > 0:
            digest.update(pending[:ready])
            pending = pending[ready:]
    digest.update(pending)
