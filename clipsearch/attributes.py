"""What an owner says of an image: names with texts, numbers, truth values or lists of texts; knows their limits.

A value equals another of its own kind only: the text "5" is not the number 5, and true is not 1. A list is found by
each of its texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from clipsearch.errors import InvalidInput

MAX_ATTRIBUTES = 64
MAX_BYTES = 16_000
MAX_WANTED = 16
# The whole numbers that every JSON reader keeps as they are.
LARGEST = 2**53
KINDS = "must be a text, a number, true, false, or a list of texts"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")
_UNNAMED = re.compile(r"[\x00-\x1f\x7f:=\ud800-\udfff]")

AttributeValue: TypeAlias = bool | int | float | str | list[str]
"""A value as it is kept and answered."""


def _named(name: str) -> str:
    if name != name.strip() or _UNNAMED.search(name):
        raise ValueError("an attribute's name has no : and =, no control characters, and no space at its ends")
    return name


def _text(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not hold NUL characters or halves of surrogate pairs")
    return text


def _no_whole(number: Any) -> Any:
    if isinstance(number, int):  # one that lies within the limits was taken as it is
        raise ValueError(f"a whole number must lie between {-LARGEST} and {LARGEST}")
    return number


def _small(attributes: Any) -> Any:
    if len(json.dumps(attributes, ensure_ascii=False).encode()) > MAX_BYTES:
        raise ValueError(f"the attributes of an image may have {MAX_BYTES:,} bytes of JSON at most")
    return attributes


def _in_one_sentence(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise ValueError(_fault(value, error)) from None


def _fault(value: Any, error: ValidationError) -> str:
    """What is wrong with a value, of all that a union has against it: each of its kinds speaks, and one is meant."""
    kind = {str: "-str", int: "float", float: "float", list: "tuple", tuple: "tuple"}.get(type(value))
    if kind is None:
        return KINDS
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    found = next((one for one in faults if kind in str(one["loc"][:1])), None)
    if found is None:
        return KINDS
    said = found["msg"].removeprefix("Value error, ")
    place = found["loc"][1] if len(found["loc"]) > 1 else None
    return f"text {place + 1} of its list: {said}" if isinstance(place, int) else said


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_named)]
_Whole = Annotated[StrictInt, Field(ge=-LARGEST, le=LARGEST)]
_Broken = Annotated[StrictFloat, Field(allow_inf_nan=False), BeforeValidator(_no_whole)]
_Text = Annotated[StrictStr, Field(max_length=2_000), AfterValidator(_text)]
_Several = Annotated[tuple[_Text, ...], Field(max_length=256, strict=False)]
Single = StrictBool | _Whole | _Broken | _Text
_ONE_SENTENCE = WrapValidator(_in_one_sentence)

Attributes = Annotated[
    dict[Name, Annotated[Single | _Several, _ONE_SENTENCE]],
    Field(max_length=MAX_ATTRIBUTES),
    AfterValidator(_small),
]
"""All that is said of an image, checked."""

AttributeChanges = Annotated[
    dict[Name, Annotated[Single | _Several | None, _ONE_SENTENCE]],
    Field(max_length=MAX_ATTRIBUTES),
    AfterValidator(_small),
]
"""What is to be said of it from now on; None takes a name back."""

_SeveralWanted = Annotated[tuple[_Text, ...], Field(min_length=1, max_length=MAX_WANTED, strict=False)]
WantedAttributes = Annotated[
    dict[Name, Annotated[Single | _SeveralWanted, _ONE_SENTENCE]], Field(max_length=MAX_WANTED)
]
"""What is to be true of an image: each name with a value that it has, or that its list holds; or several of those."""


_CHANGES: TypeAdapter[dict[str, Any]] = TypeAdapter(AttributeChanges)


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be said of an image, if it may be said. Raises InvalidInput."""
    try:
        return _CHANGES.validate_python(dict(changes))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise InvalidInput(f"attributes: {where}{first['msg'].removeprefix('Value error, ')}") from error


def merged(before: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes after these changes, as JSON has them. Raises InvalidInput when they become too many."""
    after = {**(before or {}), **{name: _as_json(value) for name, value in changes.items()}}
    after = {name: value for name, value in after.items() if value is not None}
    if len(after) > MAX_ATTRIBUTES:
        raise InvalidInput(f"an image may have {MAX_ATTRIBUTES} attributes at most")
    try:
        _small(after)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    return after


def holds(attributes: Mapping[str, Any] | None, name: str, wanted: Any) -> bool:
    """Whether a filter for this name and value, or for several texts, lets an image with these attributes pass."""
    value = (attributes or {}).get(name)
    if isinstance(wanted, list | tuple):
        return all(holds(attributes, name, one) for one in wanted)
    if isinstance(value, list | tuple):
        return isinstance(wanted, str) and wanted in value
    return _kind(value) == _kind(wanted) and bool(value == wanted)


def value_of(text: str) -> bool | int | float | str:
    """What someone who writes one line means: 5 is a number, true a truth value, "5" and all else a text."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"'):
        try:
            quoted = json.loads(text)
        except ValueError:
            return text
        return quoted if isinstance(quoted, str) else text
    if not _NUMBER.fullmatch(text):
        return text
    number: int | float = json.loads(text)
    # What is beyond a number of JSON, a serial number say, is a text.
    return number if abs(number) <= LARGEST or (isinstance(number, float) and number - number == 0.0) else text


def pairs(lines: Iterable[str], separator: str) -> dict[str, Any]:
    """Names with values from lines such as ``name=value``; a name that stands twice has a list of texts.

    Raises ValueError for a line without the separator. What names and values may be is not looked at.
    """
    found: dict[str, Any] = {}
    for line in lines:
        name, there, value = line.partition(separator)
        if not there:
            raise ValueError(f"an attribute is written name{separator}value")
        found.setdefault(name.strip(), []).append(value)
    return {
        name: value_of(values[0]) if len(values) == 1 else tuple(str(value) for value in values)
        for name, values in found.items()
    }


def lines_of(name: str, wanted: Any, separator: str) -> list[str]:
    """The lines that ``pairs`` reads as this name with this value, or with each of several texts."""
    if isinstance(wanted, list | tuple) and len(wanted) != 1:
        return [f"{name}{separator}{one}" for one in wanted]
    value = wanted[0] if isinstance(wanted, list | tuple) else wanted
    plain = isinstance(value, str) and value_of(value) == value
    return [f"{name}{separator}{value if plain else json.dumps(value, ensure_ascii=False)}"]


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth value"
    return "number" if isinstance(value, int | float) else type(value).__name__
