"""What is answered: frozen pydantic models that the verbs build and every door prints alike."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Frozen; ``model_dump_json()`` is the form on every door."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageInfo(Answer):
    """One image of a collection."""

    id: int
    uri: str
    content_hash: str | None = Field(description="SHA-256 of the file's bytes; none for imported embeddings")
    size: int | None = Field(description="bytes")
    width: int | None
    height: int | None
    format: str | None
    taken_at: dt.datetime | None = Field(description="EXIF DateTimeOriginal, else the file's time")
    modified_at: dt.datetime | None
    indexed_at: dt.datetime
    revision: int


class Hit(Answer):
    """One image found."""

    rank: int = Field(description="1 is the best")
    score: float = Field(description="cosine similarity, -1 to 1; higher is closer")
    image: ImageInfo
    duplicates: list[int] = Field(default_factory=list, description="ids collapsed into this hit")


class SearchAnswer(Answer):
    """The images found, best first, and how the answer came about."""

    collection: str
    model: str
    hits: list[Hit]
    revision: int = Field(description="revision of the collection that the index answered from")
    stale: bool = Field(description="whether the collection has moved on since that revision")
    truncated: bool = Field(description="whether a text went beyond the model's context and was cut")
    unknown_words: list[str] = Field(description="words of the query that the model never saw, where it can tell")
    notice: str | None = Field(default=None, description="why there is no hit, where that is known")


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


class FailedFile(Answer):
    """A file that could not be used, and why."""

    uri: str
    code: str
    reason: str


class IndexingReport(Answer):
    """What one run did: every file stands in exactly one of the six groups."""

    collection: str
    source: str
    model: str
    run_id: int | None
    dry_run: bool
    cancelled: bool = Field(default=False, description="whether the run was stopped: files may be in no group then")
    added: list[str]
    changed: list[str]
    moved: list[str] = Field(description="the new uris of files that were renamed or moved")
    unchanged: list[str]
    removed: list[str]
    failed: list[FailedFile]
    encoded: int = Field(description="images that the model encoded; the other embeddings were taken over by hash")
    revision: int
    seconds: float


class ImportReport(Answer):
    """What an import brought."""

    collection: str | None
    label_set: str | None
    model: str
    imported: int
    failed: list[FailedFile]
    warnings: list[str]
    seconds: float


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
    lease: LeaseInfo | None = None


class IndexInfo(Answer):
    """How a collection is searched."""

    kind: str
    images: int
    revision: int
    memory_bytes: int
    mapped_bytes: int = Field(default=0, description="those of them that lie in a mapped file")
    trial: TrialInfo | None = Field(default=None, description="how an approximate index was measured")


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


class LeaseInfo(Answer):
    """Who is indexing a collection."""

    holder: str
    purpose: str
    acquired_at: dt.datetime
    expires_at: dt.datetime


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


class FailureInfo(FailedFile):
    """A stored failure."""

    attempts: int
    first_failed_at: dt.datetime
    last_failed_at: dt.datetime
    run_id: int | None


class RunInfo(Answer):
    """One indexing run, which the API calls a job."""

    id: int
    collection: str
    source: str
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    done: int = Field(description="files dealt with so far")
    total: int | None = Field(description="files found; not known while they are still being looked for")
    counts: dict[str, int]
    error: str | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


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


for _answer in (ClassifyAnswer, CollectionInfo):
    _answer.model_rebuild()
