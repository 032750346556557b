"""Routes of who asks: sign in, sign out, and what the one who asks may do."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, current_app, g, make_response, request

from clipsearch.answers.access import Caller
from clipsearch.authorizing import check_key
from clipsearch.errors import InvalidKey
from clipsearch.web.access import access, refuse_key
from clipsearch.web.access_messages import SessionBody
from clipsearch.web.credentials import cookie_name, session_cookie
from clipsearch.web.scopes import open_to_all
from clipsearch.web.sessions import SECONDS

routes = APIBlueprint("access", __name__, tag="Access", url_prefix="/api/v1")


@routes.get("/whoami")
@routes.output(Caller)
def whoami() -> Caller:
    """Who is asking, and what they may do."""
    found: Caller = g.caller
    return found


@routes.post("/session")
@routes.input(SessionBody, location="json")
@routes.output(Caller)
@open_to_all
def begin_session(json_data: SessionBody) -> Response:
    """Sign in: the answer sets a cookie that stands for the key, for a week."""
    try:
        caller, token = sign_in(json_data.key.get_secret_value())
    except InvalidKey as error:
        return refuse_key(error)
    response = make_response(current_app.json.response(caller))
    set_cookie(response, token)
    return response


@routes.delete("/session")
@routes.doc(responses={204: "Nobody is signed in by this cookie any more"})
@open_to_all
def end_session() -> Response:
    """Sign out: the cookie is worth nothing from now on."""
    return signed_out(Response(status=204))


def sign_in(key: str) -> tuple[Caller, str]:
    """Who the holder of this key is, and a token that stands for it. Raises InvalidKey."""
    held = access()
    info = check_key(held.library, key.strip())
    g.holder, g.key_prefix = info, info.prefix
    return held.caller("session", info), held.sessions.begin(info.prefix)


def set_cookie(response: Response, token: str) -> None:
    """Have the browser keep the token: out of reach of scripts, and of requests that other sites make it send."""
    name = cookie_name(request)
    response.set_cookie(name, token, max_age=SECONDS, httponly=True, samesite="Strict", secure=request.is_secure)
    response.headers["Cache-Control"] = "no-store"


def signed_out(response: Response) -> Response:
    """The same answer, with the session at an end and the cookie taken back."""
    token = session_cookie(request)
    if token:
        access().sessions.end(token)
    response.delete_cookie(cookie_name(request), httponly=True, samesite="Strict", secure=request.is_secure)
    return response
