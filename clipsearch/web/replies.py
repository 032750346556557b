"""What only the API answers: lists, pages, health and problems, as pydantic models; the rest stands in ``answers``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from clipsearch.answers import (
    Answer,
    ClassifyAnswer,
    CollectionInfo,
    FailureInfo,
    ImageInfo,
    LabelSetInfo,
    LabelSetVersionInfo,
    RunInfo,
    SearchAnswer,
)


class CollectionList(Answer):
    """Every collection, by name."""

    collections: list[CollectionInfo]


class ImagePage(Answer):
    """Some images, in the order that was asked for."""

    images: list[ImageInfo]
    next: int | str | None = Field(description="give it as after for the next page; null on the last")


class ClassifyPage(ClassifyAnswer):
    """Labels for a page of stored images."""

    next: int | None = Field(default=None, description="give it as after for the next page; null on the last")


class SearchBatch(Answer):
    """The answers to several searches, in the order of the queries."""

    answers: list[SearchAnswer]


class LabelSetList(Answer):
    """Every label set, by name."""

    label_sets: list[LabelSetInfo]


class LabelSetVersions(Answer):
    """The versions of a label set, the newest first."""

    versions: list[LabelSetVersionInfo]


class JobList(Answer):
    """The newest jobs first."""

    jobs: list[RunInfo]


class FailurePage(Answer):
    """Files that could not be indexed, by uri."""

    failures: list[FailureInfo]
    total: int


class Readiness(Answer):
    """Whether searches can be answered, and where not, why."""

    ready: bool
    database: str
    model: str
    index: str


class Alive(Answer):
    """The process answers."""

    alive: bool = True


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="stable: programs may test for it")
    request_id: str = Field(description="stands in the server's log, too")
    details: dict[str, Any] = Field(default_factory=dict)
