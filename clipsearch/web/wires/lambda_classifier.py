"""The wire of the serverless CLIP classifier: one image, some labels, a share for each of them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from flask import Response
from pydantic import Field

from clipsearch.queries import MAX_LABELS, ShortText
from clipsearch.scoring import softmax
from clipsearch.web.messages import Base64Image
from clipsearch.web.scopes import needs
from clipsearch.web.wires.bodies import Body, read_body
from clipsearch.web.wires.models import model_answering
from clipsearch.web.wires.vectors import pictures_encoded, texts_encoded
from clipsearch.web.wires.wire import as_it_is, reply, wire

routes = wire("lambda", as_it_is, statuses={422: 400})


class ClassifyBody(Body):
    """An image and what it may be; labels are taken as they stand, without a template."""

    image_data: Base64Image
    labels: Annotated[tuple[ShortText, ...], Field(min_length=1, max_length=MAX_LABELS)]


@routes.post("/")
@needs("read")
def classify() -> Response:
    """Shares that add up to one, by the model's own scale; labels in the order of the request, each once."""
    asked = read_body(ClassifyBody)
    labels = list(dict.fromkeys(asked.labels))
    model = model_answering()
    seen = pictures_encoded([asked.image_data], model, called="image_data")
    read = texts_encoded(asked.labels, model, called="labels[{}]")
    rows = read.vectors[[asked.labels.index(label) for label in labels]]
    cosines = rows.astype(np.float64) @ seen.vectors[0].astype(np.float64)
    shares = softmax(read.model.logit_scale * cosines[None])[0]
    return reply({"result": dict(zip(labels, shares.tolist(), strict=True))})


@routes.after_request
def _to_any_page(response: Response) -> Response:
    # The original says so of every answer. Which pages may ask at all is for the guard to say.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
