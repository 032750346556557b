"""What may be asked: a query of weighted terms and its filters, as strict pydantic models; knows the limits of both."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import sys
from array import array
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from clipsearch.attributes import WantedAttributes
from clipsearch.label_set import Aggregate, Mode

MAX_K = 1_000
MAX_DEPTH = 10_000
MAX_TERMS = 16
MAX_TAGS = 16
MAX_QUERIES = 32
MAX_DIMENSION = 65_536
MAX_LABELS = 1_000
MAX_PROMPTS = 5_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"\s*[-+]?[0-9]+(\.[0-9]*)?\s*")


def _no_nul(text: str) -> str:
    # PostgreSQL cannot store U+0000, and half of a surrogate pair cannot be written as UTF-8.
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not hold NUL characters or halves of surrogate pairs")
    return text


def _numbers(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is neither a list of numbers nor base64") from error
    if len(data) % 4 or len(data) > 4 * MAX_DIMENSION:
        raise ValueError(f"is not base64 of 1 to {MAX_DIMENSION} little-endian float32 numbers")
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


Text = Annotated[str, Field(max_length=10_000), AfterValidator(_no_nul)]
ShortText = Annotated[str, Field(max_length=2_000), AfterValidator(_no_nul)]
ImageId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Sort = Literal["relevance", "newest", "oldest"]
MAX_GROUP = 100
GroupBy = Annotated[
    str, Field(max_length=2_000, pattern=r"^(folder|day|month|year|format|tag:[^\n]+)$"), AfterValidator(_no_nul)
]
Vector = Annotated[
    tuple[float, ...],
    Field(min_length=1, max_length=MAX_DIMENSION),
    BeforeValidator(_numbers),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": MAX_DIMENSION},
                {"type": "string", "contentEncoding": "base64", "minLength": 8},
            ],
            "description": "numbers, or base64 of them as little-endian float32, which is quicker to read",
        }
    ),
]


class Strict(BaseModel):
    """Frozen, refuses unknown names and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Filters(Strict):
    """Which images a search may answer with; all that are given must hold."""

    path_prefix: ShortText | None = Field(default=None, description="uri begins with this")
    path_glob: ShortText | None = Field(default=None, description="uri matches this pattern; * crosses folders")
    taken_from: dt.datetime | None = Field(default=None, description="taken at or after (EXIF, else the file's time)")
    taken_to: dt.datetime | None = Field(default=None, description="taken before or at; a date means its whole day")
    min_width: Annotated[int, Field(ge=0, le=10**6)] | None = None
    max_width: Annotated[int, Field(ge=0, le=10**6)] | None = None
    min_height: Annotated[int, Field(ge=0, le=10**6)] | None = None
    max_height: Annotated[int, Field(ge=0, le=10**6)] | None = None
    formats: Annotated[tuple[ShortText, ...], Field(max_length=16)] | None = Field(
        default=None, description="image formats, e.g. JPEG, PNG"
    )
    attributes: WantedAttributes | None = Field(
        default=None, description="names with the values that an image's attributes have, or that their lists hold"
    )
    tags: Annotated[tuple[ShortText, ...], Field(max_length=MAX_TAGS)] | None = Field(
        default=None, description="SET:LABEL, all of which must hold; SET for any of its labels, SET:- for none of them"
    )
    min_tag_score: Annotated[float, Field(ge=-1.0, le=1.0)] | None = Field(
        default=None, description="the least cosine of a tag, in the place of the label set's"
    )
    min_tag_probability: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        default=None, description="the least probability of a tag, in the place of the label set's"
    )

    @field_validator("taken_from", "taken_to", mode="before")
    @classmethod
    def _no_number(cls, when: Any) -> Any:
        if isinstance(when, str) and _NUMBER.fullmatch(when):
            # 20240531 would be taken for seconds, and so for a day in 1970.
            raise ValueError("must be a date like 2024-05-31 or a time like 2024-05-31T18:30:00, not a number")
        return when

    @field_validator("taken_to", mode="before")
    @classmethod
    def _whole_day(cls, last: Any) -> Any:
        # "to 2024-05-31" means until the end of that day.
        if isinstance(last, str) and _DATE.fullmatch(last):
            return f"{last}T23:59:59.999999"
        if isinstance(last, dt.date) and not isinstance(last, dt.datetime):
            return dt.datetime.combine(last, dt.time.max)
        return last

    @model_validator(mode="after")
    def _floors_of_tags(self) -> Filters:
        if not self.tags and (self.min_tag_score is not None or self.min_tag_probability is not None):
            raise ValueError("a least score or probability of tags needs a tag to hold it against: SET:LABEL or SET")
        return self

    def __eq__(self, other: object) -> bool:
        # As JSON: to Python 1 and true are equal, and what one finds the other does not.
        return isinstance(other, Filters) and self.model_dump_json() == other.model_dump_json()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def empty(self) -> bool:
        """Whether every image passes."""
        return all(value is None for value in self.__dict__.values())


