"""What a label set that is not saved yet makes of some images of a collection, and a label file that was read."""

from __future__ import annotations

from pydantic import Field

from clipsearch.answers.base import Answer
from clipsearch.answers.hits import ImageInfo
from clipsearch.answers.labels import Classification, ExampleInfo, LabelSetInfo


class PreviewImage(Answer):
    """One of the best images of a label."""

    image_id: int
    score: float = Field(description="cosine similarity of image and label embedding")
    probability: float
    accepted: bool = Field(description="whether the image gets the label, by the thresholds of the draft")


class LabelPreview(Answer):
    """One label of a draft, with the images that it fits best."""

    label: str | None = Field(description="null for the background of the set")
    position: int
    images: int = Field(description="images of the sample that get the label")
    best: list[PreviewImage] = Field(description="the most probable ones first, whether they get the label or not")


class LabelSetPreview(Answer):
    """What a draft makes of a sample of a collection's images."""

    collection: str
    model: str
    images: int = Field(description="images of the sample, spread evenly over the collection")
    rejected: int = Field(description="images of the sample that get no label")
    templates: list[str] = Field(description="those that the draft has, or would get when it is saved")
    warnings: list[str]
    labels: list[LabelPreview]
    results: list[Classification] = Field(description="some images of the sample with their labels")
    pictures: list[ImageInfo] = Field(description="every image that is named here, once, by id")


class LabelFileInfo(Answer):
    """A label file that was read; nothing of it is saved."""

    label_set: LabelSetInfo
    left_out: list[str] = Field(description="examples that this library does not know: their files stayed with you")


class KeptExamples(Answer):
    """Images that the library knows now as examples; no label has them yet."""

    examples: list[ExampleInfo] = Field(description="in the order in which they were given")
