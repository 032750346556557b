"""A request's body before anybody read it, to be looked through and left as it was; knows who keeps it, and where."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

from flask import request

from clipsearch.web.binding import JSON_LIMIT

PIECE = 65_536


def pieces_of_body() -> Iterator[bytes]:
    """The body piece by piece, never whole in memory; who reads it after the last piece begins at its beginning."""
    body = _rewindable()
    start, left = body.tell(), request.content_length or 0
    while left > 0 and (piece := body.read(min(PIECE, left))):
        left -= len(piece)
        yield piece
    body.seek(start)


def _rewindable() -> IO[bytes]:
    """The body's stream. Our server has spooled it already; for another one that is done here."""
    body: IO[bytes] = request.environ["wsgi.input"]
    seekable = getattr(body, "seekable", None)
    if seekable is None or not seekable():
        copy: IO[bytes] = tempfile.SpooledTemporaryFile(JSON_LIMIT)  # noqa: SIM115  closed with the request
        request.__dict__.setdefault("_streams", []).append(copy)
        left = request.content_length or 0
        while left > 0 and (piece := body.read(min(PIECE, left))):
            copy.write(piece)
            left -= len(piece)
        copy.seek(0)
        request.environ["wsgi.input"] = body = copy
    return body
