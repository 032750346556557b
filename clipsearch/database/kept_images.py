"""What is kept of images that are known by uri, so that what is brought again is told from what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select

from clipsearch.database.images import chunks
from clipsearch.database.schema import embedding, image


@dataclass(frozen=True)
class KeptImage:
    """One image; ``vector`` is its embedding as it rests, None where there is none by the model."""

    id: int
    gone: bool
    attributes: dict[str, Any] | None
    vector: bytes | None


def kept_images(connection: Connection, collection_id: int, model_id: int, uris: Sequence[str]) -> dict[str, KeptImage]:
    """The images of the collection with these uris, gone ones among them, by uri."""
    found: dict[str, KeptImage] = {}
    its_embedding = and_(embedding.c.image_id == image.c.id, embedding.c.model_id == model_id)
    columns = (image.c.uri, image.c.id, image.c.gone, image.c.attributes, embedding.c.vector)
    for chunk in chunks(uris):
        rows = connection.execute(
            select(*columns)
            .select_from(image.outerjoin(embedding, its_embedding))
            .where(image.c.collection_id == collection_id, image.c.uri.in_(chunk))
        )
        found.update(
            (
                row.uri,
                KeptImage(row.id, bool(row.gone), row.attributes, None if row.vector is None else bytes(row.vector)),
            )
            for row in rows
        )
    return found
