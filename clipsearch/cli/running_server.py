"""Asks a running server of the same library; knows when there is one, and when what it says counts.

Its answer is the one that this process would have given itself, half a second later, to the rounding of the number
format that it computes in. Where it has none, for whatever reason, this process answers: nobody is told but those who
read the debug log.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from clipsearch.announcement import HEADER, Announcement, announced_server, database_identity, withdraw
from clipsearch.cli.options import flags_of, settings_from_flags
from clipsearch.environment import Whereabouts, whereabouts

if TYPE_CHECKING:
    import socket

    from clipsearch.answers import Histogram, SearchAnswer

# On the loopback a connection is made at once or not at all; an answer that takes longer is sooner found here.
CONNECT_SECONDS = 0.25
REPLY_SECONDS = 5.0


@dataclass(frozen=True)
class ToldImage:
    """What is printed of an image."""

    id: int
    uri: str


@dataclass(frozen=True)
class ToldShare:
    """What is printed of a term's part in a score."""

    place: int
    contribution: float


@dataclass(frozen=True)
class ToldHit:
    """A hit as a server told it."""

    rank: int
    score: float
    relevance: float | None
    image: ToldImage
    duplicates: list[int]
    group: str | None
    terms: list[ToldShare] | None
    whole: dict[str, Any]

    def model_dump_json(self) -> str:
        """As that of ``answers.Hit``."""
        return _in_one_line(self.whole)


@dataclass(frozen=True)
class ToldAnswer:
    """The answer to a search as a server told it: ``answers.SearchAnswer`` without the cost of checking it."""

    hits: list[ToldHit]
    truncated: bool
    unknown_words: list[str]
    notice: str | None
    whole: dict[str, Any]

    def model_dump_json(self) -> str:
        """As that of ``answers.SearchAnswer``."""
        return _in_one_line(self.whole)

    @property
    def histogram(self) -> Histogram | None:
        """How the scores are spread, where that was asked for."""
        return None if self.whole.get("histogram") is None else self.checked().histogram

    def checked(self) -> SearchAnswer:
        """The same as the object that this process would have made."""
        from clipsearch.answers import SearchAnswer

        return SearchAnswer.model_validate(self.whole)


def ask_search(make_body: Callable[[], dict[str, Any] | None], collection: str | None) -> ToldAnswer | None:
    """What a server of this library answers to a body of the API; None where this process has to answer.

    ``make_body`` is called where there is a server; it gives None for what the API does not take. Raises
    ConfigError for settings that cannot be used.
    """
    where = _whereabouts()
    if not where.use_server:
        return None
    server = announced_server(where.data_dir, database_identity(where.data_dir, where.database_url))
    if server is None or not _runs_as_wanted(server, where):
        return None
    body = make_body()
    if body is None:
        return None
    from urllib.parse import quote

    try:
        path = f"/api/v1/collections/{quote(collection or where.collection, safe='')}/search"
        answer = _told(_reply(server, where, path, json.dumps(body).encode()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        answer = None
        _log(where, f"the server on port {server.port} was of no use: {type(error).__name__}: {error}")
    return answer


def _whereabouts() -> Whereabouts:
    flags = dict(flags_of(click.get_current_context()))
    if flags.pop("debug", False):
        flags["log_level"] = "debug"
    found = whereabouts(flags)
    if found is not None:
        return found
    settings = settings_from_flags()
    where = Whereabouts(**{name: getattr(settings, name) for name in Whereabouts.__dataclass_fields__})
    # A server does not tell its own, and what counts as good enough is not for it to decide.
    return replace(where, use_server=where.use_server and "recall_floor" not in settings.model_fields_set)


def _runs_as_wanted(server: Announcement, where: Whereabouts) -> bool:
    # int8 moves scores by more than rounding, so that only who asked for it may get it.
    dtype_fits = where.dtype == server.dtype or (where.dtype == "auto" and server.dtype != "int8")
    return dtype_fits and where.device in ("auto", server.device) and where.runtime == "auto"


def _reply(server: Announcement, where: Whereabouts, path: str, body: bytes) -> Any:
    """The JSON that it answered with. Raises OSError, ValueError; takes away the announcement of one that is gone."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(server.host, server.port)
    try:
        connection.sock = _connected(server.host, server.port)
        connection.request("POST", path, body, {"Content-Type": "application/json", "Connection": "close"})
        reply = connection.getresponse()
        identity = reply.getheader(HEADER)
        if identity is None:  # as on the pages of the HTTP server itself, for what never comes to the app
            raise ValueError(f"status {reply.status} without an identity")
        if identity != server.identity:
            withdraw(where.data_dir, server)
            raise ValueError("another program answers there")
        if reply.status != 200:
            raise ValueError(f"status {reply.status}")
        return json.loads(reply.read())
    except ConnectionRefusedError:
        withdraw(where.data_dir, server)
        raise
    except HTTPException as error:
        raise ValueError(f"no answer in HTTP: {type(error).__name__}") from error
    finally:
        connection.close()


def _connected(host: str, port: int) -> socket.socket:
    # By hand, since create_connection looks up names, and imports what that takes, also for a number.
    import socket

    connected = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        connected.settimeout(CONNECT_SECONDS)
        connected.connect((host, port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(REPLY_SECONDS)
    except BaseException:
        connected.close()
        raise
    return connected


def _told(whole: Any) -> ToldAnswer:
    if whole["stale"]:
        raise ValueError("it is catching up with the collection")
    hits = [
        ToldHit(
            hit["rank"],
            hit["score"],
            hit["relevance"],
            ToldImage(hit["image"]["id"], hit["image"]["uri"]),
            hit["duplicates"],
            hit["group"],
            None if hit["terms"] is None else [ToldShare(one["place"], one["contribution"]) for one in hit["terms"]],
            hit,
        )
        for hit in whole["hits"]
    ]
    return ToldAnswer(hits, whole["truncated"], whole["unknown_words"], whole["notice"], whole)


def _in_one_line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _log(where: Whereabouts, text: str) -> None:
    if where.log_level == "debug":
        import logging

        from clipsearch.log_lines import start_log

        start_log(where.log_level)
        logging.getLogger(__name__).debug("%s", text)
