"""Collections, indexes and models at a glance, and what the doctor says of them."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer


class TrialInfo(Answer):
    """What an approximate index was measured to find, whether it came into service or not."""

    in_service: bool
    recall_image: float = Field(description="share of the ten nearest that image queries find")
    recall_text: float = Field(description="share of the ten nearest that text queries find")
    image_queries: int
    text_queries: int
    text_source: str = Field(description="which text queries: stored, encoded or synthetic")
    rows: int = Field(description="images there were when it was trained")
    cells: int
    probes: int = Field(description="cells that a query visits")


class IndexInfo(Answer):
    """How a collection is searched."""

    kind: str
    images: int
    revision: int
    memory_bytes: int
    mapped_bytes: int = Field(default=0, description="those of them that lie in a mapped file")
    trial: TrialInfo | None = Field(default=None, description="how an approximate index was measured")


class LeaseInfo(Answer):
    """Who is indexing a collection."""

    holder: str
    purpose: str
    acquired_at: dt.datetime
    expires_at: dt.datetime


class CollectionInfo(Answer):
    """One collection."""

    name: str
    model: str
    dimension: int | None
    images: int
    failures: int
    revision: int
    created_at: dt.datetime
    updated_at: dt.datetime
    index: IndexInfo | None = None
    unsearchable: int | None = Field(
        default=None, description="images without an embedding by the model, told where the index is"
    )
    lease: LeaseInfo | None = None


class ModelInfo(Answer):
    """One model that the library holds embeddings of."""

    name: str
    dimension: int
    logit_scale: float
    logit_bias: float
    scoring: str
    fingerprint: str | None
    embeddings: int


class Finding(Answer):
    """One thing that the doctor noticed."""

    code: str
    severity: Literal["info", "warning", "error"]
    message: str
    subjects: list[str] = Field(default_factory=list)
    repaired: bool = False


class DoctorReport(Answer):
    """What the doctor looked at and what it found."""

    healthy: bool
    checked: dict[str, int]
    findings: list[Finding]


class CalibrationReport(Answer):
    """What int8 does to images that it was not calibrated by; only where it passed may it be used."""

    model: str
    images: int = Field(description="by how many images it was calibrated")
    checked: int = Field(description="by how many others it was checked")
    overlap: float = Field(description="mean share of the ten nearest neighbours that stayed")
    agreement: float = Field(description="share of images whose best label stayed, in the worst label set")
    reference: str = Field(description="the number format that it is compared with")
    passed: bool


class StatusReport(Answer):
    """The library at a glance."""

    version: str
    data_dir: str
    database: str = Field(description="the database's URL without its password")
    schema_revision: str
    collections: list[CollectionInfo]
    label_sets: int
    models: list[ModelInfo]
