"""The models of a collection, and what became of adding, switching and removing one."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer, FailedFile


class CollectionModel(Answer):
    """One model of a collection: the one that answers, or a further one."""

    name: str
    active: bool = Field(description="whether it is the one that answers")
    state: Literal["active", "ready", "embedding", "incomplete"] = Field(
        description="ready: every image has an embedding by it, and the collection can be switched to it"
    )
    dimension: int | None = Field(description="not known before the first embedding")
    embedded: int = Field(description="images that have an embedding by it")
    images: int = Field(description="images of the collection")
    added_at: dt.datetime | None = Field(description="null for the one that answers")
    run_id: int | None = Field(description="the run that embeds by it at this moment")


class CollectionModels(Answer):
    """The models of a collection, the one that answers first."""

    collection: str
    images: int
    models: list[CollectionModel]


class EmbeddingReport(Answer):
    """What a run did that embedded a collection by a further model."""

    collection: str
    model: str
    run_id: int
    cancelled: bool = Field(description="whether it was stopped; what it embedded stays")
    images: int = Field(description="images of the collection")
    embedded: int = Field(description="images that this run gave an embedding, those taken over among them")
    taken_over: int = Field(description="those whose content the model had embedded before")
    lacking: int = Field(description="images without an embedding by the model, now")
    failed: list[FailedFile] = Field(description="the images that could not be embedded, and why")
    ready: bool = Field(description="whether the collection can be switched to the model")
    seconds: float


class ModelSwitch(Answer):
    """A collection that another model answers in now."""

    collection: str
    model: str
    previous: str = Field(description="stays a further model, so that it can be switched back to")
    revision: int
    images: int
    lacking: int = Field(description="images without an embedding by the model, which searches do not find")
    missing: list[str] = Field(description="the uris of the first thousand of those")
    outdated_tags: list[str] = Field(description="label sets whose tags were made by another model: apply them again")


class ModelRemoval(Answer):
    """A further model that was removed from a collection."""

    collection: str
    model: str
    embeddings: int = Field(description="image embeddings that were deleted")


class MissingImage(Answer):
    """An image without an embedding by a model."""

    id: int
    uri: str


class MissingImages(Answer):
    """The images of a collection that lack an embedding by a model, by id."""

    collection: str
    model: str
    total: int
    images: list[MissingImage]
