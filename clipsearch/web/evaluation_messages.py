"""What the API is asked of evaluations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clipsearch.queries import ShortText, Strict
from clipsearch.web.messages import TYPED


class EvaluationBody(Strict):
    """A label set whose reviewed tags are the truth, and what to compute."""

    model_config = TYPED

    label_set: Annotated[ShortText, Field(min_length=1, max_length=200)]
    against_label_set: Annotated[ShortText, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="a second set beside the first, stored or builtin:NAME"
    )
    against_model: Annotated[ShortText, Field(min_length=1)] | None = Field(
        default=None, description="a second model beside the collection's: one of GET /api/v1/models"
    )
    thresholds: bool = Field(default=False, description="find the least probability of each label with the best F1")
    write_thresholds: bool = Field(default=False, description="and store them in the label set, as its next version")
    resamples: Annotated[int, Field(ge=1, le=1_000, description="bootstrap resamples for the intervals")] = 200


class IndexRecallArgs(Strict):
    """How many queries of each kind to measure with."""

    queries: Annotated[int, Field(ge=1, le=1_000)] = 200
