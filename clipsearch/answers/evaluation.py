"""What an evaluation answers: figures with their intervals, mistakes, index recall, and published figures compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile


class MeasuredFigure(Answer):
    """A figure, and the interval in which 95 % of bootstrap resamples of the images lie."""

    value: float
    low: float | None = Field(default=None, description="lower end of the interval; none where it was not resampled")
    high: float | None = None


class LabelFigures(Answer):
    """What was measured of one label."""

    label: str
    images: int = Field(description="images that truly have it")
    predicted: int = Field(description="images that got it")
    recall: float | None = Field(description="none where no image has the label")
    precision: float | None = Field(description="none where no image got the label")
    f1: float | None = None
    average_precision: float | None = Field(default=None, description="over all images, by probability")


class Confusion(Answer):
    """Images of one label that got another."""

    truth: str
    predicted: str | None = Field(description="none for the background")
    images: int
    share: float = Field(description="of the true label's images")


class Mistake(Answer):
    """An image that got a wrong label, or lacks one."""

    uri: str
    image_id: int | None = None
    truth: list[str]
    predicted: list[str]
    probability: float | None = Field(default=None, description="of the label that it wrongly got")
    truth_probability: float | None = Field(default=None, description="of the true label, or of the one that it lacks")


class CalibrationBin(Answer):
    """Images whose label had about this probability, and how many of them were right."""

    low: float
    high: float
    images: int
    probability: float | None = Field(description="their mean probability; none where the bin is empty")
    accuracy: float | None


class TunedThreshold(Answer):
    """The least probability by which a label's F1 is best on these images."""

    label: str
    min_probability: float
    precision: float
    recall: float
    f1: float
    f1_before: float | None = Field(description="with the threshold that the set has")


class LabelCurve(Answer):
    """Precision, recall and F1 of one label at rising thresholds, some of many."""

    label: str
    thresholds: list[float]
    precision: list[float]
    recall: list[float]
    f1: list[float]


class Contender(Answer):
    """What one model made of the images with one label set."""

    model: str
    label_set: str | None
    label_set_version: int | None
    mode: Literal["single", "multi", "binary"]
    templates: list[str]
    labels: int
    images: int = Field(description="images that the figures are of")
    encoded: int = Field(description="images that the model encoded; the other embeddings were in the library")
    unknown_classes: dict[str, int] = Field(
        default_factory=dict, description="classes that the label set has no label for, with their images, left out"
    )
    figures: dict[str, MeasuredFigure]
    per_label: list[LabelFigures] = Field(default_factory=list)
    most_confused: list[Confusion] = Field(default_factory=list)
    confusion_labels: list[str] = Field(default_factory=list)
    confusion_matrix: list[list[int]] = Field(
        default_factory=list, description="rows: true labels; columns: given ones; the last of each: none of them"
    )
    calibration: list[CalibrationBin] = Field(default_factory=list)
    thresholds: list[TunedThreshold] = Field(default_factory=list)
    curves: list[LabelCurve] = Field(default_factory=list, description="of the labels with the most images")
    mistakes: list[Mistake] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    failed: list[FailedFile] = Field(default_factory=list, description="files that this model made nothing of")


class TemplateFigures(Answer):
    """What one template gives, or all of them together."""

    template: str | None = Field(description="none for the ensemble of all")
    figures: dict[str, MeasuredFigure]
    difference: MeasuredFigure | None = Field(default=None, description="from the first, image by image")


class EvaluationAnswer(Answer):
    """How well labels or captions are found for the images of one source."""

    source: str
    kind: Literal["folder", "table", "captions", "reviews"]
    images: int = Field(description="images that were found with a truth")
    classes: dict[str, int] = Field(description="images by class: the class distribution")
    contenders: list[Contender]
    differences: dict[str, MeasuredFigure] = Field(
        default_factory=dict, description="of the second contender from the first, over the same images"
    )
    templates: list[TemplateFigures] = Field(default_factory=list)
    failed: list[FailedFile] = Field(default_factory=list, description="files that could not be used, and why")
    written_to: str | None = Field(default=None, description="the label set that the thresholds were written to")
    report: str | None = Field(default=None, description="the file that the report was written to")


class RecallFigures(Answer):
    """What one kind of query finds of the exact answer."""

    queries: int
    source: str = Field(description="where the queries come from")
    recall: MeasuredFigure | None = Field(description="share of the exact neighbours; none without queries")
    worst: float | None = Field(default=None, description="the share of the worst query")


class IndexRecallAnswer(Answer):
    """The vector index against exact search, for images and for texts apart."""

    collection: str
    model: str
    kind: str
    images: int
    neighbours: int
    probes: int | None = Field(default=None, description="cells that a query visits; none for an exact index")
    cells: int | None = None
    by_image: RecallFigures
    by_text: RecallFigures


class FigureCheck(Answer):
    """A published figure, and what was measured here."""

    name: str
    source: str
    model: str
    quantity: str
    published: list[float]
    measured: list[float] = Field(default_factory=list)
    tolerance: float
    difference: float | None = Field(default=None, description="the largest; none where nothing was measured")
    state: Literal["reproduced", "different", "not checked"]
    needed: list[str] = Field(default_factory=list, description="what is not there, for one that was not checked")


class ReferenceReport(Answer):
    """All published figures, each with what became of it."""

    reproduced: int
    different: int
    not_checked: int
    checks: list[FigureCheck]
