"""Images, and what a search answers."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from clipsearch.answers.base import Answer


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


class Hit(Answer):
    """One image found."""

    rank: int = Field(description="1 is the best")
    score: float = Field(description="cosine similarity, -1 to 1; higher is closer")
    relevance: float | None = Field(
        default=None,
        description="0 to 1: how unusual the score is for such a query on this collection, where asked for",
    )
    image: ImageInfo
    duplicates: list[int] = Field(default_factory=list, description="ids collapsed into this hit")


class Cut(Answer):
    """What was left out for its relevance."""

    min_relevance: float = Field(description="images below this relevance were left out")
    min_score: float | None = Field(description="the same as a score of this query; none where no image can reach it")
    left_out: bool = Field(description="whether an image that would be in the answer was left out")


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
