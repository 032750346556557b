"""Lets requests in: health by threads of its own, others by a line of bounded length, and the rest is told to wait.

waitress' own line has no end, so that under overload every answer, health included, would come later and later. Who
is not let in gets the same problem that the work slots answer with, at a small part of its cost.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]  # brings no types
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.server import BaseWSGIServer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, Task, ThreadedTaskDispatcher  # type: ignore[import-untyped]

from clipsearch.web.errors import PROBLEM_TYPE
from clipsearch.web.readiness import HEALTH_PATHS
from clipsearch.web.replies import Problem
from clipsearch.web.security import HEADERS

log = logging.getLogger(__name__)

# Requests that wait for a thread, when all are taken: some more than come in the time that a refusal takes.
LONGEST_LINE = 64
SHORT_LINE = 4
THREADS_ASIDE = 2
_AT_ONCE = 128
_DETAIL = "the server has all the work it can hold; try again in a moment"


class Refused:
    """What a request bears that is not let in, where waitress looks for a fault of its own."""


class Admission(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress brings no types
    """waitress' dispatcher with an end to its line; ``refused`` is told of each request that is not let in.

    ``full`` says whether no work slot has a place left: the line is short then, for most would wait to be refused.
    """

    def __init__(self, refused: Callable[[], None], full: Callable[[], bool], longest: int = LONGEST_LINE) -> None:
        super().__init__()
        self._refused = refused
        self._full = full
        self._longest = longest
        self._aside = ThreadedTaskDispatcher()
        self._aside.set_thread_count(THREADS_ASIDE)

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return len(self.queue)

    def add_task(self, task: Any) -> None:
        """Take in the first request of a channel, by whom it is to be answered."""
        request = task.requests[0]
        if request.error is not None:
            log.info("a request that cannot be read was refused: %s", request.error.reason)
        if request.path in HEALTH_PATHS:
            self._aside.add_task(task)
        elif request.error is None and len(self.queue) >= (SHORT_LINE if self._full() else self._longest):
            request.error = Refused()
            self._refused()
            self._aside.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop the threads when they are done; waits ``timeout`` seconds at most."""
        done = bool(super().shutdown(cancel_pending, timeout))
        self._aside.shutdown(cancel_pending, 1)
        return done


class _Refusal(Task):  # type: ignore[misc]
    """Answers 503 and leaves the connection open for the next try."""

    complete = True

    def execute(self) -> None:
        """Write the answer."""
        request_id = uuid.uuid4().hex
        problem = Problem(
            title="Service Unavailable", status=503, detail=_DETAIL, code="busy", request_id=request_id,
            details={"retry_after": 1.0},
        )  # fmt: skip
        body = json.dumps(problem.model_dump()).encode()
        self.status = "503 Service Unavailable"
        self.response_headers.extend(
            [*HEADERS.items(), ("Content-Type", PROBLEM_TYPE), ("Retry-After", "1"), ("X-Request-Id", request_id),
             ("Cache-Control", "no-store")]
        )  # fmt: skip
        self.content_length = len(body)
        self.write(b"" if self.request.command == "HEAD" else body)


def _fault_task(channel: Any, request: Any) -> Any:
    return (_Refusal if isinstance(request.error, Refused) else ErrorTask)(channel, request)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """waitress' parser; what it cannot read at all is a bad request as well, and has no path."""

    path = ""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the first line and the headers. Raises ParsingError."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of urllib, as for http://[
            raise ParsingError("Invalid URI") from error


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose refused requests are answered as problems."""

    parser_class = _Parser
    error_task_class = staticmethod(_fault_task)


def open_door(server: BaseWSGIServer, limit: int) -> None:
    """Have a listening server take in all who are at the door, up to ``limit`` connections; waitress takes one a turn.

    A turn looks at every connection, so that under overload who comes last, health included, would wait for as many
    turns as there are others at the door.
    """
    take_one = server.handle_accept

    def take_in() -> None:
        for _ in range(_AT_ONCE):
            inside = len(server.active_channels)
            if inside >= limit:
                return
            take_one()
            if len(server.active_channels) == inside:
                return

    server.handle_accept = take_in
    server.channel_class = Channel
