"""Guards every request and answer: which hosts and sites may ask, and the headers that a browser obeys.

A server on the loopback has no key, so that any page of the web could talk to it through the visitor's browser:
requests under a foreign host name (DNS rebinding) and writes from another site are refused. So are writes with a
cookie from another site. A key in a header is nothing that a browser sends by itself, and needs no such guard.
"""

from __future__ import annotations

import ipaddress
import re
import uuid

from apiflask import APIFlask
from flask import Response, g, request

from clipsearch.config import Settings
from clipsearch.web.credentials import brings_own_key, session_cookie
from clipsearch.web.errors import problem
from clipsearch.web.scopes import READING

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
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]*)?")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def guard(app: APIFlask, host: str, settings: Settings | None = None) -> None:
    """Put the guards before and behind every view; ``host`` is the address that the server binds.

    Of the settings count the names under which it may be asked, and the origins whose pages may write.
    """
    names = settings.allowed_hosts if settings else ()
    origins = frozenset(one.lower() for one in settings.cors_origins) if settings else frozenset()
    allowed = None
    if names or is_loopback(host):
        # A name that others made lead here (DNS rebinding) is none of these.
        given = {_host_name(f"[{name}]" if name.count(":") > 1 and name[0] != "[" else name) for name in (host, *names)}
        allowed = {"localhost", "127.0.0.1", "[::1]", *given} - {""}

    @app.before_request
    def _check() -> Response | None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        if allowed is not None and _host_name(request.headers.get("Host", "")) not in allowed:
            return problem(421, "this server answers under its own address only, not under this Host",
                           "wrong_host")  # fmt: skip
        if request.method not in READING and _from_elsewhere(origins) and not brings_own_key(request):
            return problem(403, "another site may not change anything here", "cross_site")
        return None

    @app.after_request
    def _seal(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.get("request_id") or uuid.uuid4().hex
        if request.path.startswith("/api/") and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        if response.mimetype == "text/html" and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "private, no-cache"
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
    """The name without its port; empty for what is no name, such as one with somebody's password before it."""
    found = _HOST.fullmatch(host)
    return found["name"].lower() if found else ""


def _from_elsewhere(origins: frozenset[str]) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() in origins and session_cookie(request) is None:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site == "same-origin":  # the browser knows better than we, to whom a proxy may speak otherwise
        return False
    if site not in (None, "none"):
        return True
    return origin is not None and origin.lower() != f"{request.scheme}://{request.host}".lower()
