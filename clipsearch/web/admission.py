"""Lets requests in: health by threads of its own, others where there is a place for them, and the rest is told to wait.

waitress' own line has no end, so that under overload every answer, health included, would come later and later. Who
is not let in gets the problem that the work slots answer with, at once and by the thread that reads: it takes no
thread from those who work, and a small part of what the app would need to say the same.
"""

from __future__ import annotations

import itertools
import json
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import getrandbits
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel  # type: ignore[import-untyped]  # brings no types
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.server import BaseWSGIServer  # type: ignore[import-untyped]
from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]
from waitress.utilities import build_http_date  # type: ignore[import-untyped]

from clipsearch.web.errors import PROBLEM_TYPE
from clipsearch.web.readiness import HEALTH_PATHS
from clipsearch.web.replies import Problem
from clipsearch.web.security import HEADERS
from clipsearch.web.slots import NO_PLACE, WorkSlots

log = logging.getLogger(__name__)

# Requests that wait for a thread, when all are taken.
LONGEST_LINE = 64
THREADS_ASIDE = 2
# So many connections are taken in before those inside are heard again.
_AT_ONCE = 128
# The door is looked at after so many that were heard: a look is a call of the system, and a turn may hear hundreds.
_LOOK_EVERY = 16
# Of what one connection sent in one go; then it is closed.
_MOST_REFUSALS = 16


class Admission(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress brings no types
    """waitress' dispatcher with an end to its line; ``refused`` is told of each request that is not let in.

    ``slots_of`` tells by method and path which slots a request takes, None where that is not known before it is
    read. No more are let in for them than have a slot or a place in their queue.
    """

    def __init__(
        self,
        refused: Callable[[], None],
        slots_of: Callable[[str, str], WorkSlots | None],
        longest: int = LONGEST_LINE,
    ) -> None:
        super().__init__()
        self._refused = refused
        self._slots_of = slots_of
        self._longest = longest
        self._counting = threading.Lock()
        self._inside: Counter[WorkSlots] = Counter()
        self._aside = ThreadedTaskDispatcher()
        self._aside.set_thread_count(THREADS_ASIDE)

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return len(self.queue)

    def add_task(self, task: Channel) -> None:
        """Take in the next request of a channel, by whom it is to be answered; refused ones are answered here."""
        while task.requests:
            request = task.requests[0]
            if task.close_when_flushed:  # the last answer said so
                task.forget()
                return
            if request.error is not None:
                log.info("a request that cannot be read was refused: %s", request.error.reason)
            if request.path in HEALTH_PATHS:
                self._aside.add_task(task)
                return
            if request.error is not None or self._has_place(request):
                super().add_task(task)
                return
            self._refused()
            task.refuse()
        task.have_more()

    def _has_place(self, request: _Parser) -> bool:
        if len(self.queue) >= self._longest:
            return False
        # What a page of another site may read has headers that only the app knows: it refuses those itself.
        slots = None if "ORIGIN" in request.headers else self._slots_of(request.command, request.path)
        if slots is not None:
            with self._counting:
                if self._inside[slots] >= slots.places:
                    return False
                self._inside[slots] += 1
            request.slots = slots
        return True

    def let_out(self, request: _Parser) -> None:
        """Give the place of a request that was let in to the next one, once."""
        with self._counting:
            if request.slots is not None:
                self._inside[request.slots] -= 1
                request.slots = None

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop the threads when they are done; waits ``timeout`` seconds at most."""
        done = bool(super().shutdown(cancel_pending, timeout))
        self._aside.shutdown(cancel_pending, 1)
        return done


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """waitress' parser; what it cannot read at all is a bad request as well, and has no path."""

    path = ""
    slots: WorkSlots | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the first line and the headers. Raises ParsingError."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of urllib, as for http://[
            raise ParsingError("Invalid URI") from error


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection; says when a request that was let in is answered, and answers those that are not let in."""

    parser_class = _Parser
    requests: list[_Parser]
    refusals = 0  # since something was heard

    def service(self) -> None:
        """Answer the next request."""
        request = self.requests[0]
        try:
            super().service()
        finally:
            self.server.task_dispatcher.let_out(request)

    def write_soon(self, data: Any) -> int:
        """Write a part of the answer. Raises ClientDisconnected."""
        if data and self.requests:  # before the client can know that it is its turn again
            self.server.task_dispatcher.let_out(self.requests[0])
        return int(super().write_soon(data))

    def handle_read_event(self) -> None:
        """Hear what came, and whether somebody is at the door."""
        self.refusals = 0
        super().handle_read_event()
        self.server.look_at_door()

    def hear_early(self) -> None:
        """Hear what has come with a new connection."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except OSError:  # nothing yet, or nobody any more: the next turn finds out
            return
        try:
            super().handle_read_event()
        except Exception:  # noqa: BLE001 - this connection's, as in a turn; here it would close the door
            self.handle_error()

    def refuse(self) -> None:
        """Answer the next request with 503, and leave the connection open for another try, where that is wanted."""
        request = self.requests[0]
        self.refusals += 1
        # Who sends many at once without waiting for an answer would have all others wait while they are refused.
        stays = request.version == "1.1" and not request.connection_close and self.refusals < _MOST_REFUSALS
        try:
            self.write_soon(_refusal(stays=stays, with_body=request.command != "HEAD"))
        except ClientDisconnected:
            stays = False
        self.requests.pop(0)  # not before: without a request, the thread that reads would write beside this one
        request.close()
        if not stays:
            self.close_when_flushed = True

    def have_more(self) -> None:
        """Tell who waits with a body for leave to send it; waitress does where it answered the last request itself."""
        further = self.request
        if further is None or not self.connected or self.sent_continue:
            return
        if further.expect_continue and further.headers_finished:
            self.send_continue()

    def forget(self) -> None:
        """Answer none of the requests that came."""
        for request in self.requests:
            request.close()
        self.requests = []


_ID = "REQUEST-ID"  # of no request: it stands where each refusal has its own
_BODY = json.dumps(
    Problem(
        title="Service Unavailable", status=503, detail=NO_PLACE, code="busy", request_id=_ID,
        details={"retry_after": 1.0},
    ).model_dump()
)  # fmt: skip
_HEADERS = {**HEADERS, "Content-Type": PROBLEM_TYPE, "Retry-After": "1", "Cache-Control": "no-store"}
_LINES = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())


def _refusal(*, stays: bool, with_body: bool) -> bytes:
    request_id = f"{getrandbits(128):032x}"
    body = _BODY.replace(_ID, request_id)
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\n{_LINES}X-Request-Id: {request_id}\r\n"
        f"Date: {build_http_date(time.time())}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if stays else 'close'}\r\n\r\n"
    )
    return (head + (body if with_body else "")).encode()


def open_door(server: BaseWSGIServer, limit: int) -> None:
    """Have a listening server take in all who are at the door, up to ``limit`` connections, and hear them at once.

    waitress takes in one a turn, and a turn hears every connection: under overload who comes last, health included,
    would wait for as many turns as there are others at the door. So the door is looked at within a turn as well.
    """
    take_one = server.handle_accept
    heard = itertools.count(1)

    def take_in() -> None:
        if not server.accepting:  # it was closed, and those inside are heard to their end
            return
        for _ in range(_AT_ONCE):
            inside = len(server.active_channels)
            if inside >= limit:
                return
            take_one()
            if len(server.active_channels) == inside:
                return
            next(reversed(server.active_channels.values())).hear_early()

    def look() -> None:
        if next(heard) % _LOOK_EVERY == 0:
            take_in()

    server.handle_accept = take_in
    server.look_at_door = look
    server.channel_class = Channel
