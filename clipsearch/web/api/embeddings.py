"""The route of embeddings, for those who compare or keep them elsewhere."""

from __future__ import annotations

import base64
from contextlib import AbstractContextManager

import numpy as np
from apiflask import APIBlueprint

from clipsearch.answers.embeddings import EmbeddingInfo, EmbeddingsAnswer
from clipsearch.encoding import Encodings, choose_model, encode_pictures, encode_texts, stored_encodings
from clipsearch.errors import InvalidInput
from clipsearch.web.context import context
from clipsearch.web.embedding_messages import EmbeddingsBody
from clipsearch.web.fetched import fetched
from clipsearch.web.known_models import check_model
from clipsearch.web.scopes import needs
from clipsearch.web.upload_limit import check_size

routes = APIBlueprint("embeddings", __name__, tag="Embeddings", url_prefix="/api/v1")


@routes.post("/embeddings")
@routes.input(EmbeddingsBody, location="json")
@routes.output(EmbeddingsAnswer)
@needs("read")
def embed(json_data: EmbeddingsBody) -> EmbeddingsAnswer:
    """Embed texts and images; each kind is answered in its order."""
    held = context()
    check_model(held.library, json_data.model)
    check_size(json_data.images)
    pictures = [*json_data.images, *fetched(json_data.image_urls)]
    with _slot(bool(pictures)):
        return _embedded(json_data, pictures)


def _slot(pictures: bool) -> AbstractContextManager[None]:
    held = context()
    return (held.slots if pictures else held.search_slots).taken()


def _embedded(asked: EmbeddingsBody, pictures: list[bytes]) -> EmbeddingsAnswer:
    library, found = context().library, {}
    # Once for all kinds: the collection may be switched to another model between them.
    chosen = choose_model(library, collection=asked.collection, model=asked.model)
    if asked.texts:
        found["texts"] = encode_texts(library, asked.texts, model=chosen)
    if pictures:
        seen = encode_pictures(library, pictures, model=chosen)
        found["images"] = seen.part(0, len(asked.images))
        found["image_urls"] = seen.part(len(asked.images), len(pictures))
    if asked.image_ids:
        found["image_ids"] = stored_encodings(library, asked.image_ids, model=chosen)
    model = next(iter(found.values())).model
    return EmbeddingsAnswer(
        model=model.name,
        dimension=model.dimension,
        normalized=asked.normalized,
        **{kind: _told(encodings, asked) for kind, encodings in found.items()},
    )


def _told(encodings: Encodings, asked: EmbeddingsBody) -> list[EmbeddingInfo]:
    lengths = encodings.norms
    if not asked.normalized and np.isnan(lengths).any():
        place = int(np.flatnonzero(np.isnan(lengths))[0])
        raise InvalidInput(
            f"image_ids[{place}]: image {asked.image_ids[place]} was imported at unit length, and nobody kept "
            "the length it had; ask for it normalized"
        )
    rows = encodings.vectors if asked.normalized else encodings.raw
    return [
        EmbeddingInfo(
            embedding=base64.b64encode(row.astype("<f4").tobytes()).decode()
            if asked.encoding == "base64"
            else row.tolist(),
            norm=None if np.isnan(length) else float(length),
            truncated=cut,
        )
        for row, length, cut in zip(rows, lengths, encodings.truncated, strict=True)
    ]
