"""What a run may be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexingOptions:
    """How to index.

    ``allow_empty`` takes an empty or vanished source at its word; ``model`` counts only for a new collection.
    """

    dry_run: bool = False
    retry_failed: bool = False
    allow_empty: bool = False
    model: str | None = None
