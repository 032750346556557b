"""Label sets, and what a classification answers."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile


class Prediction(Answer):
    """A label for an image."""

    label: str | None = Field(description="null for the background of the set: none of its labels")
    position: int = Field(
        description="place of the label in its set, -1 for the background; tells repeated names apart"
    )
    score: float = Field(description="cosine similarity of image and label embedding, of the best prompt where each is "
                                     "looked at on its own")  # fmt: skip
    logit: float = Field(description="scale * score + bias, both from the model")
    probability: float
    margin: float = Field(default=0.0, description="probability less that of the next one")
    accepted: bool = Field(default=True, description="whether it passes the set's thresholds")
    category: str | None = None


class CategoryShare(Answer):
    """What several labels come to together."""

    category: str
    probability: float = Field(description="the sum of its labels; in the modes multi and binary the largest")
    label: str = Field(description="its most probable label")


class Classification(Answer):
    """The labels of one image, most probable first."""

    uri: str
    image_id: int | None = None
    label: str | None = Field(description="the first label that was accepted; null where none was")
    labels: list[str] = Field(default_factory=list, description="every label that was accepted; one at most in single")
    category: str | None = Field(
        default=None,
        description="the most probable category; null where the thresholds reject it, in multi and binary where they "
        "reject every label",
    )
    categories: list[CategoryShare] = Field(default_factory=list, description="every one, most probable first")
    rejected: Literal["background", "score", "probability", "margin"] | None = Field(
        default=None, description="why no label was accepted"
    )
    predictions: list[Prediction]


class ClassifyAnswer(Answer):
    """Labels for images, with what made them."""

    model: str
    mode: Literal["single", "multi", "binary"]
    aggregate: Literal["mean_embedding", "max", "sum_probability"] = "mean_embedding"
    label_set: str | None
    label_set_version: int | None
    templates: list[str]
    warnings: list[str] = Field(default_factory=list)
    results: list[Classification]
    failed: list[FailedFile] = Field(default_factory=list)


class ClassifyAnswers(Answer):
    """Labels of several sets for the same images, one answer for each set."""

    answers: list[ClassifyAnswer]


class ExampleInfo(Answer):
    """An image that stands for a label."""

    uri: str
    digest: str = Field(description="SHA-256 of its file, or of its embedding where it came without a file")


class LabelInfo(Answer):
    """One label of a set."""

    name: str
    prompts: list[str]
    negatives: list[str] = Field(default_factory=list, description="the prompts of 'not this', for the mode binary")
    category: str | None = Field(default=None, description="the outcome that this label counts for")
    words_weight: float | None = Field(default=None, description="the share of the words beside examples; half if null")
    min_score: float | None = Field(default=None, description="least cosine; stands before the set's")
    min_probability: float | None = Field(default=None, description="stands before the set's")
    examples: list[ExampleInfo] = Field(default_factory=list)


class LabelSetInfo(Answer):
    """One label set, as it stands or as it was."""

    name: str
    version: int = Field(description="counts up with every change; 0 for a built-in set")
    mode: Literal["single", "multi", "binary"]
    aggregate: Literal["mean_embedding", "max", "sum_probability"] = "mean_embedding"
    templates: list[str]
    background: list[str] = Field(default_factory=list, description="the prompts of 'something else'")
    min_score: float | None = None
    min_probability: float | None = None
    min_margin: float | None = Field(default=None, description="least lead of the first label over the second")
    digest: str = Field(default="", description="of what scores depend on: the same for two versions that differ in "
                                                "thresholds and categories only")  # fmt: skip
    labels: list[LabelInfo]
    warnings: list[str] = Field(default_factory=list)
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


class LabelSetVersionInfo(Answer):
    """One version of a label set, and what it changed."""

    version: int
    made_at: dt.datetime
    mode: Literal["single", "multi", "binary"]
    labels: int
    changes: list[str] = Field(description="against the version before; empty for the first that is known")
