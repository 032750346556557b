"""Turns a request into a checked message and a message into JSON; the only place where pydantic meets the framework.

It stands in for APIFlask's own adapter, which takes no lists from forms, lets ``true`` pass for 1 and keeps the
last of two equal keys.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import IO, Any, NoReturn

from apiflask.schema_adapters import registry
from apiflask.schema_adapters.base import SchemaAdapter
from flask import Request, Response, abort
from flask.json.provider import DefaultJSONProvider
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import JsonSchemaMode
from werkzeug.datastructures import FileStorage, MultiDict

from clipsearch.answers import Answer
from clipsearch.web.classify_messages import SetsBody, SetsForm
from clipsearch.web.context import context
from clipsearch.web.embedding_messages import EmbeddingsBody
from clipsearch.web.errors import InvalidRequest, invalid_request
from clipsearch.web.forms import Forms
from clipsearch.web.image_messages import ImagesBody, ImagesForm
from clipsearch.web.label_messages import ExamplesBody, ExamplesForm
from clipsearch.web.messages import (
    MAX_PICTURES,
    ClassifyBody,
    ClassifyForm,
    LabelSetForm,
    SearchBatchBody,
    SearchBody,
    Upload,
)
from clipsearch.web.preview_messages import ExampleImagesBody, ExampleImagesForm
from clipsearch.web.upload_limit import check_size

JSON_LIMIT = 1_000_000
# Base64 makes four characters of three bytes.
IMAGES_JSON_LIMIT = 30_000_000
FORM_PARTS = 64
FORM_MEMORY = 100_000
# A form may repeat the field of a label a thousand times.
LABELS_FORM_PARTS = MAX_PICTURES + 1_200
LABELS_FORM_MEMORY = 1_000_000
# As many images in one form as this many of the largest size.
LARGEST_IMAGES = 4
BOUNDARIES = 500_000
# Named here, because APIFlask hands an adapter nothing but the request.
JSON_WITH_IMAGES = frozenset({SearchBody, SearchBatchBody, ClassifyBody, SetsBody, EmbeddingsBody, ImagesBody})
FORMS_WITH_LABELS = frozenset({ClassifyForm, LabelSetForm, SetsForm, ImagesForm})
JSON_IN_PLACE_OF_FORM: dict[type[BaseModel], type[BaseModel]] = {
    ClassifyForm: ClassifyBody,
    SetsForm: SetsBody,
    ExamplesForm: ExamplesBody,
    ImagesForm: ImagesBody,
    ExampleImagesForm: ExampleImagesBody,
}


class FormRequest(Request):
    """A request that closes the files of a form also where its reading broke off."""

    form_data_parser_class = Forms

    def _get_file_stream(self, *arguments: Any, **named: Any) -> IO[bytes]:
        stream = super()._get_file_stream(*arguments, **named)
        self.__dict__.setdefault("_streams", []).append(stream)
        return stream

    def close(self) -> None:
        """Close what came with the request."""
        super().close()
        for stream in self.__dict__.get("_streams", ()):
            stream.close()


class MessageAdapter(SchemaAdapter):
    """Reads and writes one kind of message."""

    def __init__(self, schema: type[BaseModel], schema_name: str | None = None, many: bool = False) -> None:
        super().__init__(schema, schema_name, many)
        self.message = schema
        properties = schema.model_json_schema().get("properties", {})
        self._lists = {name for name, one in properties.items() if _is_list(one)}

    @property
    def schema_type(self) -> str:
        """The name under which APIFlask knows this adapter."""
        return "pydantic"

    def get_schema_name(self) -> str:
        """The message's name in the document."""
        return self.message.__name__

    def get_openapi_schema(self, **_kwargs: Any) -> dict[str, Any]:
        """JSON schema; of an answer as it is written, where every field is there."""
        mode: JsonSchemaMode = "serialization" if issubclass(self.message, Answer) else "validation"
        return self.message.model_json_schema(ref_template="#/components/schemas/{model}", mode=mode)

    def serialize_output(self, data: Any, many: bool = False) -> Any:
        """The answer itself, which ``AnswerProvider`` writes."""
        if not isinstance(data, self.message):
            raise TypeError(f"the view gave {type(data).__name__}, not {self.message.__name__}")
        return data

    def validate_input(self, request: Request, location: str, **_kwargs: Any) -> BaseModel:
        """The message in this part of the request. Raises InvalidRequest, TooLarge."""
        if location == "json":
            return self._from_json(request)
        if location == "query":
            return self._from_strings(self._values(request.args), "address")
        if request.is_json and self.message in JSON_IN_PLACE_OF_FORM:
            return MessageAdapter(JSON_IN_PLACE_OF_FORM[self.message])._from_json(request)
        _prepare_form(request, labels=self.message in FORMS_WITH_LABELS)
        values = self._values(request.form)
        for name in request.files:
            if name in values:
                raise InvalidRequest(f"the field {name} is a file and a text at once")
            uploads = tuple(_upload(file) for file in request.files.getlist(name))
            values[name] = uploads if name in self._lists else _only(name, uploads)
        return self._from_strings(values, "form")

    def _from_json(self, request: Request) -> BaseModel:
        if not request.is_json:
            abort(415, "the body must be JSON, with Content-Type: application/json")
        if self.message not in JSON_WITH_IMAGES:
            request.max_content_length = JSON_LIMIT
            return self._parsed(request)
        request.max_content_length = IMAGES_JSON_LIMIT
        # Reading one takes several times its size in memory.
        with context().slots.taken() if (request.content_length or 0) > JSON_LIMIT else nullcontext():
            return self._parsed(request)

    def _parsed(self, request: Request) -> BaseModel:
        body = request.get_data(cache=False)
        if request.content_length is not None and len(body) < request.content_length:
            raise InvalidRequest("the body ended before its announced length")
        try:
            values = json.loads(body, object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_float=_number)
            return self.message.model_validate(values)
        except ValidationError as error:
            raise invalid_request(error, "body") from error
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"the body is not JSON: {error}" if str(error) else "the body is not JSON") from error

    def _from_strings(self, values: dict[str, Any], where: str) -> BaseModel:
        try:
            return self.message.model_validate(values)
        except ValidationError as error:
            raise invalid_request(error, where) from error

    def _values(self, given: MultiDict[str, str]) -> dict[str, Any]:
        return {name: tuple(values) if name in self._lists else _only(name, values) for name, values in given.lists()}


