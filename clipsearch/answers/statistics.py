"""A collection in numbers."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from clipsearch.answers.base import Answer


class FormatCount(Answer):
    """Images of one format."""

    format: str | None = Field(description="none for imported embeddings")
    images: int
    bytes: int


class YearCount(Answer):
    """Images of one year."""

    year: int | None = Field(description="of EXIF, else of the file's time; none where nobody knows")
    images: int


class FolderCount(Answer):
    """Images that lie in one folder, those below it left out."""

    folder: str
    images: int


class TaggedCount(Answer):
    """Images that have tags by one label set."""

    label_set: str
    images: int = Field(description="those whose tags are of the image and the set as they are now")
    stale: bool = Field(description="whether the set gives other scores by now")


class Extent(Answer):
    """The smallest and the largest, in pixels."""

    smallest: int
    largest: int


class UploadCount(Answer):
    """Images that came with a request, and what their files take."""

    images: int
    bytes: int


class CollectionStatistics(Answer):
    """What a collection holds, in numbers."""

    collection: str
    model: str
    revision: int
    images: int
    failures: int = Field(description="files that could not be indexed")
    bytes: int = Field(description="of the image files, as they were indexed")
    formats: list[FormatCount] = Field(description="the commonest first")
    years: list[YearCount] = Field(description="by year; unknown last")
    folders: list[FolderCount] = Field(description="the 20 with the most images")
    widths: Extent | None = Field(description="none where no image has a known size")
    heights: Extent | None
    first_taken: dt.datetime | None
    last_taken: dt.datetime | None
    tags: list[TaggedCount] = Field(description="by label set")
    uploads: UploadCount
