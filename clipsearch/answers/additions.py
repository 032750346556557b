"""What became of pictures that came with a request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer
from clipsearch.answers.hits import ImageInfo


class Reason(Answer):
    """Why something did not come about."""

    code: str = Field(description="stable: programs may test for it")
    reason: str


class ImageAdded(Answer):
    """One picture that was to be added."""

    name: str = Field(description="as the sender calls it, made fit for a file's name")
    outcome: Literal["added", "unchanged", "failed"] = Field(
        description="unchanged: the same content is there under the same name"
    )
    image: ImageInfo | None = None
    error: Reason | None = None


class ImagesAdded(Answer):
    """Pictures that were to be added, in the order in which they came."""

    collection: str
    images: list[ImageAdded]
