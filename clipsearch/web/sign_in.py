"""The pages of signing in and out: forms that work without JavaScript."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, make_response, render_template, request, url_for

from clipsearch import __version__
from clipsearch.answers.access import Caller
from clipsearch.authorizing import key_by_prefix
from clipsearch.errors import InvalidKey
from clipsearch.web.access import access, refuse_key
from clipsearch.web.api.access import set_cookie, sign_in, signed_out
from clipsearch.web.credentials import session_cookie
from clipsearch.web.scopes import open_to_all

routes = Blueprint("sign_in", __name__)

LONGEST_TARGET = 4_000


@routes.get("/sign-in")
@open_to_all
def show() -> Response:
    """The form; for who is signed in, the way out.

    Who follows a link from another site comes without the cookie, and is asked to come once more from here, with it.
    """
    target, again = local_path(request.args.get("next", "")), "again" in request.args
    if again and _signed_in() is not None:
        return _go_to(target)
    linked = request.headers.get("Sec-Fetch-Site") == "cross-site" and not again
    return _page(target, once_more=url_for("sign_in.show", next=target, again=1) if linked else "")


@routes.post("/sign-in")
@open_to_all
def enter() -> Response:
    """Sign in by the form, and go on to where one wanted to go."""
    target = local_path(request.form.get("next", ""))
    try:
        _, token = sign_in(request.form.get("key", "")[:500])
    except InvalidKey as error:
        refusal = refuse_key(error)
        many = refusal.status_code == 429
        response = _page(target, "Too many keys were tried from here. Wait a minute." if many else error.message)
        response.status_code = refusal.status_code
        for name in ("WWW-Authenticate", "Retry-After"):
            if name in refusal.headers:
                response.headers[name] = refusal.headers[name]
        return response
    response = _go_to(target)
    set_cookie(response, token)
    return response


@routes.post("/sign-out")
@open_to_all
def leave() -> Response:
    """Sign out, and back to the form."""
    return signed_out(_go_to("/sign-in"))


def local_path(given: str) -> str:
    """The path that was asked for, where it is one of this server; else that of the page."""
    odd = any(not sign.isprintable() or sign in "\\ " for sign in given)
    if not given.startswith("/") or given.startswith("//") or odd or len(given) > LONGEST_TARGET:
        return "/"
    try:
        parts = urlsplit(given)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or parts.path in {"/sign-in", "/sign-out"} else given


def _page(target: str, error: str = "", once_more: str = "") -> Response:
    text = render_template(
        "sign_in.html",
        version=__version__,
        target=target,
        error=error,
        signed_in=_signed_in(),
        once_more=once_more,
    )
    response = make_response(text)
    response.headers["Cache-Control"] = "no-store"
    return response


def _signed_in() -> Caller | None:
    # The guard lets everyone through to here, and so does not look.
    held, token = access(), session_cookie(request)
    prefix = held.sessions.prefix_of(token) if token else None
    if prefix is None:
        return None
    try:
        return held.caller("session", key_by_prefix(held.library, prefix))
    except InvalidKey:
        return None


def _go_to(path: str) -> Response:
    # 303: what comes next is a GET, whatever this was.
    return Response(status=303, headers={"Location": quote(path, safe="/?&=%+#:;,@!$'()*~-._[]"),
                                         "Cache-Control": "no-store"})  # fmt: skip
