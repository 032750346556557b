"""How an export may be asked for; knows which wishes go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clipsearch.datasets import Placement, Split
from clipsearch.errors import InvalidInput

Form = Literal["folder", "csv", "jsonl", "parquet", "coco", "cloudevents", "xmp"]
FORMS: tuple[Form, ...] = ("folder", "csv", "jsonl", "parquet", "coco", "cloudevents", "xmp")
TEXT_FORMS: tuple[Form, ...] = ("csv", "jsonl", "cloudevents")  # that can be given line by line
SPLIT_FORMS = {"folder", "csv", "jsonl", "parquet", "coco"}
VECTOR_FORMS = {"jsonl", "parquet", "cloudevents"}
USUAL_SPLIT = Split()


@dataclass(frozen=True)
class ExportOptions:
    """``split`` is None for no parts. ``min_probability`` is a floor beside the thresholds of the set, which hold
    anyhow; it does not touch what a person decided. With ``keep_rejected`` images without a label are written, too.
    ``placement`` says how pictures come into a dataset: of a folder a class hard links unless told otherwise, of COCO
    only when told so. With ``top`` the keywords of an event are the so many best labels, whatever the thresholds say.
    Raises InvalidInput for wishes that do not go together."""

    form: Form = "folder"
    split: Split | None = USUAL_SPLIT
    min_probability: float | None = None
    keep_rejected: bool = False
    by: Literal["label", "category"] = "label"
    placement: Placement | None = None
    embeddings: bool = False
    top: int | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InvalidInput(f"there is no form {self.form!r}; there are {', '.join(FORMS)}")
        if self.embeddings and self.form not in VECTOR_FORMS:
            raise InvalidInput(f"embeddings are written as {', '.join(sorted(VECTOR_FORMS))}, not as {self.form}")
        if self.placement is not None and self.form not in {"folder", "coco"}:
            raise InvalidInput(
                f"pictures are placed into a folder for each class, or beside COCO, not into {self.form}"
            )
        if self.top is not None and (self.form != "cloudevents" or self.top < 1):
            raise InvalidInput("only events bear the best labels whatever the thresholds say, and at least one of them")
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise InvalidInput("a least probability lies between 0 and 1")

    @property
    def parts(self) -> Split | None:
        """The split, where the form has a place for it."""
        return self.split if self.form in SPLIT_FORMS else None

    @property
    def places_pictures(self) -> bool:
        """Whether picture files become part of the dataset."""
        return self.form == "folder" or (self.form == "coco" and self.placement is not None)
