"""Label sets, and what a classification answers."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile


class Prediction(Answer):
    """A label for an image."""

    label: str
    position: int = Field(description="place of the label in its set; tells repeated names apart")
    score: float = Field(description="cosine similarity of image and label embedding")
    logit: float = Field(description="scale * score + bias, both from the model")
    probability: float


class Classification(Answer):
    """The labels of one image, most probable first."""

    uri: str
    image_id: int | None = None
    label: str
    predictions: list[Prediction]


class ClassifyAnswer(Answer):
    """Labels for images, with what made them."""

    model: str
    mode: Literal["single"]
    label_set: str | None
    label_set_version: int | None
    templates: list[str]
    warnings: list[str] = Field(default_factory=list)
    results: list[Classification]
    failed: list[FailedFile] = Field(default_factory=list)


class LabelInfo(Answer):
    """One label of a set."""

    name: str
    prompts: list[str]


class LabelSetInfo(Answer):
    """One stored label set."""

    name: str
    version: int
    mode: Literal["single"]
    templates: list[str]
    labels: list[LabelInfo]
    warnings: list[str] = Field(default_factory=list)
    created_at: dt.datetime
    updated_at: dt.datetime
