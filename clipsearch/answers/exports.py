"""What an export of labels wrote, and what it could not."""

from __future__ import annotations

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile


class ClassCount(Answer):
    """One class of a dataset."""

    name: str
    category: str | None
    images: int
    parts: dict[str, int] = Field(description="images by part; empty where nothing is split")


class ExportReport(Answer):
    """One export. Every image that was looked at is in ``labelled``, in ``rejected`` or in ``failed``."""

    collection: str
    label_set: str
    label_set_version: int | None
    mode: str
    model: str
    form: str
    target: str | None = Field(description="null for sidecars, which lie beside the images")
    dry_run: bool
    images: int = Field(description="images of the collection that pass the filters")
    labelled: int = Field(description="those with a label")
    reviewed: int = Field(description="those whose labels, or whose having none, a person decided")
    from_tags: int = Field(description="those whose labels came from stored tags")
    classified: int = Field(description="those that were classified for this export")
    parts: dict[str, int] = Field(description="labelled images by part; empty where nothing is split")
    classes: list[ClassCount]
    rejected: dict[str, int] = Field(description="images without a label, by the reason")
    rejected_written: bool = Field(description="whether they stand in the dataset, as _rejected")
    copied: int = Field(description="files that were copied, because that was asked for or no link could be made")
    sidecars: dict[str, int] = Field(description="sidecars that were written, and that had nothing to change")
    failed: list[FailedFile] = Field(description="images that are not in the dataset, and why")
    missing: list[FailedFile] = Field(
        description="images that are listed in the dataset, though their files are gone or changed"
    )
    warnings: list[str] = Field(default_factory=list)
    seconds: float
