"""What the API is asked of tags and reviews, and the lists it answers with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from clipsearch.answers import Answer, TaggingInfo
from clipsearch.queries import ImageId, ShortText, Strict
from clipsearch.web.messages import TYPED


class TaggingBody(Strict):
    """A label set to apply to a collection."""

    model_config = TYPED

    label_set: Annotated[ShortText, Field(min_length=1, max_length=200)]
    top: Annotated[int, Field(ge=1, le=100, description="labels to keep for each image")] = 3
    automatic: bool = Field(default=True, description="also tag new images as they are indexed")


class TagCountArgs(Strict):
    """Which tags to count."""

    min_tag_score: Annotated[float, Field(ge=-1.0, le=1.0, description="in the place of the label set's")] | None = None
    min_tag_probability: Annotated[float, Field(ge=0.0, le=1.0)] | None = None


class ReviewArgs(Strict):
    """Which part of the queue to give."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 20
    after: Annotated[ImageId, Field(description="the image after which to go on: next of a page")] | None = None


class ReviewBody(Strict):
    """What a person decides of an image."""

    model_config = TYPED

    decision: Literal["accept", "correct", "skip", "undo"]
    labels: Annotated[tuple[ShortText, ...], Field(max_length=100, strict=False)] = Field(
        default=(), description="needed with correct: what the image shows; [] says that it is none of the labels"
    )

    @model_validator(mode="after")
    def _labels_of_a_correction(self) -> ReviewBody:
        if self.labels and self.decision != "correct":
            raise ValueError("labels go with the decision correct only")
        if self.decision == "correct" and "labels" not in self.model_fields_set:
            raise ValueError("the decision correct needs labels; [] says that it is none of them")
        return self


class TaggingList(Answer):
    """The label sets that are applied to a collection, by name."""

    taggings: list[TaggingInfo]
