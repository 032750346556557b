"""The wire of immich's machine learning: CLIP for its smart search, in the new form of request and in the old."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from flask import Response, request
from pydantic import TypeAdapter

from clipsearch.errors import InvalidInput
from clipsearch.images import open_picture
from clipsearch.queries import ShortText
from clipsearch.web.binding import BOUNDARIES, FORM_MEMORY, FORM_PARTS
from clipsearch.web.context import context
from clipsearch.web.errors import InvalidRequest
from clipsearch.web.scopes import needs
from clipsearch.web.upload_limit import check_size
from clipsearch.web.wires.models import model_answering
from clipsearch.web.wires.vectors import numbers, pictures_encoded, texts_encoded
from clipsearch.web.wires.wire import Problem, reply, wire

# In immich's own words, which its users find when they look for them.
_NO_ENTRIES = "Invalid request format."
_NOTHING_TO_SEE = "Either image or text must be provided"
_THUMBNAIL = 64
_ENTRIES = TypeAdapter(dict[ShortText, Any])
_MODEL_NAME = TypeAdapter[str](ShortText)


def _tell(problem: Problem) -> dict[str, Any]:
    return {"detail": problem["detail"]}


routes = wire("immich", _tell)


@dataclass(frozen=True)
class _Entry:
    """What one request asks: which half of which model."""

    kind: Literal["visual", "textual"]
    model: str


@routes.get("/ping")
def ping() -> Response:
    """By this immich knows that the server is there."""
    return Response("pong", mimetype="text/plain")


@routes.post("/predict")
@needs("read")
def predict() -> Response:
    """The vector of an image or of a text, of unit length."""
    limit = context().settings.max_upload_bytes
    request.max_content_length = limit + BOUNDARIES
    request.max_form_parts = FORM_PARTS
    request.max_form_memory_size = FORM_MEMORY
    old = "modelName" in request.form
    image, text = _image(limit), request.form.get("text")
    if image is None and text is None:
        raise InvalidInput(_NOTHING_TO_SEE)
    entry = _old_entry(image is not None) if old else _entry()
    model = model_answering(entry.model)
    if entry.kind == "textual":
        if text is None:
            raise InvalidRequest(f"{_NO_ENTRIES} The entry is textual, and no text came with it.")
        vector = numbers(texts_encoded([text], model, called="text").vectors[0])
        return reply(vector) if old else reply({"clip": _written(vector)})
    if image is None:
        raise InvalidRequest(f"{_NO_ENTRIES} The entry is visual, and no image came with it.")
    vector = numbers(pictures_encoded([image], model, called="image").vectors[0])
    if old:
        return reply(vector)
    height, width = _size(image)
    return reply({"clip": _written(vector), "imageHeight": height, "imageWidth": width})


def _entry() -> _Entry:
    """The entry of the new form: ``{"clip": {"visual": {"modelName": …, "options": {}}}}``."""
    try:
        entries = _ENTRIES.validate_python(json.loads(request.form.get("entries", "")))
        others = sorted(set(entries) - {"clip"})
        asked = {kind: _named(one["modelName"]) for kind, one in dict(entries.get("clip", {})).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidRequest(_NO_ENTRIES) from error
    if others:
        raise InvalidInput(
            f"clipsearch answers for clip, not for {', '.join(others)[:200]}; turn that off in immich, or give immich "
            "the address of its own machine learning beside this one"
        )
    for kind in ("visual", "textual"):
        if asked.keys() == {kind}:
            return _Entry(kind, asked[kind])
    raise InvalidRequest(_NO_ENTRIES)


def _old_entry(image: bool) -> _Entry:
    """The entry of the form that older versions of immich send: fields, and the kind by what came with them."""
    if request.form.get("modelType", "clip") != "clip":
        raise InvalidInput(f"clipsearch answers for clip, not for {request.form['modelType'][:200]}")
    try:
        named = _named(request.form["modelName"])
    except ValueError as error:
        raise InvalidRequest(_NO_ENTRIES) from error
    return _Entry("visual" if image else "textual", named)


def _named(model: Any) -> str:
    """The name of a model as it was sent. Raises ValueError for what is none."""
    return _MODEL_NAME.validate_python(model)


def _image(limit: int) -> bytes | None:
    file = request.files.get("image")
    if file is None:
        return None
    data = file.stream.read(limit + 1)
    check_size([data])
    return data


def _size(image: bytes) -> tuple[int, int]:
    """Height and width of the upright picture."""
    opened = open_picture(image, max_pixels=context().settings.max_pixels, reduced_to=_THUMBNAIL)
    return opened.height, opened.width


def _written(vector: list[float]) -> str:
    """A text that holds JSON: immich hands it to its database as it is."""
    return json.dumps(vector, separators=(",", ":"))
