"""What indexing and importing did, and what failed."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile

RunState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
# In which a run stays.
ENDED: frozenset[RunState] = frozenset({"done", "failed", "cancelled", "interrupted"})


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
    unchanged: int = Field(default=0, description="rows that stood there already, of an import that can tell")
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
    """One run, which the API calls a job: a source that is indexed, or a collection embedded by a further model."""

    id: int
    collection: str
    kind: Literal["index", "embed"] = "index"
    model: str | None = Field(default=None, description="the further model, of an embedding")
    source: str = Field(description="what is indexed; empty for an embedding")
    state: RunState
    done: int = Field(description="files, or images to embed, dealt with so far")
    total: int | None = Field(description="how many there are; not known while files are still being looked for")
    counts: dict[str, int]
    error: str | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
