"""The wire of OpenAI's embeddings, with the modality that infinity added for images."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Annotated, Any, Literal

import numpy as np
from flask import Response
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from clipsearch.encoding import ChosenModel, Encodings
from clipsearch.errors import InvalidInput, TooLarge
from clipsearch.queries import ShortText
from clipsearch.web.errors import InvalidRequest
from clipsearch.web.fetched import fetched
from clipsearch.web.messages import MAX_PICTURES, Base64Image
from clipsearch.web.scopes import needs
from clipsearch.web.wires.bodies import MAX_TEXTS, Body, one_or_many, read_body
from clipsearch.web.wires.models import model_answering
from clipsearch.web.wires.vectors import numbers, pictures_encoded, texts_counted
from clipsearch.web.wires.wire import Problem, reply, wire

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_WEB = ("http://", "https://")
_DATA_URL = TypeAdapter[bytes](Base64Image)


def _tell(problem: Problem) -> dict[str, Any]:
    status = problem["status"]
    faults = problem["details"].get("faults") or [{}]
    return {
        "error": {
            "message": problem["detail"],
            "type": _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error"),
            "param": str(faults[0].get("place", "")).partition(".")[0] or None,
            "code": problem["code"],
        }
    }


routes = wire("openai", _tell, statuses={422: 400})


def _inputs(value: Any) -> Any:
    values = one_or_many(value)
    if isinstance(values, list) and values and isinstance(values[0], int | list):
        raise ValueError("holds numbers of tokens, which stand for other words in each model; send texts")
    return values


class EmbeddingsBody(Body):
    """Texts to embed; with ``modality`` image, images as data: URLs or addresses."""

    model: Annotated[ShortText, Field(min_length=1)]
    input: Annotated[tuple[str, ...], BeforeValidator(_inputs), Field(min_length=1, max_length=MAX_TEXTS)]
    modality: Literal["text", "image"] = "text"
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


@routes.post("/embeddings")
@routes.post("/v1/embeddings")
@needs("read")
def embed() -> Response:
    """Embeddings of unit length, in the order of what was given."""
    asked = read_body(EmbeddingsBody)
    found, tokens = _encoded(asked, model_answering(asked.model))
    if asked.dimensions and asked.dimensions != found.model.dimension:
        raise InvalidInput(
            f"dimensions: the rows of {found.model.name} have {found.model.dimension} numbers, and it was not taught "
            f"to say as much in fewer; leave dimensions out, or say {found.model.dimension}"
        )
    return reply(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": place, "embedding": _written(row, asked.encoding_format)}
                for place, row in enumerate(found.vectors)
            ],
            "model": asked.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "id": f"clipsearch-{uuid.uuid4()}",
            "created": int(time.time()),
        }
    )


def _encoded(asked: EmbeddingsBody, model: ChosenModel) -> tuple[Encodings, int]:
    """The embeddings, and how many tokens were read for them: an image has none."""
    if asked.modality == "image":
        return pictures_encoded(_files(asked.input), model, called="input[{}]"), 0
    return texts_counted(asked.input, model, called="input[{}]")


def _files(inputs: tuple[str, ...]) -> list[bytes]:
    """The bytes of images, from data: URLs and from addresses."""
    if len(inputs) > MAX_PICTURES:
        raise TooLarge(f"input: {MAX_PICTURES} images may be sent at once", limit=MAX_PICTURES)
    addresses = iter(fetched([one for one in inputs if one.startswith(_WEB)]))
    return [next(addresses) if one.startswith(_WEB) else _from_data_url(one, place) for place, one in enumerate(inputs)]


def _from_data_url(written: str, place: int) -> bytes:
    fault = InvalidRequest(f"input[{place}] is neither an image as data:image/…;base64,… nor an address")
    if not written.startswith("data:"):
        raise fault
    try:
        return _DATA_URL.validate_python(written)
    except ValidationError as error:
        raise fault from error


def _written(row: NDArray[np.float32], form: str) -> list[float] | str:
    return numbers(row) if form == "float" else base64.b64encode(row.astype("<f4").tobytes()).decode()
