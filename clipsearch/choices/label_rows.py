"""What stands for each label of a set: the rows of its prompts, of its example images, or of both.

With ``mean_embedding`` a label is the mean of its prompts' unit embeddings, brought back to unit length (as open_clip
builds its zero-shot classifiers); with ``max`` and ``sum_probability`` each of its texts has such a mean over the
templates as a row of its own. What came with an imported set stands before what the model would make of its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.choices.background_texts import background_texts
from clipsearch.choices.kept_prompts import Prompt, kept_or_made
from clipsearch.choices.label_warnings import texts_of
from clipsearch.choices.prototypes import with_examples
from clipsearch.database import label_embeddings as label_vectors
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidVector, ModelNotFound, ModelUnavailable
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, PLAIN_TEMPLATE, prompts_of
from clipsearch.scoring import Presence, Targets

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

Rows = NDArray[np.float32]
# From so many written background texts on, a label is held against them alone.
ENOUGH_TEXTS = 30
MOST_TEXTS = 500


def targets_of(
    library: Library, label_set: LabelSetRow, model: ModelRow, encoder: Callable[[], Encoder]
) -> tuple[Targets, bool]:
    """The rows of the labels, and of the background in the mode ``single``; and whether any was made of words.

    ``encoder`` is asked for only when a prompt or an example is not kept. Raises Conflict when an embedding that came
    with the set is damaged, InvalidVector when prompts cancel each other out, InvalidLabelSet for an example that
    is gone.
    """
    given = _imported(library, label_set, model)
    texts = {label.position: texts_of(label) for label in label_set.labels if label.position not in given}
    wanted = [[prompts_of([text], label_set.templates) for text in texts[place]] for place in texts]
    if label_set.aggregate == "mean_embedding":
        wanted = [[list(chain.from_iterable(groups))] if groups else [] for groups in wanted]
    behind = [[(PLAIN_TEMPLATE, text)] for text in label_set.background if label_set.mode == "single"]
    if label_set.aggregate == "mean_embedding":
        behind = [list(chain.from_iterable(behind))] if behind else []
    prompts = chain.from_iterable(chain.from_iterable([*wanted, behind]))
    kept = kept_or_made(library, model, list(dict.fromkeys(prompts)), encoder)
    rows = dict(given)
    for place, groups in zip(texts, wanted, strict=True):
        if groups:
            rows[place] = _means(kept, groups, label_set.labels[place].name)
    rows = with_examples(library, label_set, rows, model, encoder)
    background = _means(kept, behind, "the background") if behind else None
    return Targets.of([rows[label.position] for label in label_set.labels], background), bool(kept)


def presence_of(
    library: Library, label_set: LabelSetRow, targets: Targets, model: ModelRow, encoder: Callable[[], Encoder]
) -> tuple[Presence | None, bool]:
    """What the labels are held against in the modes ``multi`` and ``binary``, None for ``single``; and whether that is
    a makeshift: each other, for want of a model that embeds background texts.

    Raises InvalidLabelSet where the model has words for too few background texts; ModelUnavailable, ModelNotFound
    where it is not here to embed them and the set is too small for its labels to be held against each other.
    """
    if label_set.mode == "single":
        return None, False
    opposites = {}
    if label_set.mode == "binary":
        written = {label.position: label.negatives for label in label_set.labels if label.negatives}
        kept = kept_or_made(library, model, [(PLAIN_TEMPLATE, text) for text in chain(*written.values())], encoder)
        mean = label_set.aggregate == "mean_embedding"
        for place, texts in written.items():
            prompts = [(PLAIN_TEMPLATE, text) for text in texts]
            opposites[place] = _means(kept, [prompts] if mean else [[one] for one in prompts], "its negatives")
    crowd, makeshift = None, False
    if model.model.scoring == "softmax" and len(opposites) < len(label_set.labels):
        try:
            crowd = _crowd(library, label_set, model, encoder)
        except (ModelUnavailable, ModelNotFound):
            if len(targets.rows) < ENOUGH_TEXTS:
                raise
            # The model is not here to embed other texts, as for imported embeddings: the labels are each other's crowd.
            crowd = targets.rows[np.linspace(0, len(targets.rows) - 1, min(len(targets.rows), MOST_TEXTS)).astype(int)]
            makeshift = True
    return Presence(targets, label_set.aggregate, model.model, crowd, opposites), makeshift


def _crowd(library: Library, label_set: LabelSetRow, model: ModelRow, encoder: Callable[[], Encoder]) -> Rows:
    """Float32 [b, d]: the background texts in the form in which the labels stand."""
    texts = label_set.background
    if len(texts) < ENOUGH_TEXTS:
        texts = (*texts, *background_texts())
    template = _template(label_set)
    prompts = [(template, text) for text in dict.fromkeys(texts)]
    kept = _known_to(library, model, prompts, encoder)
    return np.stack(list(kept.values())) if kept else np.empty((0, model.model.dimension), dtype=np.float32)


def _known_to(
    library: Library, model: ModelRow, prompts: list[Prompt], encoder: Callable[[], Encoder]
) -> dict[Prompt, Rows]:
    """Of a model that was taught few words, those of the prompts that it has words for; of others all."""
    with library.database.read() as connection:
        kept = label_vectors.prompt_embeddings(connection, model.id, model.model.dimension, prompts)
    if len(kept) < len(prompts) and (asked := encoder()).vocabulary is not None:
        prompts = [prompt for prompt in prompts if not asked.unknown_words(prompt[1])]
    found = kept_or_made(library, model, prompts, encoder)
    return {prompt: found[prompt] for prompt in prompts}


def _template(label_set: LabelSetRow) -> str:
    first = label_set.templates[0]
    words = [len(prompt.split()) for label in label_set.labels for prompt in texts_of(label)]
    # Labels that are whole phrases are compared with phrases.
    return DEFAULT_TEMPLATES[0] if first == PLAIN_TEMPLATE and words and np.mean(words) > 2 else first


def _imported(library: Library, label_set: LabelSetRow, model: ModelRow) -> dict[int, Rows]:
    if not label_set.id:
        return {}
    with library.database.read() as connection:
        given = label_vectors.label_embeddings(connection, label_set, model.id, model.model.dimension)
    return {label.position: given[label.id][None] for label in label_set.labels if label.id in given}


def _means(kept: dict[Prompt, Rows], groups: Sequence[Sequence[Prompt]], name: str) -> Rows:
    means = np.stack([np.mean([kept[prompt] for prompt in group], axis=0) for group in groups])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if not np.all(lengths > 1e-6):
        raise InvalidVector(f"the prompts of the label {name!r} cancel each other out")
    unit: Rows = (means / lengths).astype(np.float32)
    return unit
