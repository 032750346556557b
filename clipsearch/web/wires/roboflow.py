"""The wire of Roboflow's inference: embeddings as they come from the model, and comparisons by cosine."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import numpy as np
from flask import Response, request
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from clipsearch.encoding import ChosenModel
from clipsearch.errors import InvalidInput
from clipsearch.queries import ShortText, Text
from clipsearch.scoring import softmax
from clipsearch.web.errors import InvalidRequest, invalid_request
from clipsearch.web.fetched import fetched
from clipsearch.web.messages import MAX_PICTURES, Base64Image
from clipsearch.web.scopes import needs
from clipsearch.web.wires.bodies import MAX_TEXTS, Body, one_or_many, read_body
from clipsearch.web.wires.models import model_answering
from clipsearch.web.wires.vectors import pictures_encoded, rows, texts_encoded
from clipsearch.web.wires.wire import Problem, reply, wire


def _tell(problem: Problem) -> dict[str, Any]:
    return {"message": problem["detail"], "code": problem["code"], "request_id": problem["request_id"]}


routes = wire("roboflow", _tell)

Kind = Literal["image", "text"]


class SentImage(Body):
    """An image by its kind: base64 of a file, or an address. ``numpy`` is a pickle, which could run code."""

    type: Literal["base64", "url", "numpy"]
    value: Any


Images = Annotated[tuple[SentImage, ...], BeforeValidator(one_or_many), Field(max_length=MAX_PICTURES)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(one_or_many), Field(max_length=MAX_TEXTS)]
_ITS_TEXTS = TypeAdapter(Texts)
_ITS_IMAGES = TypeAdapter(Images)
_BASE64 = TypeAdapter[bytes](Base64Image)


class Named(Body):
    """What every request may say of the model."""

    clip_version_id: ShortText | None = None
    model_id: ShortText | None = None

    @property
    def model(self) -> str | None:
        """The model that the client names, without the family before it; None for the family alone."""
        named = self.clip_version_id or (self.model_id or "").removeprefix("clip/")
        return None if named in {"", "clip"} else named


class EmbedImageBody(Named):
    """Images to embed."""

    image: Images


class EmbedTextBody(Named):
    """Texts to embed."""

    text: Texts


class CompareBody(Named):
    """A subject, and the prompts it is held against: one, a list of them, or some by name."""

    subject: Any
    subject_type: Kind = "image"
    prompt: Any
    prompt_type: Kind = "text"


@routes.post("/clip/embed_image")
@needs("read")
def embed_image() -> Response:
    """The rows of images, not brought to unit length."""
    started = time.perf_counter()
    asked = read_body(EmbedImageBody)
    model = model_answering(asked.model)
    found = pictures_encoded(_files(asked.image, "image"), model)
    return _embeddings(found.raw, started)


@routes.post("/clip/embed_text")
@needs("read")
def embed_text() -> Response:
    """The rows of texts, not brought to unit length."""
    started = time.perf_counter()
    asked = read_body(EmbedTextBody)
    found = texts_encoded(asked.text, model_answering(asked.model))
    return _embeddings(found.raw, started)


@routes.post("/clip/compare")
@needs("read")
def compare() -> Response:
    """Cosines; with ``?scale=softmax`` shares that add up to one, which the original does not have."""
    started = time.perf_counter()
    scale = request.args.get("scale", "cosine")
    if scale not in {"cosine", "softmax"}:
        raise InvalidRequest("scale is cosine or softmax")
    asked = read_body(CompareBody)
    model = model_answering(asked.model)
    names, prompts = _named_prompts(asked)
    if isinstance(asked.subject, list):
        raise InvalidRequest("the subject is one image or one text, not a list")
    subject, its_scale = _vectors(asked.subject, asked.subject_type, "subject", model)
    against, _ = _vectors(prompts, asked.prompt_type, "prompt", model)
    cosines = against.astype(np.float64) @ subject[0].astype(np.float64)
    values = (softmax(its_scale * cosines[None])[0] if scale == "softmax" else cosines).tolist()
    return reply(
        {
            "inference_id": None,
            "frame_id": None,
            "time": time.perf_counter() - started,
            "parent_id": None,
            "similarity": values if names is None else dict(zip(names, values, strict=True)),
        }
    )


def _named_prompts(asked: CompareBody) -> tuple[list[str] | None, Any]:
    """The names of the prompts, None where they have none, and the prompts themselves."""
    prompt = asked.prompt
    one_image = asked.prompt_type == "image" and isinstance(prompt, dict) and {"type", "value"} <= prompt.keys()
    if isinstance(prompt, dict) and not one_image:
        return list(prompt), list(prompt.values())
    return None, prompt


def _vectors(given: Any, kind: Kind, where: str, model: ChosenModel) -> tuple[NDArray[np.float32], float]:
    """The unit rows of texts or images, and the model's scale."""
    try:
        if kind == "text":
            found = texts_encoded(_some(_ITS_TEXTS.validate_python(given), where), model)
        else:
            found = pictures_encoded(_files(_ITS_IMAGES.validate_python(given), where), model)
    except ValidationError as error:
        raise invalid_request(error, where) from error
    return found.vectors, found.model.logit_scale


def _some(given: tuple[str, ...], where: str) -> tuple[str, ...]:
    if not given:
        raise InvalidRequest(f"{where} is an empty list")
    return given


def _files(images: tuple[SentImage, ...], where: str) -> list[bytes]:
    """The bytes of image files, fetched where they are named by an address."""
    found: list[bytes] = []
    for place, image in enumerate(images):
        if image.type == "numpy":
            raise InvalidInput(
                f"{where}[{place}] is of the type numpy, a pickle, which could run any code here; send base64 of a file"
            )
        if not isinstance(image.value, str):
            raise InvalidRequest(f"the value of {where}[{place}] must be a text")
    addresses = iter(fetched([image.value for image in images if image.type == "url"]))
    for place, image in enumerate(images):
        try:
            found.append(next(addresses) if image.type == "url" else _BASE64.validate_python(image.value))
        except ValidationError as error:
            raise InvalidRequest(f"the value of {where}[{place}] is not base64 of an image file") from error
    if not found:
        raise InvalidRequest(f"{where} is an empty list")
    return found


def _embeddings(found: NDArray[np.float32], started: float) -> Response:
    return reply(
        {
            "inference_id": None,
            "frame_id": None,
            "time": time.perf_counter() - started,
            "embeddings": rows(found),
        }
    )
