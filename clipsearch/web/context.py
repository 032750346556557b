"""What the views work with, found by the running app: the library, its work slots, its jobs and its readiness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from apiflask import APIFlask
from flask import current_app
from werkzeug.exceptions import HTTPException

from clipsearch.config import Settings
from clipsearch.library import Library
from clipsearch.web.job_events import Streams
from clipsearch.web.jobs import Jobs
from clipsearch.web.measurements import Measurements
from clipsearch.web.readiness import Watch
from clipsearch.web.slots import WorkSlots, work_of
from clipsearch.web.thumbnails import ThumbnailCache

EXTENSION = "clipsearch"


@dataclass(frozen=True)
class Context:
    """One of each for one app; ``slots`` are for pictures, ``search_slots`` for what needs none, ``fetch_slots`` for
    requests that wait for pictures from elsewhere."""

    library: Library
    slots: WorkSlots
    search_slots: WorkSlots
    fetch_slots: WorkSlots
    jobs: Jobs
    watch: Watch
    thumbnails: ThumbnailCache
    measurements: Measurements
    streams: Streams = field(default_factory=Streams, kw_only=True)

    @property
    def settings(self) -> Settings:
        """The library's settings."""
        return self.library.settings


def context() -> Context:
    """The context of the app that answers this request."""
    found: Context = current_app.extensions[EXTENSION]
    return found


def slots_by_route(app: APIFlask) -> Callable[[str, str], WorkSlots | None]:
    """Tells by method and path which slots a request takes; None for what takes none, or where that depends on it."""
    held: Context = app.extensions[EXTENSION]
    slots = {"pictures": held.slots, "searches": held.search_slots}
    routes = app.url_map.bind("")

    def find(method: str, path: str) -> WorkSlots | None:
        if method == "OPTIONS":  # answered for the view, and not by it
            return None
        try:
            endpoint, _ = routes.match(path, method)
        except HTTPException:
            return None
        work = work_of(app.view_functions[endpoint], fetches=held.settings.fetch_urls)
        return slots[work] if work else None

    return find
