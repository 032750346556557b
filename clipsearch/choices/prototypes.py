"""Labels of example images: their prototypes, and how they are brought into line with words.

Images and texts lie in two cones of a model's space (Liang et al. 2022, "Mind the gap"): any image is nearer to a
prototype of images than to the right words. So what all images have in common is taken out of a prototype, and what
the words of the set have in common put in its place; what is its own is made as long as the words' own parts are.
What images have in common is told from neutral pictures, which show nothing, and from the examples themselves: never
from a collection, so that a set means the same in every one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.choices.neutral_pictures import centre_of_images
from clipsearch.database.label_sets import LabelRow, LabelSetRow
from clipsearch.database.models import ModelRow
from clipsearch.examples import example_vectors
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

Rows = NDArray[np.float32]
HALF = 0.5
# For how many labels with examples the neutral pictures count where both say what images have in common.
NEUTRAL_WEIGHT = 2.0


def with_examples(
    library: Library, label_set: LabelSetRow, words: Mapping[int, Rows], model: ModelRow, encoder: Callable[[], Encoder]
) -> dict[int, Rows]:
    """The unit rows [k, d] of each label by position: of words, of examples, or of both by ``words_weight``.

    ``words`` are the rows of the labels that have words, by position. Where none has, prototypes stand as they are.
    ``encoder`` is asked for only when something is not kept. Raises as ``example_vectors``.
    """
    found = _prototypes(library, label_set, model, encoder)
    if not found:
        return dict(words)
    if not words:
        return {position: unit(prototype)[None] for position, prototype in found.items()}
    middle = np.mean([rows.mean(axis=0) for rows in words.values()], axis=0, dtype=np.float64)
    # Images differ more from each other than texts for them do: what is a prototype's own is brought to the length
    # that the words' own parts have. A share that is right for one model finds nothing with another.
    apart = float(np.mean([np.linalg.norm(rows.mean(axis=0) - middle) for rows in words.values()]))
    neutral = NEUTRAL_WEIGHT * centre_of_images(library, model, encoder).astype(np.float64)
    centre = unit(neutral + sum(unit(prototype).astype(np.float64) for prototype in found.values())).astype(np.float64)
    rows = dict(words)
    for position, prototype in found.items():
        own = prototype - (prototype @ centre) * centre
        own *= apart / max(float(np.linalg.norm(own)), 1e-12)
        rows[position] = mixed(label_set.labels[position], words.get(position), unit(middle + own)[None])
    return rows


def mixed(label: LabelRow, words: Rows | None, prototype: Rows) -> Rows:
    """Unit rows [k, d]: each of the words' rows [k, d] with the prototype [1, d], or the prototype alone."""
    if words is None:
        return prototype
    weight = HALF if label.words_weight is None else label.words_weight
    return unit(weight * words.astype(np.float64) + (1.0 - weight) * prototype)


def unit(rows: NDArray[np.floating]) -> Rows:
    """The rows brought to unit length, float32."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    brought: Rows = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return brought


def _prototypes(
    library: Library, label_set: LabelSetRow, model: ModelRow, encoder: Callable[[], Encoder]
) -> dict[int, NDArray[np.float64]]:
    """By position the mean of a label's example embeddings, float64 [d], not brought to unit length."""
    examples = [example for label in label_set.labels for example in label.examples]
    if not examples:
        return {}
    vectors = example_vectors(library, model, encoder, examples)
    return {
        label.position: np.mean([vectors[one.digest] for one in label.examples], axis=0, dtype=np.float64)
        for label in label_set.labels
        if label.examples
    }
