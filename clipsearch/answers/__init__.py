"""What is answered: frozen pydantic models that the verbs build and every door prints alike."""

from __future__ import annotations

from clipsearch.answers.base import Answer, FailedFile
from clipsearch.answers.hits import Hit, ImageInfo, SearchAnswer
from clipsearch.answers.labels import Classification, ClassifyAnswer, LabelInfo, LabelSetInfo, Prediction
from clipsearch.answers.library import (
    CalibrationReport,
    CollectionInfo,
    DoctorReport,
    Finding,
    IndexInfo,
    LeaseInfo,
    ModelInfo,
    StatusReport,
    TrialInfo,
)
from clipsearch.answers.runs import FailureInfo, ImportReport, IndexingReport, RunInfo

__all__ = [
    "Answer",
    "CalibrationReport",
    "Classification",
    "ClassifyAnswer",
    "CollectionInfo",
    "DoctorReport",
    "FailedFile",
    "FailureInfo",
    "Finding",
    "Hit",
    "ImageInfo",
    "ImportReport",
    "IndexInfo",
    "IndexingReport",
    "LabelInfo",
    "LabelSetInfo",
    "LeaseInfo",
    "ModelInfo",
    "Prediction",
    "RunInfo",
    "SearchAnswer",
    "StatusReport",
    "TrialInfo",
]
