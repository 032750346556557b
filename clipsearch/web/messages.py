"""What the API is asked, as pydantic models with their limits; knows nothing of any web framework."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, InstanceOf, WithJsonSchema, model_validator

from clipsearch.attributes import MAX_WANTED, WantedAttributes, pairs
from clipsearch.queries import (
    MAX_LABELS,
    MAX_QUERIES,
    MAX_TAGS,
    MAX_TERMS,
    Depth,
    Filters,
    ImageId,
    Labels,
    Query,
    ShortText,
    Strict,
    Term,
    Text,
    Vector,
)

MAX_PICTURES = 64
MAX_STORED = 1_000
MAX_PROMPTS = 200


@dataclass(frozen=True)
class Upload:
    """A file that came with a form: its name as the sender calls it, and its bytes."""

    name: str
    data: bytes


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be the file's bytes in base64")
    if value.startswith("data:"):
        value = value.partition(",")[2]
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not base64") from error


Base64Image = Annotated[
    bytes,
    BeforeValidator(_decoded),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": "an image file's bytes"}),
]
UploadedImage = Annotated[
    InstanceOf[Upload], WithJsonSchema({"type": "string", "format": "binary", "description": "an image file"})
]
Top = Annotated[int, Field(ge=1, le=MAX_LABELS, description="how many labels to give for each image")]
Url = Annotated[ShortText, Field(min_length=1)]
CollectionName = Annotated[ShortText, Field(min_length=1, max_length=200)]
Pictures = Annotated[tuple[UploadedImage, ...], Field(min_length=1, max_length=MAX_PICTURES)]


# Of a body in JSON, where "5" and true are no numbers; in addresses and forms everything is text.
TYPED = ConfigDict(strict=True)


class AskedDepth(Depth):
    """How much of an answer to give over HTTP, where relevance is told unless it is not wanted."""

    relevance: bool = Field(default=True, description="tell each hit's relevance")

    def query(self, terms: tuple[Term, ...], filters: Filters) -> Query:
        """The query with these terms."""
        depth = {name: getattr(self, name) for name in Depth.model_fields}
        return Query(terms=terms, filters=filters, **depth)


class FiltersBody(Filters):
    """Filters as they stand in a body; a date is a text there."""

    model_config = TYPED

    taken_from: Annotated[dt.datetime, Field(strict=False)] | None = None
    taken_to: Annotated[dt.datetime, Field(strict=False)] | None = None
    formats: Annotated[tuple[ShortText, ...], Field(max_length=16, strict=False)] | None = None
    tags: Annotated[tuple[ShortText, ...], Field(max_length=MAX_TAGS, strict=False)] | None = None


def _attribute_lines(value: Any) -> Any:
    return pairs(value, ":") if isinstance(value, tuple | list) else value


class FilterArgs(Filters):
    """Filters as they stand in an address or a form, one argument each."""

    attributes: Annotated[
        WantedAttributes | None,
        BeforeValidator(_attribute_lines),
        WithJsonSchema(
            {"anyOf": [{"type": "array", "items": {"type": "string"}, "maxItems": MAX_WANTED}, {"type": "null"}]}
        ),
    ] = Field(default=None, alias="attribute", description="name:value, all of which must hold; 5 is a number")

    def filters(self) -> Filters:
        """The filters alone."""
        return Filters(**{name: getattr(self, name) for name in Filters.model_fields})


class SimilarArgs(FilterArgs, AskedDepth):
    """Arguments of a search whose term is known."""


class SearchArgs(SimilarArgs):
    """A search by text."""

    text: Text


class SearchForm(SimilarArgs):
    """A search by an image that is uploaded."""

    image: UploadedImage


class TermBody(Strict):
    """One part of a query: exactly one of text, image (base64), image_url, image_id and vector, with its weight."""

    model_config = TYPED

    text: Text | None = None
    image: Base64Image | None = None
    image_url: ShortText | None = Field(default=None, description="only where the server may fetch")
    image_id: ImageId | None = None
    vector: Vector | None = None
    weight: Annotated[float, Field(ge=-100.0, le=100.0)] = 1.0

    @model_validator(mode="after")
    def _one_of(self) -> TermBody:
        each = (self.text, self.image, self.image_url, self.image_id, self.vector)
        if sum(value is not None for value in each) != 1:
            raise ValueError("a term is exactly one of text, image, image_url, image_id and vector")
        return self

    def term(self, fetched: Mapping[str, bytes]) -> Term:
        """The term for a query; an image is always bytes, never the name of a file on this machine.

        ``fetched`` holds the images at the addresses that the terms name.
        """
        image = self.image if self.image_url is None else fetched[self.image_url]
        return Term(text=self.text, image=image, image_id=self.image_id, vector=self.vector, weight=self.weight)


class SearchBody(AskedDepth):
    """A search by weighted terms."""

    model_config = TYPED

    terms: Annotated[tuple[TermBody, ...], Field(min_length=1, max_length=MAX_TERMS)]
    filters: FiltersBody = FiltersBody()

    @property
    def image_urls(self) -> list[str]:
        """The addresses of images that its terms name."""
        return [term.image_url for term in self.terms if term.image_url is not None]

    def asked(self, fetched: Mapping[str, bytes]) -> Query:
        """The query that the body holds, with the images at the addresses that its terms name."""
        return self.query(tuple(term.term(fetched) for term in self.terms), self.filters)


class SearchBatchBody(Strict):
    """Several searches at once, each as a body of a single search."""

    model_config = TYPED

    queries: Annotated[tuple[SearchBody, ...], Field(min_length=1, max_length=MAX_QUERIES)]


class PageArgs(Strict):
    """Which part of a list to give."""

    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class CollectionBody(Strict):
    """A collection to make."""

    model_config = TYPED

    name: CollectionName
    model: ShortText | None = Field(default=None, description="the settings' model where not given")


class RenameBody(Strict):
    """A collection's new name."""

    model_config = TYPED

    name: CollectionName


