"""The wire of Weaviate's inference container for CLIP: vectors of unit length for texts and images."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from pydantic import Field

from clipsearch.errors import Busy
from clipsearch.queries import Text
from clipsearch.web.context import context
from clipsearch.web.messages import MAX_PICTURES, Base64Image
from clipsearch.web.scopes import needs
from clipsearch.web.wires.bodies import MAX_TEXTS, Body, read_body
from clipsearch.web.wires.models import model_answering, served_model
from clipsearch.web.wires.vectors import pictures_encoded, rows, texts_encoded
from clipsearch.web.wires.wire import Problem, reply, wire


def _tell(problem: Problem) -> dict[str, Any]:
    return {"error": problem["detail"]}


routes = wire("weaviate", _tell)


class VectorizeBody(Body):
    """Texts and images, either of which may be left out."""

    texts: Annotated[tuple[Text, ...], Field(max_length=MAX_TEXTS)] | None = None
    images: Annotated[tuple[Base64Image, ...], Field(max_length=MAX_PICTURES)] | None = None


@routes.post("/vectorize")
@needs("read")
def vectorize() -> Response:
    """A vector for each text and each image, in their order."""
    asked = read_body(VectorizeBody)
    model = model_answering()
    return reply(
        {
            "textVectors": rows(texts_encoded(asked.texts, model).vectors) if asked.texts else [],
            "imageVectors": rows(pictures_encoded(asked.images, model).vectors) if asked.images else [],
        }
    )


@routes.get("/meta")
def meta() -> Response:
    """What model answers; Weaviate shows it among its own facts."""
    library = context().library
    name = served_model(library)
    encoder = library.loaded_encoder(name)
    model = encoder.model if encoder is not None else None
    return reply(
        {
            "model": name,
            "dimension": model.dimension if model else None,
            "image_size": model.image_size if model else None,
            "context_length": model.context_length if model else None,
        }
    )


@routes.get("/.well-known/live")
def live() -> Response:
    """The process answers."""
    return Response(status=204)


@routes.get("/.well-known/ready")
def ready() -> Response:
    """Whether vectors can be had: Weaviate waits for this one at its start."""
    state = context().watch.state()
    if not state.ready:
        raise Busy(f"not ready: model {state.model}; index {state.index}", retry_after=2.0)
    return Response(status=204)
