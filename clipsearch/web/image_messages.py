"""What the API is asked of stored images: which to list, to add, to describe and to take out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clipsearch.answers import Answer, ImageInfo
from clipsearch.attributes import AttributeChanges, Attributes
from clipsearch.cursors import Order, read_cursor
from clipsearch.queries import ImageId, ShortText, Strict
from clipsearch.web.messages import MAX_STORED, TYPED, Base64Image, FilterArgs, UploadedImage

MAX_ADDED = 32


def _read_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if len(value) > 100_000:
        raise ValueError("is too long")
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error


AttributesText = Annotated[
    Attributes,
    BeforeValidator(_read_json),
    WithJsonSchema(
        {"type": "string", "contentMediaType": "application/json", "description": "a JSON object, for all the images"}
    ),
]


class ListArgs(FilterArgs):
    """Which images to list."""

    sort: Order = Field(default="id", description="by id, or by the date on which they were taken")
    after: Annotated[ShortText, Field(description="where to go on: next of a page; in the order of ids, any id")] = "0"
    limit: Annotated[int, Field(ge=1, le=MAX_STORED)] = 100

    @model_validator(mode="after")
    def _of_this_order(self) -> ListArgs:
        try:
            read_cursor(self.after, self.sort)
        except ValueError as error:
            raise ValueError(f"after {error}") from error
        return self


class ThumbnailArgs(Strict):
    """Which thumbnail."""

    size: Annotated[int, Field(description="the longer side in pixels", json_schema_extra={"enum": [320, 960]})] = 320
    v: Annotated[ShortText, Field(description="any text: with the content hash here the answer may be kept")] = ""

    @model_validator(mode="after")
    def _known_size(self) -> ThumbnailArgs:
        if self.size not in (320, 960):
            raise ValueError("a thumbnail's size is 320 or 960")
        return self


class ImagesForm(Strict):
    """Images to add, uploaded as a form."""

    image: Annotated[tuple[UploadedImage, ...], Field(min_length=1, max_length=MAX_ADDED)]
    attributes: AttributesText = Field(default_factory=dict)


class ImageBody(Strict):
    """An image to add: its bytes in base64, or its address."""

    model_config = TYPED

    data: Base64Image | None = None
    url: Annotated[ShortText, Field(min_length=1)] | None = Field(
        default=None, description="only where the server may fetch: CLIPSEARCH_FETCH_URLS"
    )
    name: ShortText | None = Field(default=None, description="a file's name; that of the address where none is given")
    attributes: Attributes = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of(self) -> ImageBody:
        if (self.data is None) == (self.url is None):
            raise ValueError("an image is either data or url")
        return self


class ImagesBody(Strict):
    """Images to add."""

    model_config = TYPED

    images: Annotated[tuple[ImageBody, ...], Field(min_length=1, max_length=MAX_ADDED)]

    def urls(self) -> Iterator[str]:
        """The addresses among them, in their order."""
        return (one.url for one in self.images if one.url is not None)


class AttributesBody(Strict):
    """What is to be said of an image from now on; null takes a name back, and names that are not here stay."""

    model_config = TYPED

    attributes: AttributeChanges


class RemovalBody(Strict):
    """Images to take out."""

    model_config = TYPED

    ids: Annotated[tuple[ImageId, ...], Field(min_length=1, max_length=MAX_STORED)]


class ImagesRemoved(Answer):
    """The images that were taken out."""

    removed: list[ImageInfo]
