"""What a request brings to show who sends it: a key in a header, or the cookie of a page that is signed in."""

from __future__ import annotations

from flask import Request

from clipsearch.authorizing import prefix_of

KEY_HEADER = "X-Api-Key"
_COOKIE = "clipsearch_session"
# A browser takes a cookie of this name from the server itself only, and over https only.
_SECURE_COOKIE = "__Host-clipsearch_session"
_SCHEME = "bearer "


def sent_key(request: Request) -> str | None:
    """What stands in a header in the place of a key; None where no header is for keys.

    A cookie and a password of HTTP's own kind go along with what another site makes a browser send; this does not.
    """
    authorization = request.headers.get("Authorization", "")
    if authorization[: len(_SCHEME)].lower() == _SCHEME:
        return authorization[len(_SCHEME) :].strip()
    return request.headers.get(KEY_HEADER)


def brings_own_key(request: Request) -> bool:
    """Whether a header holds what has the form of a key of ours: no page of another site can make a browser send
    one."""
    return prefix_of(sent_key(request) or "") is not None


def session_cookie(request: Request) -> str | None:
    """The token of the page's session, if the request brings one."""
    return request.cookies.get(cookie_name(request)) or None


def cookie_name(request: Request) -> str:
    """Under which name the page's session is kept, by how the page was reached."""
    return _SECURE_COOKIE if request.is_secure else _COOKIE