class ClassifyForm(Labels):
    """Images to classify, uploaded as a form."""

    image: Pictures
    top: Top = 5
    collection: CollectionName | None = Field(default=None, description="whose model to use")


class LabelSetForm(Strict):
    """Images to classify with a stored label set."""

    image: Pictures
    top: Top = 5
    collection: CollectionName | None = Field(default=None, description="whose model to use")


class PicturesBody(Strict):
    """Images in base64, or by address; the answer counts them in this order."""

    images: Annotated[tuple[Base64Image, ...], Field(max_length=MAX_PICTURES)] = ()
    image_urls: Annotated[tuple[Url, ...], Field(max_length=MAX_PICTURES)] = Field(
        default=(), description="only where the server may fetch: CLIPSEARCH_FETCH_URLS"
    )

    @model_validator(mode="after")
    def _some_pictures(self) -> PicturesBody:
        if not 1 <= len(self.images) + len(self.image_urls) <= MAX_PICTURES:
            raise ValueError(f"give 1 to {MAX_PICTURES} images, or image_urls")
        return self


class ClassifyBody(PicturesBody, Labels):
    """Images to classify, in base64 or by address."""

    model_config = TYPED

    top: Top = 5
    collection: CollectionName | None = Field(default=None, description="whose model to use")


class ClassifyStoredBody(Labels):
    """Stored images to classify: those with these ids, or a page of those that pass the filters."""

    model_config = TYPED

    image_ids: Annotated[tuple[ImageId, ...], Field(min_length=1, max_length=MAX_STORED)] | None = None
    filters: FiltersBody = FiltersBody()
    after: Annotated[int, Field(ge=0, le=2**63 - 1, description="the id after which to go on: next of a page")] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_STORED)] = MAX_STORED
    top: Top = 5


class JobBody(Strict):
    """A folder or file to index."""

    model_config = TYPED

    source: Annotated[ShortText, Field(min_length=1, description="an absolute path under one of CLIPSEARCH_ROOTS")]
    retry_failed: bool = Field(default=False, description="also try again what failed before")
    allow_empty: bool = Field(default=False, description="take an emptied folder at its word")
