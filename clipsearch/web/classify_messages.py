"""What the API is asked of several label sets at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clipsearch.queries import ShortText, Strict
from clipsearch.web.messages import TYPED, CollectionName, Pictures, PicturesBody, Top

MAX_SETS = 20

SetNames = Annotated[
    tuple[ShortText, ...],
    Field(min_length=1, max_length=MAX_SETS, description="stored label sets, or builtin:NAME"),
]


class SetsForm(Strict):
    """Images to classify with several label sets."""

    image: Pictures
    label_sets: SetNames
    top: Top = 5
    collection: CollectionName | None = Field(default=None, description="whose model to use")


class SetsBody(PicturesBody):
    """Images to classify with several label sets, in base64 or by address."""

    model_config = TYPED

    label_sets: SetNames
    top: Top = 5
    collection: CollectionName | None = Field(default=None, description="whose model to use")
