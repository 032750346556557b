"""Label embeddings: taken from the database where they are kept, made by the encoder where they are not.

A label's embedding is the mean of its prompts' unit embeddings, brought back to unit length (as open_clip builds
its zero-shot classifiers). What came with an imported set stands before what the model would make of its words.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import label_sets as label_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidVector
from clipsearch.library import Library
from clipsearch.prompts import fill, prompts_of

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

Prompt = tuple[str, str]


def label_vectors(
    library: Library, label_set: LabelSetRow, model: ModelRow, encoder: Callable[[], Encoder]
) -> tuple[NDArray[np.float32], bool]:
    """Unit rows float32 [labels, d] in the set's order, and whether they are what the model makes of its words.

    ``encoder`` is asked for only when a prompt is not kept. Raises Conflict when an embedding that came with the
    set is damaged.
    """
    dimension = model.model.dimension
    with library.database.read() as connection:
        given = label_rows.label_embeddings(connection, label_set, model.id, dimension) if label_set.id else {}
    if len(given) == len(label_set.labels):
        return np.stack([given[label.id] for label in label_set.labels]), False
    wanted = [prompts_of(label.prompts, label_set.templates) for label in label_set.labels]
    kept = _kept_or_made(library, model, list(dict.fromkeys(chain.from_iterable(wanted))), encoder)
    means = np.stack([np.mean([kept[prompt] for prompt in prompts], axis=0) for prompts in wanted])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if not np.all(lengths > 1e-6):
        name = label_set.labels[int(np.argmin(lengths))].name
        raise InvalidVector(f"the prompts of the label {name!r} cancel each other out")
    unit: NDArray[np.float32] = (means / lengths).astype(np.float32)
    return unit, True


def _kept_or_made(
    library: Library, model: ModelRow, prompts: list[Prompt], encoder: Callable[[], Encoder]
) -> dict[Prompt, NDArray[np.float32]]:
    dimension = model.model.dimension
    with library.database.read() as connection:
        kept = label_rows.prompt_embeddings(connection, model.id, dimension, prompts)
    missing = [prompt for prompt in prompts if prompt not in kept]
    if not missing:
        return kept
    vectors = encoder().encode_texts([fill(template, text) for template, text in missing]).vectors
    with library.database.write() as connection:
        label_rows.save_prompt_embeddings(connection, model.id, missing, vectors)
        # Read back: the first answer is made of the same float16 values as every later one.
        return label_rows.prompt_embeddings(connection, model.id, dimension, prompts)
