"""What the API is asked of models and jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clipsearch.answers import Answer, FailedFile, ModelInfo
from clipsearch.answers.runs import RunState
from clipsearch.queries import ShortText, Strict
from clipsearch.web.messages import TYPED, CollectionName, PageArgs

ModelName = Annotated[ShortText, Field(min_length=1, description="a model's name, as GET /api/v1/models lists them")]


class ModelBody(Strict):
    """A further model to embed a collection by."""

    model_config = TYPED

    model: ModelName


class SwitchBody(Strict):
    """The model that is to answer."""

    model_config = TYPED

    model: ModelName
    allow_missing: bool = Field(
        default=False, description="switch also where images lack an embedding by it: they leave the searches"
    )


class ModelArgs(Strict):
    """Which model of a collection."""

    model: ModelName


class MissingArgs(Strict):
    """Which model of a collection, and which part of what lacks it."""

    model: ModelName
    after: Annotated[int, Field(ge=0, le=2**63 - 1, description="the id after which to go on")] = 0
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class JobArgs(Strict):
    """Which jobs to list."""

    collection: CollectionName | None = None
    state: Annotated[tuple[RunState, ...], Field(max_length=6)] = Field(
        default=(), description="of any state where none"
    )
    kind: Literal["index", "embed"] | None = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class JobFailuresArgs(PageArgs):
    """Which part of a job's failures to give."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 1_000


class KnownModel(Answer):
    """A model that this library knows, or that comes along."""

    name: str
    loaded: bool = Field(description="whether it is in memory")
    stored: ModelInfo | None = Field(description="what is known of it, from its first embedding on")


class ModelList(Answer):
    """The models that may be named over HTTP."""

    models: list[KnownModel]


class JobFailures(Answer):
    """What a job could not take in, and why."""

    failures: list[FailedFile]
    total: int
