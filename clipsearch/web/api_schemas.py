"""JSON schemas in words and by example, for the page of the API; knows no route and no framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
# A piece of a type in words, and the object that it names, if it does.
Words = list[tuple[str, str | None]]

_SAID = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
         "object": "object", "null": "null"}  # fmt: skip
_FORMATS = {"date-time": "time", "binary": "file", "date": "date", "byte": "base64", "uri": "URL"}
# What a field of this name might hold; others are shown by their type.
_EXAMPLES: dict[str, Any] = {
    "text": "a dog on a beach", "texts": ["a dog on a beach"], "labels": ["cat", "dog"], "label": "cat",
    "label_set": "animals", "label_sets": ["animals"], "source": "/photos/2024", "model": "demo",
    "terms": [{"text": "a dog on a beach"}], "queries": [{"terms": [{"text": "a dog on a beach"}]}],
    "images": ["iVBORw0KGgo="], "image_id": 1, "image_ids": [1, 2], "ids": [1, 2], "name": "holiday",
    "url": "https://example.org/dog.jpg", "job_id": 1, "collection": "default", "attributes": {"camera": "X100"},
}  # fmt: skip

# Those that stand for an object of which no field is required.
_TELLING = ("text", "texts", "labels", "label_set", "images", "attributes", "ids", "image_ids")


@dataclass(frozen=True)
class Field:
    """One field of an object or one parameter of a route, in words."""

    name: str
    kind: Words
    required: bool
    limits: str
    default: str
    description: str


def reference(schema: Schema) -> str | None:
    """The name of the object that a schema refers to."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def kind_of(schema: Schema) -> Words:
    """The type in words."""
    name = reference(schema)
    if name is not None:
        return [(name, name)]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            found: Words = []
            for position, one in enumerate(schema[several]):
                found += [(" or ", None)] if position else []
                found += kind_of(one)
            return found
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return kind_of(schema["allOf"][0])
    if "enum" in schema:
        return [(", ".join(_shown(one) for one in schema["enum"]), None)]
    if "const" in schema:
        return [(_shown(schema["const"]), None)]
    if schema.get("type") == "array":
        return [("list of ", None), *kind_of(schema.get("items", {}))]
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return [("object of ", None), *kind_of(schema["additionalProperties"])]
    if schema.get("contentEncoding") == "base64":
        return [("base64", None)]
    said = _FORMATS.get(schema.get("format", ""), _SAID.get(str(schema.get("type", "")), "anything"))
    return [(said, None)]


def limits_of(schema: Schema) -> str:
    """The limits in words, those of the members of a list and of alternatives among them; "" where there is none."""
    said = []
    for least, most, what in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " of them"),
        ("minProperties", "maxProperties", " names"),
    ):
        if least in schema and most in schema:
            said.append(f"{_number(schema[least])} to {_number(schema[most])}{what}")
        elif most in schema:
            said.append(f"up to {_number(schema[most])}{what}")
        elif least in schema:
            said.append(f"{_number(schema[least])}{what} or more")
    if "exclusiveMinimum" in schema:
        said.append(f"more than {_number(schema['exclusiveMinimum'])}")
    if "pattern" in schema:
        said.append(f"like {schema['pattern']}")
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *([schema["items"]] if "items" in schema else [])]
    said += [limits for limits in map(limits_of, inner) if limits]
    return "; ".join(dict.fromkeys(said))


def fields_of(schema: Schema) -> list[Field]:
    """The fields of an object."""
    required = schema.get("required", ())
    return [field(name, one, name in required) for name, one in schema.get("properties", {}).items()]


def field(name: str, schema: Schema, required: bool, description: str = "") -> Field:
    """A field or a parameter in words."""
    default = schema.get("default")
    said = "" if default is None or default in ([], {}, "") or required else _shown(default)
    return Field(name, kind_of(schema), required, limits_of(schema), said,
                 schema.get("description", "") or description)  # fmt: skip


def example(schema: Schema, schemas: dict[str, Schema], name: str = "", depth: int = 0) -> Any:
    """A value that fits: of an object the required fields, or the first that are told of, where none is required."""
    if (target := reference(schema)) is not None:
        return example(schemas[target], schemas, name, depth)
    for given in ("default", "const"):
        if schema.get(given) is not None and depth:
            return schema[given]
    if name in _EXAMPLES and schema.get("type") != "object":
        return _EXAMPLES[name]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example(schema[several][0], schemas, name, depth)
    kind = schema.get("type")
    if kind == "array":
        return [example(schema.get("items", {}), schemas, name, depth + 1)] * int(schema.get("minItems", 1))
    if kind == "object":
        wanted = schema.get("required") or [one for one in schema.get("properties", {}) if one in _TELLING][:1]
        return {one: example(schema["properties"][one], schemas, one, depth + 1) for one in wanted}
    if kind == "string":
        return "2024-05-31T18:30:00" if schema.get("format") == "date-time" else "text"
    return {"integer": max(1, int(schema.get("minimum", 1))), "number": schema.get("maximum", 0.5),
            "boolean": True}.get(str(kind))  # fmt: skip


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or not float(value).is_integer() else f"{int(value):,}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
