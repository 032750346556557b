"""Route of exports: labels of a collection as lines, computed while they are sent."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from clipsearch.errors import Busy
from clipsearch.exporting import ExportOptions, Split, export_lines
from clipsearch.web.context import context
from clipsearch.web.document import Responses
from clipsearch.web.export_messages import ExportArgs
from clipsearch.web.slots import WorkSlots

routes = APIBlueprint("export", __name__, tag="Labelled datasets", url_prefix="/api/v1/collections/<name:name>")

LINES = 4_096  # computed at once, while a work slot is held
MEDIA_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson", "cloudevents": "application/x-ndjson"}
_FORMS: dict[str, dict[str, Any]] = {one: {"schema": {}} for one in dict.fromkeys(MEDIA_TYPES.values())}
_ANSWERS: Responses = {200: {"description": "Lines, one image or label each", "content": _FORMS}}


@routes.get("/export")
@routes.input(ExportArgs, location="query")
@routes.doc(responses=_ANSWERS)
def export_labels(name: str, query_data: ExportArgs) -> Response:
    """The images of a collection with their labels, as CSV, as lines of JSON or as CloudEvents.

    Labels are what was decided in a review, else tags that hold, else the model's. An answer that breaks off ends
    without its last chunk.
    """
    held, asked = context(), query_data
    options = ExportOptions(
        form=asked.format,
        split=Split(asked.train, asked.valid, asked.test, seed=asked.seed) if asked.split else None,
        min_probability=asked.min_probability,
        keep_rejected=asked.keep_rejected,
        by=asked.by,
        embeddings=asked.embeddings,
        top=asked.top,
    )
    with held.slots.taken():
        lines = export_lines(held.library, asked.label_set, options, collection=name, filters=asked.filters())
        # What can go wrong mostly goes wrong here, where it still has a status.
        first = _some(lines)
    response = Response(_streamed(first, lines, held.slots), content_type=f"{MEDIA_TYPES[asked.format]}; charset=utf-8")
    suffix = "csv" if asked.format == "csv" else "jsonl"
    response.headers["Content-Disposition"] = f'attachment; filename="labels.{suffix}"'
    return response


def _streamed(first: bytes, lines: Iterator[str], slots: WorkSlots) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        # A slot for the work alone: who reads slowly keeps nobody waiting.
        piece = _next(lines, slots)


def _next(lines: Iterator[str], slots: WorkSlots) -> bytes:
    with ExitStack() as stack:
        _wait_for_slot(stack, slots)
        return _some(lines)


def _wait_for_slot(stack: ExitStack, slots: WorkSlots) -> None:
    """Take a slot for as long as the stack stands, however long it takes: what has begun cannot be refused."""
    while True:
        try:
            stack.enter_context(slots.taken())
        except Busy as error:
            time.sleep(error.retry_after)
        else:
            return


def _some(lines: Iterator[str]) -> bytes:
    return "".join(itertools.islice(lines, LINES)).encode()
