"""What the API is asked of embeddings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from clipsearch.queries import ImageId, ShortText, Strict, Text
from clipsearch.web.messages import MAX_PICTURES, MAX_STORED, TYPED, Base64Image, CollectionName, Url

MAX_TEXTS = 64


class EmbeddingsBody(Strict):
    """Texts and images to embed, by the model of a collection or by one that is named."""

    model_config = TYPED

    collection: CollectionName | None = Field(default=None, description="whose model to use; the settings' where none")
    model: ShortText | None = Field(default=None, description="in the place of a collection: one the server knows")
    texts: Annotated[tuple[Text, ...], Field(max_length=MAX_TEXTS)] = ()
    images: Annotated[tuple[Base64Image, ...], Field(max_length=MAX_PICTURES)] = ()
    image_urls: Annotated[tuple[Url, ...], Field(max_length=MAX_PICTURES)] = Field(
        default=(), description="addresses of images; only where the server may fetch: CLIPSEARCH_FETCH_URLS"
    )
    image_ids: Annotated[tuple[ImageId, ...], Field(max_length=MAX_STORED)] = Field(
        default=(), description="images of the collection"
    )
    encoding: Literal["float", "base64"] = "float"
    normalized: bool = Field(default=True, description="unit length; else as they came from the model")

    @model_validator(mode="after")
    def _something(self) -> EmbeddingsBody:
        if not (self.texts or self.images or self.image_urls or self.image_ids):
            raise ValueError("give texts, images, image_urls or image_ids")
        if self.collection is not None and self.model is not None:
            raise ValueError("give a collection or a model, not both: a collection has a model of its own")
        if self.model is not None and self.image_ids:
            raise ValueError("image_ids are those of a collection: give that in the place of a model")
        if len(self.images) + len(self.image_urls) > MAX_PICTURES:
            raise ValueError(f"images and image_urls together must not exceed {MAX_PICTURES}")
        return self
