"""Lets in whom it may: finds who asks, whether they need a key, and whether the key allows what they ask.

A key in a header is always checked. Without one, the page's session counts; without that, a server that only this
machine reaches asks for nothing, and any other answers 401, to a browser with the way to the sign-in.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from apiflask import APIFlask
from flask import Response, current_app, g, redirect, request, url_for

from clipsearch.answers.access import SCOPES, Caller, KeyInfo, Scope
from clipsearch.authorizing import USE_IS_NOTED, check_key, has_valid_key, key_by_prefix, note_use, prefix_of
from clipsearch.config import Settings
from clipsearch.errors import ClipSearchError, ConfigError, InvalidKey, MissingScope, RateLimited, Unauthenticated
from clipsearch.library import Library
from clipsearch.web.credentials import sent_key, session_cookie
from clipsearch.web.errors import problem
from clipsearch.web.limits import Failures
from clipsearch.web.readiness import HEALTH_PATHS
from clipsearch.web.scopes import is_open, scope_of
from clipsearch.web.security import is_loopback
from clipsearch.web.sessions import Sessions

log = logging.getLogger(__name__)

EXTENSION = "clipsearch.access"
OPEN_PATHS = HEALTH_PATHS | {"/favicon.ico"}
CHALLENGE = 'Bearer realm="clipsearch"'
Opening = Callable[[], bool]
Finding = Callable[[], str | None]


@dataclass
class Access:
    """What one app knows of those who ask it."""

    library: Library
    required: bool
    sessions: Sessions = field(default_factory=Sessions)
    failures: Failures = field(default_factory=Failures)
    openings: list[Opening] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _noted: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def caller(self, by: str, key: KeyInfo | None) -> Caller:
        """Who asks, as it is answered; nobody may do everything where no key is needed."""
        scopes = key.scopes if key else [] if self.required else list(SCOPES)
        return Caller.model_validate({
            "by": by, "key": key and key.prefix, "name": key and key.name, "scopes": scopes,
            "expires_at": key and key.expires_at, "key_required": self.required,
        })  # fmt: skip

    def use_is_due(self, key: KeyInfo) -> bool:
        """Whether this use of the key is to be written down; true once a minute."""
        with self._lock:
            moment = time.monotonic()
            if moment - self._noted.get(key.prefix, -math.inf) < USE_IS_NOTED.total_seconds():
                return False
            self._noted[key.prefix] = moment
            return True


def access() -> Access:
    """The access of the app that answers this request."""
    found: Access = current_app.extensions[EXTENSION]
    return found


def needs_key(settings: Settings, host: str) -> bool:
    """Whether a server at this address answers to keys only.

    By ``auto`` it does where others reach it: beyond the loopback, behind a proxy, and under other names than its
    own. Raises ConfigError where ``never`` would leave it open to the network.
    """
    if settings.require_key == "never":
        if not is_loopback(host):
            raise ConfigError(f"{host} can be reached from other machines, so that a key is needed there: "
                              "leave CLIPSEARCH_REQUIRE_KEY unset, or serve on 127.0.0.1")  # fmt: skip
        return False
    shared = not is_loopback(host) or settings.trusted_proxies > 0 or bool(settings.allowed_hosts)
    return shared or settings.require_key == "always"


def check_start(library: Library, host: str) -> None:
    """Raises ConfigError where the server would answer to keys only, and nobody holds one."""
    if needs_key(library.settings, host) and not has_valid_key(library):
        raise ConfigError(f"a server at {host} with these settings answers to API keys only, and there is none that "
                          "holds; make one: clipsearch keys create NAME --scope admin")  # fmt: skip


def open_when(app: APIFlask, opening: Opening) -> None:
    """Ask no key of requests for which ``opening`` says so, as for a wire that is open to a network."""
    app.extensions[EXTENSION].openings.append(opening)


def find_key_by(app: APIFlask, finding: Finding) -> None:
    """Look for a key where ``finding`` does as well, for clients of other systems that send no header of ours."""
    app.extensions[EXTENSION].findings.append(finding)


def admit(app: APIFlask, library: Library, host: str) -> bool:
    """Put the guard before every view; afterwards ``g.caller`` says who asks. Whether the app answers to keys only.

    Raises ConfigError.
    """
    held = Access(library, needs_key(library.settings, host))
    app.extensions[EXTENSION] = held

    @app.before_request
    def _admit() -> Response | None:
        g.caller, g.holder = held.caller("nobody", None), None
        view = current_app.view_functions.get(request.endpoint or "")
        if _asks_nobody() or is_open(view):
            return None
        needed = held.required and not any(opening() for opening in held.openings)
        try:
            by, key = _who_asks(held, needed)
        except InvalidKey as error:
            return refuse_key(error)
        if key is None:
            return _ask_for_key() if needed else None
        g.caller, g.holder, g.key_prefix = held.caller(by, key), key, key.prefix
        scope = scope_of(view, request.method)
        return _refuse_scope(key, scope) if view is not None and scope not in key.scopes else None

    @app.after_request
    def _note(response: Response) -> Response:
        key: KeyInfo | None = g.get("holder")
        if key is not None and held.use_is_due(key):
            response.call_on_close(lambda: _note_use(library, key))
        return response

    @app.context_processor
    def _for_templates() -> dict[str, Caller]:
        return {"caller": g.get("caller") or held.caller("nobody", None)}

    return held.required


def refuse_key(error: InvalidKey) -> Response:
    """401 for a key that does not hold; 429 where the same address sent many of them."""
    wait = access().failures.count(request.remote_addr or "")
    if wait:
        response = problem(429, "too many keys that do not hold came from this address; try again later",
                           RateLimited.code, {"retry_after": wait})  # fmt: skip
        response.headers["Retry-After"] = str(wait)
        return response
    response = problem(401, error.message, error.code, error.details)
    response.headers["WWW-Authenticate"] = f'{CHALLENGE}, error="invalid_token"'
    return response


def _asks_nobody() -> bool:
    # What a method may be and what a page is drawn with are the same on every server.
    return request.method == "OPTIONS" or request.path in OPEN_PATHS or request.endpoint == "static"


def _who_asks(held: Access, needed: bool) -> tuple[str, KeyInfo | None]:
    """By what, and with which key. Raises InvalidKey."""
    key = sent_key(request) or next(filter(None, (finding() for finding in held.findings)), None)
    # The clients of other services always send some key; where none is needed, those are passed over.
    foreign = not needed and not request.path.startswith("/api/")
    if key is not None and not (foreign and prefix_of(key) is None):
        return "key", check_key(held.library, key)
    token = session_cookie(request)
    prefix = held.sessions.prefix_of(token) if token else None
    if token and prefix:
        try:
            return "session", key_by_prefix(held.library, prefix)
        except InvalidKey:
            held.sessions.end(token)
    return "nobody", None


def _ask_for_key() -> Response:
    if request.method in {"GET", "HEAD"} and not request.path.startswith("/api/") and _wants_a_page():
        target = url_for("sign_in.show", next=request.full_path.removesuffix("?"))
        return Response(status=303, headers={"Location": redirect(target).location, "Cache-Control": "no-store"})
    response = problem(401, "this server answers to API keys only: send one as Authorization: Bearer KEY, or sign in "
                       "at /sign-in; to make one, where the server runs: clipsearch keys create NAME",
                       Unauthenticated.code)  # fmt: skip
    response.headers["WWW-Authenticate"] = CHALLENGE
    return response


def _wants_a_page() -> bool:
    # By name: programs that take anything want no page.
    return any(kind == "text/html" for kind, _ in request.accept_mimetypes)


def _refuse_scope(key: KeyInfo, scope: Scope) -> Response:
    return problem(403, f"the key cs_{key.prefix}_… allows {' and '.join(key.scopes)}, and this needs {scope}",
                   MissingScope.code, {"needed": scope, "scopes": list(key.scopes)})  # fmt: skip


def _note_use(library: Library, key: KeyInfo) -> None:
    # After the answer: a writer who is at work keeps nobody waiting for one.
    try:
        note_use(library, key)
    except ClipSearchError as error:
        log.debug("the use of a key was not noted: %s", error)
