"""Embeddings of texts and images, as numbers or as base64 of them."""

from __future__ import annotations

from pydantic import Field

from clipsearch.answers.base import Answer


class EmbeddingInfo(Answer):
    """The embedding of one text or image."""

    embedding: list[float] | str = Field(description="numbers, or base64 of them as little-endian float32")
    norm: float | None = Field(description="its length as it came from the model; none where nobody kept it")
    truncated: bool = Field(default=False, description="whether a text went beyond the model's context and was cut")


class EmbeddingsAnswer(Answer):
    """The embeddings of what was given, each kind in its order."""

    model: str
    dimension: int
    normalized: bool = Field(description="whether they are of unit length, or as they came from the model")
    texts: list[EmbeddingInfo] = Field(default_factory=list)
    images: list[EmbeddingInfo] = Field(default_factory=list)
    image_urls: list[EmbeddingInfo] = Field(default_factory=list)
    image_ids: list[EmbeddingInfo] = Field(default_factory=list)