class Term(Strict):
    """One part of a query: exactly one of text, image (bytes or a path), image_id and vector, with its weight."""

    text: Text | None = None
    image: bytes | PurePath | None = None
    image_id: ImageId | None = None
    vector: Vector | None = None
    weight: Annotated[float, Field(ge=-100.0, le=100.0)] = 1.0

    @model_validator(mode="after")
    def _one_of(self) -> Term:
        given = [value for value in (self.text, self.image, self.image_id, self.vector) if value is not None]
        if len(given) != 1:
            raise ValueError("a term is exactly one of text, image, image_id and vector")
        return self

    @property
    def kind(self) -> Literal["text", "image", "image_id", "vector"]:
        """Which of the four this term is."""
        if self.text is not None:
            return "text"
        if self.image is not None:
            return "image"
        return "image_id" if self.image_id is not None else "vector"


class Depth(Strict):
    """How much of an answer to give, which part of it, and what is told of it."""

    k: Annotated[int, Field(ge=1, le=MAX_K, description="how many images to give")] = 20
    offset: Annotated[int, Field(ge=0, le=MAX_DEPTH)] = 0
    min_score: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None
    min_relevance: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    auto_cut: bool = Field(default=False, description="leave out what is no likelier a match than not")
    relevance: bool = Field(default=False, description="tell each hit's relevance, also where nothing is cut")
    collapse_duplicates: bool = Field(default=False, description="give near-duplicates once")
    exact: bool = Field(default=False, description="scan every embedding, also where there is an approximate index")
    explain: bool = Field(default=False, description="tell what each term contributed to each hit's score")
    sort: Sort = Field(default="relevance", description="by date: of the 1,000 best matches")
    group_by: GroupBy | None = Field(
        default=None, description="folder, day, month, year, format or tag:SET; k and offset count groups then"
    )
    group_size: Annotated[int, Field(ge=1, le=MAX_GROUP, description="hits of each group")] = 3
    histogram: bool = Field(default=False, description="tell how the scores of all that pass the filters are spread")

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.offset + self.k > MAX_DEPTH:
            raise ValueError(f"offset + k must not exceed {MAX_DEPTH}")
        return self


class Query(Depth):
    """What to look for, and how much of the answer to give."""

    terms: Annotated[tuple[Term, ...], Field(min_length=1, max_length=MAX_TERMS)]
    filters: Filters = Filters()

    @property
    def cuts(self) -> bool:
        """Whether images are left out for their relevance."""
        return self.auto_cut or self.min_relevance is not None


class Labels(Strict):
    """What to choose from: a stored label set, or labels given with the question, and their templates."""

    label_set: ShortText | None = None
    labels: Annotated[tuple[ShortText, ...], Field(max_length=MAX_LABELS)] = ()
    templates: Annotated[tuple[ShortText, ...], Field(max_length=100)] = ()
    mode: Mode = Field(default="single", description="of labels given here; a stored set has its own")
    aggregate: Aggregate = Field(default="mean_embedding", description="how several texts of a label are joined")
    background: Annotated[tuple[ShortText, ...], Field(max_length=MAX_LABELS)] = Field(
        default=(), description="texts of what else it may be, whole as they stand"
    )
    min_score: Annotated[float, Field(ge=-1.0, le=1.0)] | None = Field(
        default=None, description="reject labels below this cosine; stands before the stored set's own"
    )
    min_probability: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        default=None, description="reject labels below this; stands before the stored set's own"
    )
    min_margin: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        default=None, description="reject a first label that is less than this before the second (mode single)"
    )

    @model_validator(mode="after")
    def _one_of(self) -> Labels:
        if (self.label_set is None) == (not self.labels):
            raise ValueError("give either a label_set or labels")
        if self.label_set is not None and (
            self.mode != "single" or self.aggregate != "mean_embedding" or self.background
        ):
            raise ValueError("a stored label_set has its own mode, aggregate and background")
        if len(self.labels) * max(1, len(self.templates)) > MAX_PROMPTS:
            raise ValueError(f"labels times templates must not exceed {MAX_PROMPTS}; store a label set for more")
        if self.label_set is not None and self.templates:
            raise ValueError("a stored label set has its own templates")
        return self
