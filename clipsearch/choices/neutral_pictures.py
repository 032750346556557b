"""Pictures of nothing, and what a model makes of them: the direction that all images have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import examples as example_rows
from clipsearch.database.models import ModelRow
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

# Kept under this digest, which goes up with every change of the pictures.
DIGEST = hashlib.sha256(b"clipsearch neutral pictures 1").hexdigest()
GRIDS = (2, 3, 5, 9, 17, 64)  # cells a side of the random colours that are spread over a picture
COUNT = 48
_USUAL_MEAN, _USUAL_DEVIATION = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)


def centre_of_images(library: Library, model: ModelRow, encoder: Callable[[], Encoder]) -> NDArray[np.float32]:
    """The unit row float32 [d] that the embeddings of neutral pictures point to; made once for each model."""
    dimension = model.model.dimension
    with library.database.read() as connection:
        kept = example_rows.example_embeddings(connection, model.id, dimension, [DIGEST])
    if DIGEST in kept:
        return kept[DIGEST]
    embedder = encoder()
    size = embedder.model.image_size or 224
    vectors = embedder.encode_prepared(neutral_pictures(size, embedder.model.preprocessing)).vectors
    middle = vectors.mean(axis=0, dtype=np.float64)
    row = (middle / np.linalg.norm(middle)).astype(np.float32)
    with library.database.write() as connection:
        example_rows.save_example_embeddings(connection, model.id, [DIGEST], row[None])
        # Read back: the first answer is made of the same float16 values as every later one.
        return example_rows.example_embeddings(connection, model.id, dimension, [DIGEST])[DIGEST]


def neutral_pictures(size: int, preprocessing: Mapping[str, Any]) -> NDArray[np.float32]:
    """Clouds of random colours, the same ones each time, as a model with this preprocessing reads them: float32
    [48, 3, size, size]."""
    chance = np.random.default_rng(0)
    mean = np.array(preprocessing.get("mean") or _USUAL_MEAN)
    deviation = np.array(preprocessing.get("std") or _USUAL_DEVIATION)
    pictures = np.empty((COUNT, 3, size, size), dtype=np.float32)
    for place in range(COUNT):
        cells = GRIDS[place % len(GRIDS)]
        colours = chance.random((3, cells, cells))
        if place % 2:  # every other one is nearly of one colour
            colours = 0.3 * colours + 0.7 * chance.random((3, 1, 1))
        spread = _interpolation(size, cells)
        clouds = spread @ colours @ spread.T
        pictures[place] = (clouds - mean[:, None, None]) / deviation[:, None, None]
    return pictures


def _interpolation(size: int, cells: int) -> NDArray[np.float64]:
    """float64 [size, cells]: the weights that bring ``cells`` values to ``size`` by straight lines."""
    places = np.linspace(0.0, cells - 1.0, size)
    weights: NDArray[np.float64] = np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(cells)[None]))
    return weights
