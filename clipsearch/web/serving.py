"""Runs the app in waitress: one process, many threads; knows its settings, and how a server is announced and stops."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from apiflask import APIFlask
from waitress import wasyncore  # type: ignore[import-untyped]  # brings no types
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from clipsearch.announcement import (
    HEADER,
    Announcement,
    database_identity,
    is_loopback_address,
    new_announcement,
    publish,
    stands,
    withdraw,
)
from clipsearch.library import Library
from clipsearch.web.access import EXTENSION as ACCESS
from clipsearch.web.access import check_start
from clipsearch.web.admission import Admission, open_door
from clipsearch.web.app import create_app
from clipsearch.web.binding import largest_body
from clipsearch.web.context import EXTENSION, Context, slots_by_route
from clipsearch.web.listening import LINE, allow_files, bind

log = logging.getLogger(__name__)

# More than there are work slots and places in their queue, so that health and browsing are never behind them.
THREADS = 96
# For what takes none of these slots: lists, pages, fetching (slots.FETCH_SLOTS and FETCH_QUEUE), and the streams of
# job events (job_events.MOST_STREAMS).
SPARE_THREADS = 40
CONNECTIONS = 1_000
CHANNEL_SECONDS = 30
HEADER_BYTES = 32_768
# Each read lets another thread run first: an upload takes few of them.
READ_BYTES = 65_536
DRAIN_SECONDS = 30.0
LOOK_SECONDS = 10.0
GRACE_SECONDS = 0.5
# The app says 413 in its own words; waitress, which has only plain text, comes after it.
SPARE_BYTES = 5_000_000


def serve(
    library: Library,
    host: str,
    port: int,
    *,
    ready_file: Path | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal comes, then finish what was begun. Port 0 takes a free one.

    ``announce`` is told the address once the port is bound; without it, it is printed. ``ready_file`` gets the
    address as soon as /readyz says that searches can be answered; from then on until it stops, a server that asks for
    no key also stands in its data folder, where commands find it. Raises ConfigError, also where only keys are
    answered and there is none.
    """
    check_start(library, host)
    app = create_app(library, host=host)
    server = Server(app, library, host, port)
    (announce or _print)(server.address)
    server.install_signals()
    library.start_retraining()
    server.context.watch.start()
    threading.Thread(target=_tell_when_ready, args=(server, ready_file), name="ready", daemon=True).start()
    server.run()


