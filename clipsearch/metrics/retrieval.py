"""How far down the right answer stands when texts look for images and images for texts.

Several captions may belong to one image. A caption looks for its one image; an image is content with the best of its
captions (the recall of Karpathy & Fei-Fei 2015, as Radford et al. 2021 report it). A rank counts from 1; of equal
scores the earlier row or column comes first. Rows and columns may come in blocks: ranks of blocks of captions (or of
images) put end to end are the ranks of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from clipsearch.errors import InvalidInput
from clipsearch.metrics import checking
from clipsearch.metrics.checking import Positions, Truths

NOT_ASKED = 0  # the rank where nothing is right, so nothing was asked
_BLOCK = 256


def text_to_image_ranks(similarities: ArrayLike, image_of_caption: ArrayLike) -> Positions:
    """int64 [t]: at which place each caption finds its image, from float [n images, t captions] and int64 [t].

    Raises InvalidInput for NaN, and for a caption without an image.
    """
    values = checking.scores(similarities, "the similarities", dimensions=2)
    owner = _owners(image_of_caption, values.shape[0], values.shape[1])
    columns = np.arange(len(owner))
    own = values[owner, columns]
    before = np.arange(values.shape[0])[:, None] < owner
    ranks: Positions = 1 + ((values > own) | ((values == own) & before)).sum(axis=0)
    return ranks


def image_to_text_ranks(similarities: ArrayLike, image_of_caption: ArrayLike, first_image: int = 0) -> Positions:
    """int64 [n]: at which place each image finds the first of its captions; 0 for images without a caption.

    ``first_image`` is the number of the first row where the rows are a block of all images.
    """
    values = checking.scores(similarities, "the similarities", dimensions=2)
    owner = checking.positions(image_of_caption, "the images of the captions")
    if len(owner) != values.shape[1]:
        raise InvalidInput(f"{values.shape[1]} columns of similarities for {len(owner)} captions")
    ranks = np.zeros(len(values), np.int64)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        images = np.arange(first_image + start, first_image + start + len(block))
        ranks[start : start + len(block)] = first_right_ranks(block, owner == images[:, None])
    return ranks


def first_right_ranks(scores: ArrayLike, right: ArrayLike) -> Positions:
    """int64 [q]: the place of the best right answer, from float [q, m] and bool [q, m]; 0 where nothing is right."""
    values = checking.scores(scores, "the scores", dimensions=2)
    answers: Truths = checking.truths(right, "what is right", dimensions=2)
    checking.same_shape(values, answers, "scores and what is right")
    own = np.where(answers, values, -np.inf)
    place = own.argmax(axis=1)
    best = own[np.arange(len(own)), place][:, None]
    before = np.arange(values.shape[1]) < place[:, None]
    ranks: Positions = 1 + ((values > best) | ((values == best) & before)).sum(axis=1)
    return np.where(answers.any(axis=1), ranks, NOT_ASKED)


def recall_at(ranks: ArrayLike, k: int) -> float:
    """The share of ranks that are at most ``k``, those of 0 (nothing to find) left out; NaN where none is left."""
    found = found_at(ranks, k)
    return float(found.mean()) if len(found) else float("nan")


def found_at(ranks: ArrayLike, k: int) -> Truths:
    """bool, one for each rank that is not 0: whether it is at most ``k``. For intervals; the mean is the recall."""
    places = checking.positions(ranks, "the ranks")
    if (places < 0).any():
        raise InvalidInput("ranks count from 1; 0 says that there was nothing to find")
    asked = places[places != NOT_ASKED]
    found: Truths = asked <= checking.depth(k)
    return found


def recalls_at(ranks: ArrayLike, depths: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """The recall at each depth."""
    return {k: recall_at(ranks, k) for k in depths}


def _owners(image_of_caption: ArrayLike, images: int, captions: int) -> Positions:
    owner = checking.positions(image_of_caption, "the images of the captions", images)
    if len(owner) != captions:
        raise InvalidInput(f"{captions} columns of similarities for {len(owner)} captions")
    if (owner < 0).any():
        raise InvalidInput("a caption belongs to no image: leave it out, or give its image")
    return owner
