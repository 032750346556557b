"""Guards every request and answer: which hosts and sites may ask, and the headers that a browser obeys.

A server on the loopback has no key, so that any page of the web could talk to it through the visitor's browser:
requests under a foreign host name (DNS rebinding) and writes from another site are refused.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from urllib.parse import urlsplit

from apiflask import APIFlask
from flask import Response, g, request

from clipsearch.web.errors import problem

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def guard(app: APIFlask, host: str) -> None:
    """Put the guards before and behind every view; ``host`` is the address that the server binds."""
    allowed = {"localhost", "127.0.0.1", "[::1]", "::1", host.lower()} if is_loopback(host) else None

    @app.before_request
    def _check() -> Response | None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        if allowed is not None and _host_name(request.headers.get("Host", "")) not in allowed:
            return problem(421, "this server answers under its own address only, not under this Host",
                           "wrong_host")  # fmt: skip
        if request.method not in READING and _from_elsewhere():
            return problem(403, "another site may not change anything here", "cross_site")
        return None

    @app.after_request
    def _seal(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.get("request_id") or uuid.uuid4().hex
        if request.path.startswith("/api/") and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


def is_loopback(host: str) -> bool:
    """Whether this address is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _from_elsewhere() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.host.lower()
    except ValueError:  # http://[ is no page of ours
        return True
