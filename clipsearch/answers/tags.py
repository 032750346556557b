"""Tags of stored images, and what people said of them."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer
from clipsearch.answers.hits import ImageInfo

TagSource = Literal["model", "person"]
Verdict = Literal["accepted", "corrected", "skipped"]


class TagInfo(Answer):
    """A label that an image bears; numbers are the model's, and none for a label that a person gave."""

    label_set: str
    label_set_version: int = Field(description="the version whose scores these are, or that the person saw")
    label: str
    category: str | None = None
    source: TagSource
    rank: int | None = None
    score: float | None = None
    probability: float | None = None
    margin: float | None = Field(default=None, description="the probability less the next label's")


class ImageDetails(ImageInfo):
    """One image of a collection with the labels it bears."""

    tags: list[TagInfo] = Field(default_factory=list)


class TaggingInfo(Answer):
    """A label set that is applied to a collection."""

    collection: str
    label_set: str
    mode: str
    top: int = Field(description="labels kept for each image")
    automatic: bool = Field(description="whether new images are tagged as they are indexed")
    version_made: int = Field(description="version of the label set that the tags were made by")
    version_now: int
    stale: bool = Field(description="whether the tags hold no more and have to be made anew")
    why_stale: str | None = None
    images: int
    tagged: int = Field(description="images whose tags are of the image as it is now")
    created_at: dt.datetime
    updated_at: dt.datetime


class TaggingReport(Answer):
    """What a tagging did."""

    collection: str
    label_set: str
    label_set_version: int
    model: str
    tagged: int
    unchanged: int = Field(description="images that had their tags already")
    waiting: int = Field(description="images that have no embedding yet to be tagged by")
    anew: bool = Field(description="whether older tags were removed first")
    seconds: float
    problem: str | None = Field(default=None, description="why an automatic tagging was left as it is")


class LabelCount(Answer):
    """How many images bear a label."""

    label: str
    position: int
    category: str | None
    images: int


class CategoryCount(Answer):
    """How many images bear a label of a category."""

    category: str
    images: int


class TagCountsInfo(Answer):
    """How many images bear each label, by the thresholds as they are now."""

    tagging: TaggingInfo
    labels: list[LabelCount]
    categories: list[CategoryCount]
    rejected: int = Field(description="images that were tagged and bear none of the labels")


class ReviewInfo(Answer):
    """What a person decided of an image."""

    image_id: int
    label_set: str
    label_set_version: int
    verdict: Verdict
    labels: list[str]
    decided_at: dt.datetime


class ReviewChoice(Answer):
    """One of the best labels of an image in the queue; ``label`` is null for the background."""

    label: str | None
    category: str | None
    score: float
    probability: float
    accepted: bool


class ReviewEntry(Answer):
    """An image that waits for a decision."""

    image: ImageInfo
    distance: float = Field(description="how far the answer is from another one; the least certain come first")
    labels: list[str] = Field(description="what the model says, and what is accepted")
    choices: list[ReviewChoice]


class ReviewFigures(Answer):
    """How far a review has come."""

    reviewed: int
    accepted: int
    corrected: int
    skipped: int
    share_accepted: float | None = Field(description="accepted of all that were accepted or corrected")
    waiting: int


class ReviewQueue(Answer):
    """Images to look at, the least certain first."""

    collection: str
    label_set: str
    label_set_version: int
    mode: str
    figures: ReviewFigures
    entries: list[ReviewEntry]
    next: int | None = Field(description="give it as after for the next page; null on the last")
