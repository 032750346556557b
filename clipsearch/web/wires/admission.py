"""Who may ask a wire: from which networks no key is asked for, and where a wire's own clients put theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from clipsearch.compat import open_networks, opened_to
from clipsearch.config import Settings
from clipsearch.web.binding import IMAGES_JSON_LIMIT
from clipsearch.web.greeting import greeting
from clipsearch.web.raw_body import pieces_of_body

PREFIX = "wire-"
# Found by its form and not by reading the body, which may be large and comes from somebody not known yet.
_KEY_IN_BODY = re.compile(rb'"api_key"\s*:\s*"([A-Za-z0-9_-]{1,200})"')
# More than the form above takes, with some spaces.
_OVERLAP = 512


def wire_asked() -> str | None:
    """The wire that this request is for, by its name in the settings; None for a request of our own API."""
    name = request.blueprint or ""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else None


def opening(settings: Settings) -> Callable[[], bool]:
    """What tells of a request whether it is for a wire that is open to the network that it comes from.

    What counts is the other end of the connection, unless the settings say how many proxies stand before the server:
    anybody may write into X-Forwarded-For whatever he likes.
    """
    networks = open_networks(settings.compat_open)

    def is_open() -> bool:
        # immich's GET / is answered where the page is, to programs only.
        greeted = request.path == "/" and request.method == "GET" and "immich" in networks and greeting() is not None
        wire = "immich" if greeted else wire_asked()
        return wire is not None and opened_to(networks, wire, request.remote_addr or "")

    return is_open


def key_of_wire() -> str | None:
    """The key where a wire's own clients put it and ours do not: Roboflow's ``api_key``, in address or body."""
    if wire_asked() != "roboflow":
        return None
    if named := request.args.get("api_key"):
        return named
    if (request.content_length or 0) > IMAGES_JSON_LIMIT:
        raise RequestEntityTooLarge
    return _key_in(pieces_of_body())


def _key_in(pieces: Iterable[bytes]) -> str | None:
    key, before = None, b""
    for piece in pieces:  # to the end, so that the body is left as it was
        text = before + piece
        if key is None and (found := _KEY_IN_BODY.search(text)):
            key = found[1].decode()
        before = text[-_OVERLAP:]
    return key
