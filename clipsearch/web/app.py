"""Puts the app together: settings of the framework, guards, errors, routes and pages around one library."""

from __future__ import annotations

import os

from apiflask import APIFlask
from flask import Response, request
from werkzeug.routing import BaseConverter, UnicodeConverter, ValidationError

from clipsearch import __version__
from clipsearch.errors import Busy, ConfigError
from clipsearch.following import close_orphaned_runs
from clipsearch.library import Library
from clipsearch.web import binding, pages, panels, sign_in
from clipsearch.web.access import admit
from clipsearch.web.access_log import observe_requests
from clipsearch.web.api import access as access_api
from clipsearch.web.api import (
    classify,
    collections,
    documentation,
    drafts,
    embeddings,
    evaluate,
    export,
    images,
    jobs,
    label_sets,
    models,
    operation,
    search,
    status,
    tags,
)
from clipsearch.web.context import EXTENSION, Context
from clipsearch.web.document import finish
from clipsearch.web.errors import register_errors
from clipsearch.web.idempotency import repeat_safely
from clipsearch.web.jobs import Jobs
from clipsearch.web.limits import limit_rate, trust_proxies
from clipsearch.web.measurements import Measurements
from clipsearch.web.origins import share_with
from clipsearch.web.problem_page import show_problems
from clipsearch.web.readiness import HEALTH_PATHS, Watch
from clipsearch.web.security import guard
from clipsearch.web.slots import FETCH_QUEUE, FETCH_SLOTS, SEARCHES_AT_ONCE, WorkSlots
from clipsearch.web.thumbnails import ThumbnailCache
from clipsearch.web.wires import register_wires

DOCUMENT_PATH = "/api/v1/openapi.json"
LARGEST_ID = 2**63 - 1
LONGEST_NAME = 200
# Those of the API in the order in which its document tells them.
ROUTES = tuple(
    subject.routes
    for subject in (
        collections,
        models,
        images,
        search,
        embeddings,
        classify,
        evaluate,
        export,
        label_sets,
        drafts,
        tags,
        jobs,
        status,
        operation,
        documentation,
        access_api,
        sign_in,
        pages,
        panels,
    )
)


class _Name(UnicodeConverter):
    """A collection's or label set's name in a path; what cannot be one is not found."""

    def to_python(self, value: str) -> str:
        if "\x00" in value or len(value) > LONGEST_NAME:
            raise ValidationError
        return value


class _Id(BaseConverter):
    """A positive number that the database can hold."""

    regex = r"[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        return min(int(value), LARGEST_ID)  # which nothing has that is looked for by it


def create_app(
    library: Library,
    *,
    host: str | None = None,
    slots: WorkSlots | None = None,
    search_slots: WorkSlots | None = None,
) -> APIFlask:
    """The app around an open library; ``host`` is the address it will be reached at, the settings' if not given.

    ``slots`` bound the work on pictures, ``search_slots`` the searches by words, vectors and stored images.
    Raises ConfigError where several worker processes are asked for: each would hold a model of its own.
    """
    _refuse_workers()
    host = host or library.settings.host
    app = _bare_app()
    watch = Watch(library)
    _furnish(app, library, watch, slots, search_slots)
    guard(app, host, library.settings)
    _refuse_while_stopping(app, watch)
    register_errors(app)
    show_problems(app)
    _keep_the_door(app, library, host)
    app.spec_processor(finish)
    for routes in ROUTES:
        app.register_blueprint(routes)
    register_wires(app, library.settings)
    close_orphaned_runs(library)
    return app


def _bare_app() -> APIFlask:
    """The framework, told how this API reads and writes."""
    app = APIFlask(
        "clipsearch.web",
        title="clipsearch",
        version=__version__,
        spec_path=DOCUMENT_PATH,
        docs_path=None,
        json_errors=False,
        static_url_path="/static",
    )
    app.request_class = binding.FormRequest
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        AUTO_SERVERS=False,
        AUTO_OPERATION_ID=True,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        MAX_CONTENT_LENGTH=binding.JSON_LIMIT,
        MAX_FORM_PARTS=binding.FORM_PARTS,
        MAX_FORM_MEMORY_SIZE=binding.FORM_MEMORY,
        SEND_FILE_MAX_AGE_DEFAULT=0,
    )
    app.description = "Index images with CLIP, search them by text and image, and classify them."
    app.json = binding.AnswerProvider(app)
    app.url_map.converters |= {"name": _Name, "id": _Id}
    return app


def _furnish(
    app: APIFlask, library: Library, watch: Watch, slots: WorkSlots | None, search_slots: WorkSlots | None
) -> None:
    """Give the app what its views work with, and have its requests measured."""
    chosen = library.settings
    slots = slots or WorkSlots(chosen.work_slots, chosen.work_queue, chosen.queue_seconds)
    search_slots = search_slots or WorkSlots(
        chosen.search_slots, chosen.search_queue, chosen.queue_seconds, at_once=SEARCHES_AT_ONCE
    )
    measurements = Measurements(library, slots, search_slots)
    observe_requests(app, measurements, chosen)
    app.extensions[EXTENSION] = Context(
        library=library,
        slots=slots,
        search_slots=search_slots,
        fetch_slots=WorkSlots(FETCH_SLOTS, FETCH_QUEUE, chosen.queue_seconds),
        jobs=Jobs(library),
        watch=watch,
        thumbnails=ThumbnailCache(library),
        measurements=measurements,
    )


def _keep_the_door(app: APIFlask, library: Library, host: str) -> None:
    # In this order before each view: who asks, how often, and whether it was asked before.
    required = admit(app, library, host)
    trust_proxies(app, library.settings)
    share_with(app, library.settings, key_required=required)
    limit_rate(app, library.settings, key_required=required)
    repeat_safely(app, library)


def _refuse_while_stopping(app: APIFlask, watch: Watch) -> None:
    @app.before_request
    def _check() -> Response | None:
        if watch.draining and request.path not in HEALTH_PATHS:
            raise Busy("the server is stopping; ask again when it is back", retry_after=5.0)
        return None


def _refuse_workers() -> None:
    workers = os.environ.get("WEB_CONCURRENCY", "").strip()
    if workers not in {"", "0", "1"}:
        raise ConfigError(
            f"WEB_CONCURRENCY is {workers}, and clipsearch serves from one process, with the model in memory once; "
            "unset it, and run more servers behind a proxy where one is not enough"
        )