class Server:
    """One listening waitress; ``run`` returns when ``stop`` was called and the work in hand is done."""

    def __init__(self, app: APIFlask, library: Library, host: str, port: int) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it writes a line for each request that waits
        allow_files()
        self.context: Context = app.extensions[EXTENSION]
        self._sockets: dict[int, Any] = {}
        self._stopping = threading.Event()
        self._signals = 0
        self._next_look = math.inf  # at its announcement, which is none yet
        bound = bind(host, port)
        self.port = int(bound.getsockname()[1])
        self._data_dir = library.settings.data_dir
        # Commands have no key, and where one is needed they would ask in vain.
        open_to_all = not app.extensions[ACCESS].required
        self._announcement = _announcement(library, str(bound.getsockname()[0]), self.port) if open_to_all else None
        self._admission = Admission(self.context.measurements.refused, slots_by_route(app))
        places = self.context.slots.places + self.context.search_slots.places
        self._admission.set_thread_count(max(THREADS, places + SPARE_THREADS))
        self._server = create_server(
            _identified(app, self._announcement.identity) if self._announcement else app,
            map=self._sockets,
            _dispatcher=self._admission,
            sockets=[bound],
            connection_limit=CONNECTIONS,
            channel_timeout=CHANNEL_SECONDS,
            max_request_body_size=largest_body(library.settings.max_upload_bytes) + SPARE_BYTES,
            max_request_header_size=HEADER_BYTES,
            backlog=LINE,
            recv_bytes=READ_BYTES,
            asyncore_use_poll=True,
            ident=None,
            expose_tracebacks=False,
            # What the app does not look at is not let through either.
            clear_untrusted_proxy_headers=library.settings.trusted_proxies == 0,
        )
        open_door(self._server, CONNECTIONS)
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.address = f"http://{shown}:{self.port}"

    @property
    def line(self) -> int:
        """How many requests wait for a thread."""
        return self._admission.waiting

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def install_signals(self) -> None:
        """Stop at SIGTERM and SIGINT; a second one ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def announce(self) -> None:
        """Make the server known in its data folder until it stops. The last one of a library wins; when that has
        gone, one that still runs takes its place again."""
        if self._announcement is None:
            return
        try:
            publish(self._data_dir, self._announcement)
        except OSError as error:
            log.warning("commands will not find this server: %s", error)
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self.stopping:
            self._withdraw()

    def _look_at_announcement(self) -> None:
        self._next_look = time.monotonic() + LOOK_SECONDS
        if not stands(self._data_dir):
            self.announce()

    def _withdraw(self) -> None:
        if self._announcement is not None:
            withdraw(self._data_dir, self._announcement)

    def stop(self) -> None:
        """Say that the server is not ready, and have ``run`` return when what was begun is done."""
        self.context.watch.drain()
        self._stopping.set()

    def run(self) -> None:
        """Serve until ``stop``, then finish the requests in hand and the batch of a running job."""
        while not self.stopping:
            self._turn(1.0)
            if time.monotonic() > self._next_look:
                self._look_at_announcement()
        self._withdraw()
        deadline = time.monotonic() + DRAIN_SECONDS
        stopping_jobs = threading.Thread(target=self.context.jobs.stop, args=(DRAIN_SECONDS,), daemon=True)
        stopping_jobs.start()
        self._close_door()
        while time.monotonic() < deadline:
            self._turn(0.05)
            if not self._busy() and not stopping_jobs.is_alive():
                break
        self._server.task_dispatcher.shutdown(timeout=max(0.1, deadline - time.monotonic()))
        wasyncore.close_all(self._sockets)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _close_door(self) -> None:
        # For a moment /readyz says 503 to whoever sends requests here; then those at the door are let in, one a turn.
        grace = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < grace:
            self._turn(0.05)
        inside = -1
        while inside != len(self._sockets):
            inside = len(self._sockets)
            self._turn(0.0)
        for one in [one for one in self._sockets.values() if one.accepting]:
            wasyncore.dispatcher.close(one)

    def _busy(self) -> bool:
        busy = False
        for channel in [one for one in list(self._sockets.values()) if isinstance(one, HTTPChannel)]:
            young = time.time() - channel.last_activity < GRACE_SECONDS
            if channel.requests or channel.total_outbufs_len or young:
                busy = True
            else:  # kept open for further requests, or sending one slowly
                channel.handle_close()
        return busy

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)
        self.stop()


def _announcement(library: Library, host: str, port: int) -> Announcement | None:
    """What commands of this machine need to know; None where they cannot reach this address or tell the database."""
    settings = library.settings
    database = database_identity(settings.data_dir, settings.database_url)
    if database is None or not is_loopback_address(host):
        return None
    return new_announcement(host, port, database=database, device=settings.device, dtype=settings.dtype)


def _identified(app: Any, identity: str) -> Any:
    """The app with the server's identity beside every answer; around it, for an app may serve before and after."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, (HEADER, identity)], *more)

        return app(environ, start)

    return answer


def _tell_when_ready(server: Server, path: Path | None) -> None:
    asked = 0
    while not server.stopping:
        if server.context.watch.state().ready:
            server.announce()
            if path is not None:
                _write_ready_file(server, path)
            return
        asked += 1
        time.sleep(0.1 if asked < 600 else 2.0)  # after a minute it is no matter of moments any more


def _write_ready_file(server: Server, path: Path) -> None:
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            file.write(server.address + "\n")
        os.replace(file.name, path)
    except OSError as error:
        log.error("the ready file %s could not be written: %s", path, error)


def _print(address: str) -> None:
    sys.stdout.write(f"clipsearch serves {address}\n")
    sys.stdout.flush()