class AnswerProvider(DefaultJSONProvider):
    """Writes answers as pydantic does, in one go and in the order of their fields; all else as Flask does."""

    sort_keys = False

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """The JSON response of an answer, or of any other values."""
        if len(args) == 1 and isinstance(args[0], Answer):
            return Response(args[0].model_dump_json(), mimetype=self.mimetype)
        return Response(self.dumps(args[0] if args else kwargs), mimetype=self.mimetype)


def use_messages() -> None:
    """Have APIFlask read and write pydantic models through this module."""
    registry.register("pydantic", MessageAdapter)


def largest_body(max_upload_bytes: int) -> int:
    """The largest request body that any route takes."""
    return max(IMAGES_JSON_LIMIT, LARGEST_IMAGES * max_upload_bytes + BOUNDARIES)


def _prepare_form(request: Request, *, labels: bool) -> None:
    if request.mimetype != "multipart/form-data":
        abort(415, "the body must be a form with files, with Content-Type: multipart/form-data")
    limit = context().settings.max_upload_bytes
    request.max_content_length = (LARGEST_IMAGES * limit if labels else limit) + BOUNDARIES
    request.max_form_parts = LABELS_FORM_PARTS if labels else FORM_PARTS
    request.max_form_memory_size = LABELS_FORM_MEMORY if labels else FORM_MEMORY


def _upload(file: FileStorage) -> Upload:
    data = file.stream.read(context().settings.max_upload_bytes + 1)
    check_size([data])
    name = (file.filename or "").replace("\x00", "").encode("utf-8", "replace").decode()
    return Upload(name[:500] or "image", data)


def _only(name: str, values: Any) -> Any:
    if len(values) > 1:
        raise InvalidRequest(f"{name} is given {len(values)} times; it may stand once")
    return values[0]


def _is_list(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "array" or any(one.get("type") == "array" for one in schema.get("anyOf", ()))


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # To a strict message a list is no tuple.
    found = {name: tuple(value) if type(value) is list else value for name, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _number(text: str) -> int | float:
    # 20.0 is an integer to JSON Schema; what is beyond a float is no number to us.
    value = float(text)
    if value.is_integer():
        return int(value) if abs(value) < 2**53 else value
    if value - value != 0.0:
        raise ValueError("a number is too large")
    return value
