"""Keeps a collection's embeddings of one kind: none is saved for a model that does not answer, and none outlives the
content that it was made of."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from clipsearch.database.schema import collection as collection_table
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import image as image_table
from clipsearch.database.schema import model as model_table
from clipsearch.errors import ModelMismatch

CHUNK = 1_000


def check_answering(connection: Connection, collection_id: int, model_id: int) -> None:
    """Raises ModelMismatch when another model answers in this collection by now."""
    names = connection.execute(
        select(collection_table.c.name, collection_table.c.model_name, model_table.c.id)
        .outerjoin(model_table, model_table.c.name == collection_table.c.model_name)
        .where(collection_table.c.id == collection_id)
    ).first()
    if names is not None and names.id != model_id:
        raise ModelMismatch(
            f"the collection {names.name!r} is of the model {names.model_name}, and these embeddings are of another: "
            "it was switched meanwhile; run the command again"
        )


def forget_changed(
    connection: Connection, collection_id: int, model_id: int, contents: Mapping[str, str | None]
) -> None:
    """Delete what other models made of images (by uri) that are about to get another content (by content hash)."""
    uris = list(contents)
    for start in range(0, len(uris), CHUNK):
        of_others = (
            select(embedding_table.c.image_id)
            .where(embedding_table.c.image_id == image_table.c.id, embedding_table.c.model_id != model_id)
            .exists()
        )
        rows = connection.execute(
            select(image_table.c.id, image_table.c.uri, image_table.c.content_hash).where(
                image_table.c.collection_id == collection_id,
                image_table.c.uri.in_(uris[start : start + CHUNK]),
                of_others,
            )
        )
        changed = [row.id for row in rows if row.content_hash is None or row.content_hash != contents[row.uri]]
        if changed:
            others = embedding_table.c.image_id.in_(changed), embedding_table.c.model_id != model_id
            connection.execute(delete(embedding_table).where(*others))
