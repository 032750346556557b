"""What indexing and importing did, and what failed."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile


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
