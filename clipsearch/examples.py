"""Example images to embeddings: kept ones first, then those of collections, and only then the files themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import examples as example_rows
from clipsearch.database.models import ModelRow
from clipsearch.errors import ClipSearchError, Conflict
from clipsearch.images import read_and_hash
from clipsearch.label_set import Example
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


def example_vectors(
    library: Library, model: ModelRow, encoder: Callable[[], Encoder], examples: Sequence[Example]
) -> dict[str, NDArray[np.float32]]:
    """The unit vector [d] of each example by this model, by digest, as it rests: float16 brought back to float32.

    ``encoder`` is asked for only where a file has to be opened. Raises Conflict, naming what is to be done, for an
    example that no longer stands where it was, or no longer holds what it held.
    """
    dimension = model.model.dimension
    with library.database.read() as connection:
        found = example_rows.example_embeddings(connection, model.id, dimension, {one.digest for one in examples})
    missing = {one.digest: one for one in examples if one.digest not in found}
    if not missing:
        return found
    sources = {digest: _bytes_again(one, model) for digest, one in missing.items()}
    keep_examples(library, model, encoder(), sources)
    with library.database.read() as connection:
        return example_rows.example_embeddings(connection, model.id, dimension, {one.digest for one in examples})


def keep_examples(library: Library, model: ModelRow, encoder: Encoder, sources: Mapping[str, bytes | Path]) -> None:
    """Embed image files, given by digest, and keep what the model made of them. Raises UnreadableImage."""
    if not sources:
        return
    from clipsearch.images import open_picture  # a set of words does without the decoders

    limit = library.settings.max_pixels
    digests, sizes = list(sources), encoder.model.image_size
    for start in range(0, len(digests), encoder.batch_size):
        part = digests[start : start + encoder.batch_size]
        opened = [open_picture(sources[digest], max_pixels=limit, reduced_to=sizes).picture for digest in part]
        vectors = encoder.encode_images(opened).vectors
        with library.database.write() as connection:
            example_rows.save_example_embeddings(connection, model.id, part, vectors)


def _bytes_again(example: Example, model: ModelRow) -> bytes | Path:
    away = (
        f"the example image {example.uri!r} has no embedding by {model.model.name}, and its file {{}}; "
        "add it again: clipsearch labels add-example"
    )
    try:
        data, digest = read_and_hash(example.uri)
    except ClipSearchError as error:
        raise Conflict(away.format("cannot be read")) from error
    if digest != example.digest:
        raise Conflict(away.format("has changed since"))
    return data
