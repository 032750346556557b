"""Reads what the clients of other systems send: JSON under any content type, with names that mean nothing here."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any, NoReturn, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from clipsearch.web.binding import IMAGES_JSON_LIMIT, JSON_LIMIT
from clipsearch.web.context import context
from clipsearch.web.errors import InvalidRequest, invalid_request

Message = TypeVar("Message", bound="Body")

# As many as OpenAI takes at once.
MAX_TEXTS = 2_048


class Body(BaseModel):
    """What a client sends; what is not named here is passed over, as the other systems do."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def read_body(message: type[Message]) -> Message:
    """The body of this request, whatever type it says it has. Raises InvalidRequest, and 413 for a large one."""
    request.max_content_length = IMAGES_JSON_LIMIT
    # Reading a large one takes several times its size in memory.
    with context().slots.taken() if (request.content_length or 0) > JSON_LIMIT else nullcontext():
        try:
            values = json.loads(request.get_data(), parse_constant=_no_constant)
            return message.model_validate(values)
        except ValidationError as error:
            raise invalid_request(error, "body") from error
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"the body is not JSON: {error}") from error


def one_or_many(value: Any) -> Any:
    """A list of one, where one is given for a list."""
    return [value] if isinstance(value, str | dict) else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
