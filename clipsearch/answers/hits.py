"""Images, and what a search answers."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer
from clipsearch.attributes import AttributeValue


class ImageInfo(Answer):
    """One image of a collection."""

    id: int
    uri: str
    content_hash: str | None = Field(description="SHA-256 of the file's bytes; none for imported embeddings")
    size: int | None = Field(description="bytes")
    width: int | None
    height: int | None
    format: str | None
    taken_at: dt.datetime | None = Field(description="EXIF DateTimeOriginal, else the file's time")
    modified_at: dt.datetime | None
    indexed_at: dt.datetime
    revision: int
    attributes: dict[str, AttributeValue] = Field(default_factory=dict, description="what its owner says of it")


class TermShare(Answer):
    """What one term of a query contributed to an image's score."""

    place: int = Field(description="the term's place in the query, from 0")
    kind: Literal["text", "image", "image_id", "vector"]
    weight: float = Field(description="as it was given")
    score: float = Field(description="the image's cosine similarity with this term alone")
    contribution: float = Field(description="its part of the hit's score; those of all terms add up to it")


class Hit(Answer):
    """One image found."""

    rank: int = Field(description="1 is the best; by relevance, in whatever order the hits stand")
    score: float = Field(description="cosine similarity, -1 to 1; higher is closer")
    relevance: float | None = Field(
        default=None,
        description="0 to 1: how unusual the score is for such a query on this collection, where asked for",
    )
    image: ImageInfo
    duplicates: list[int] = Field(default_factory=list, description="ids collapsed into this hit")
    terms: list[TermShare] | None = Field(default=None, description="what each term contributed, where asked for")
    group: str | None = Field(default=None, description="the key of its group, where the hits are grouped")


class Cut(Answer):
    """What was left out for its relevance."""

    min_relevance: float = Field(description="images below this relevance were left out")
    min_score: float | None = Field(description="the same as a score of this query; none where no image can reach it")
    left_out: bool = Field(description="whether an image that would be in the answer was left out")


class HitGroup(Answer):
    """Images that are alike in what the hits are grouped by."""

    key: str = Field(description="the folder's uri, the day, month or year, the format or the label; - for none")
    images: int = Field(description="how many of the matches that were looked at belong to it")
    hits: list[int] = Field(description="ids of its first images, which stand among the hits")


class Histogram(Answer):
    """How the scores of all images that pass the filters are spread."""

    edges: list[float] = Field(description="ascending, one more than counts")
    counts: list[int] = Field(description="images between two edges; of those that were looked at")
    images: int = Field(description="how many pass the filters")
    looked_at: int = Field(description="how many of them were looked at: all, or a sample of a large collection")
    min_score_cut: float | None = Field(description="the score at which the automatic cut falls; none where it cannot")


class SearchAnswer(Answer):
    """The images found, best first, and how the answer came about."""

    collection: str
    model: str
    hits: list[Hit]
    revision: int = Field(description="revision of the collection that the index answered from")
    stale: bool = Field(description="whether the collection has moved on since that revision")
    truncated: bool = Field(description="whether a text went beyond the model's context and was cut")
    unknown_words: list[str] = Field(description="words of the query that the model never saw, where it can tell")
    notice: str | None = Field(default=None, description="why there is no hit, where that is known")
    cut: Cut | None = Field(default=None, description="what was left out for its relevance, where that was asked for")
    window: int | None = Field(
        default=None, description="how many of the best matches were sorted by date or grouped: 1,000 at most"
    )
    groups: list[HitGroup] | None = Field(default=None, description="the groups, where the hits are grouped")
    histogram: Histogram | None = Field(default=None, description="how scores are spread, where asked for")
