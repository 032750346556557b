"""Prompts to embeddings: taken from the database where they are kept, made by the encoder where they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import label_embeddings as label_vectors
from clipsearch.database.models import ModelRow
from clipsearch.library import Library
from clipsearch.prompts import fill

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

Prompt = tuple[str, str]  # template and text
Rows = NDArray[np.float32]


def kept_or_made(
    library: Library, model: ModelRow, prompts: Sequence[Prompt], encoder: Callable[[], Encoder]
) -> dict[Prompt, Rows]:
    """Unit rows float32 [d] of these prompts by this model; ``encoder`` is asked for only when one is not kept."""
    dimension = model.model.dimension
    with library.database.read() as connection:
        kept = label_vectors.prompt_embeddings(connection, model.id, dimension, prompts)
    missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in kept]
    if not missing:
        return kept
    vectors = encoder().encode_texts([fill(template, text) for template, text in missing]).vectors
    with library.database.write() as connection:
        label_vectors.save_prompt_embeddings(connection, model.id, missing, vectors)
        # Read back: the first answer is made of the same float16 values as every later one.
        return label_vectors.prompt_embeddings(connection, model.id, dimension, prompts)
