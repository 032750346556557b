"""What the API is asked about label sets; an example image is never the name of a file on the server."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from clipsearch.label_set import Aggregate, Example, Label, LabelSet, Mode
from clipsearch.queries import ImageId, ShortText, Strict
from clipsearch.web.messages import MAX_PROMPTS, MAX_STORED, TYPED, CollectionName, Pictures

Cosine = Annotated[float, Field(ge=-1.0, le=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, as an answer gave it")]
Prompts = Annotated[tuple[ShortText, ...], Field(max_length=MAX_PROMPTS)]


class ExampleBody(Strict):
    """An example image that is known already, as an answer gave it; new ones are uploaded to the label."""

    model_config = TYPED

    uri: Annotated[str, Field(min_length=1, max_length=4_096)]
    digest: Digest


class LabelBody(Strict):
    """A label with what stands for it."""

    model_config = TYPED

    name: ShortText
    prompts: Prompts = ()
    negatives: Prompts = Field(default=(), description="the prompts of 'not this', for the mode binary")
    category: ShortText | None = Field(default=None, description="the outcome that this label counts for")
    words_weight: Share | None = Field(default=None, description="the share of the words beside examples")
    min_score: Cosine | None = None
    min_probability: Share | None = None
    examples: Annotated[tuple[ExampleBody, ...], Field(max_length=1_000)] = ()

    def label(self) -> Label:
        """The label that the body holds."""
        plain = {field: getattr(self, field) for field in LabelBody.model_fields if field != "examples"}
        return Label(**plain, examples=tuple(Example(one.uri, one.digest) for one in self.examples))


class LabelSetBody(Strict):
    """What a label set holds."""

    model_config = TYPED

    labels: Annotated[tuple[ShortText | LabelBody, ...], Field(min_length=1)]
    templates: Annotated[tuple[ShortText, ...], Field(max_length=100)] = ()
    mode: Mode = "single"
    aggregate: Aggregate = Field(default="mean_embedding", description="how a label's prompts are joined")
    background: Prompts = Field(default=(), description="the prompts of 'something else'")
    min_score: Cosine | None = None
    min_probability: Share | None = None
    min_margin: Share | None = Field(default=None, description="least lead of the first label over the second")

    def label_set(self) -> LabelSet:
        """The set that the body holds, not checked yet."""
        plain = {field: getattr(self, field) for field in LabelSetBody.model_fields if field != "labels"}
        labels = tuple(Label(name=one) if isinstance(one, str) else one.label() for one in self.labels)
        return LabelSet(**plain, labels=labels)


class NewLabelSetBody(LabelSetBody):
    """A label set to make."""

    name: Annotated[ShortText, Field(min_length=1, max_length=200)]


class LabelThresholdsBody(Strict):
    """Thresholds of one label; null takes one away."""

    model_config = TYPED

    min_score: Cosine | None = None
    min_probability: Share | None = None


class ThresholdsBody(LabelThresholdsBody):
    """Thresholds of a set and of labels by name; null takes one away, what is not named stays."""

    min_margin: Share | None = None
    labels: Annotated[dict[ShortText, LabelThresholdsBody], Field(max_length=MAX_STORED)] = Field(default_factory=dict)

    def of_set(self) -> dict[str, float | None]:
        """Those of the set that were named."""
        return {field: getattr(self, field) for field in self.model_fields_set - {"labels"}}

    def of_labels(self) -> dict[str, dict[str, float | None]]:
        """Those of labels that were named."""
        return {
            name: {field: getattr(one, field) for field in one.model_fields_set} for name, one in self.labels.items()
        }


class VersionArgs(Strict):
    """Which version of a set."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="the newest if not given"
    )


class ExamplesForm(Strict):
    """Images to stand for a label, uploaded as a form."""

    image: Pictures
    words_weight: Share | None = Field(default=None, description="the share of the label's words beside examples")
    collection: CollectionName | None = Field(default=None, description="whose model embeds them")


class ExamplesBody(Strict):
    """Images of a collection to stand for a label."""

    model_config = TYPED

    image_ids: Annotated[tuple[ImageId, ...], Field(min_length=1, max_length=MAX_STORED)]
    words_weight: Share | None = Field(default=None, description="the share of the label's words beside examples")
    collection: CollectionName | None = Field(default=None, description="whose images they are")

    @model_validator(mode="after")
    def _each_once(self) -> ExamplesBody:
        if len(set(self.image_ids)) < len(self.image_ids):
            raise ValueError("an image is named twice")
        return self
