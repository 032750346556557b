"""What the API is asked of a label set that is not saved yet, and of label files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clipsearch.queries import ImageId, ShortText, Strict
from clipsearch.web.label_messages import LabelSetBody
from clipsearch.web.messages import MAX_STORED, TYPED, CollectionName, FiltersBody, Pictures

LONGEST_FILE = 500_000


class PreviewBody(LabelSetBody):
    """A label set that is not saved, and how much to show of what it would say."""

    sample: Annotated[int, Field(ge=1, le=2_000, description="how many images to look at, spread evenly")] = 480
    best: Annotated[int, Field(ge=0, le=50, description="images to give for each label")] = 8
    shown: Annotated[int, Field(ge=0, le=500, description="images to give with their labels")] = 48
    filters: FiltersBody = FiltersBody()


class ExampleImagesForm(Strict):
    """Images that are to stand for labels of a set that is not saved yet, uploaded as a form."""

    image: Pictures
    collection: CollectionName | None = Field(default=None, description="whose model embeds them")


class ExampleImagesBody(Strict):
    """Images of a collection that are to stand for labels of a set that is not saved yet."""

    model_config = TYPED

    image_ids: Annotated[tuple[ImageId, ...], Field(min_length=1, max_length=MAX_STORED)]
    collection: CollectionName | None = Field(default=None, description="whose images they are")


class LabelFileArgs(Strict):
    """Which form and version of a label file."""

    form: Literal["yaml", "json", "csv"] = "yaml"
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="the newest if not given"
    )


class LabelFileBody(Strict):
    """A label file to read."""

    model_config = TYPED

    text: Annotated[str, Field(max_length=LONGEST_FILE)]
    form: Literal["yaml", "json", "csv", "lines"] = "yaml"
    name: Annotated[ShortText, Field(max_length=200, description="what messages call the file")] = "the file"
