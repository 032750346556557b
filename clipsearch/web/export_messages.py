"""What an export over HTTP is asked, as a pydantic model with its limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clipsearch.queries import ShortText
from clipsearch.web.messages import FilterArgs

Share = Annotated[float, Field(ge=0.0, le=1e6)]


class ExportArgs(FilterArgs):
    """Which labels of which images, and in which lines."""

    format: Literal["csv", "jsonl", "cloudevents"] = "csv"
    label_set: ShortText | None = Field(default=None, description="needed but for cloudevents, which have words then")
    split: bool = Field(default=True, description="whether images have parts: train, valid, test")
    train: Share = 80.0
    valid: Share = 10.0
    test: Share = 10.0
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 0
    min_probability: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    keep_rejected: bool = Field(default=False, description="give images without a label, too")
    by: Literal["label", "category"] = "label"
    embeddings: bool = Field(default=False, description="give embeddings, too: jsonl")
    top: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="give the so many best labels, whatever the thresholds say: cloudevents"
    )
