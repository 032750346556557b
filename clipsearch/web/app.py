"""Puts the app together: settings of the framework, guards, errors, routes and pages around one library."""

from __future__ import annotations

import os

from apiflask import APIFlask
from flask import Response, request
from werkzeug.routing import BaseConverter, UnicodeConverter, ValidationError

from clipsearch import __version__
from clipsearch.browsing import close_orphaned_runs
from clipsearch.errors import Busy, ConfigError
from clipsearch.library import Library
from clipsearch.web import binding, pages
from clipsearch.web.api import classify, collections, evaluate, export, images, jobs, label_sets, search, status, tags
from clipsearch.web.context import EXTENSION, Context
from clipsearch.web.document import finish
from clipsearch.web.errors import register_errors
from clipsearch.web.jobs import Jobs
from clipsearch.web.readiness import Watch
from clipsearch.web.security import guard
from clipsearch.web.slots import SEARCH_QUEUE, SEARCH_SLOTS, WorkSlots
from clipsearch.web.thumbnails import ThumbnailCache

DOCUMENT_PATH = "/api/v1/openapi.json"
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
LARGEST_ID = 2**63 - 1
LONGEST_NAME = 200


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
        number = int(value)
        if number > LARGEST_ID:
            raise ValidationError
        return number


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
    watch = Watch(library)
    app.extensions[EXTENSION] = Context(
        library=library,
        slots=slots or WorkSlots(),
        search_slots=search_slots or WorkSlots(SEARCH_SLOTS, SEARCH_QUEUE),
        jobs=Jobs(library),
        watch=watch,
        thumbnails=ThumbnailCache(library),
    )
    guard(app, host or library.settings.host)
    _refuse_while_stopping(app, watch)
    register_errors(app)
    app.spec_processor(finish)
    for subject in (collections, images, search, classify, evaluate, export, label_sets, tags, jobs, status):
        app.register_blueprint(subject.routes)
    app.register_blueprint(pages.routes)
    close_orphaned_runs(library)
    return app


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
