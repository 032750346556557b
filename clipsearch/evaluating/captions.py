"""Retrieval by captions: how often a caption finds its image, and an image one of its captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Contender
from clipsearch.evaluating.contenders import Bench
from clipsearch.evaluating.figures import known, measured
from clipsearch.evaluating.samples import Material
from clipsearch.metrics import Drawing, first_right_ranks, found_at, mean_interval

DEPTHS = (1, 5, 10)
BLOCK = 512


def caption_contender(
    bench: Bench, material: Material, drawing: Drawing
) -> tuple[Contender, dict[str, NDArray[np.bool_]]]:
    """The recall at 1, 5 and 10 of captions that look for their image, and of images that look for a caption; and for
    each figure by query whether it was found.

    Captions are embedded as they stand, as a search by text does it. Candidates are the images of the source. Of images
    with one and the same caption each is right for it.
    """
    several = [material.samples[place].captions for place in bench.places]
    texts = [text for captions in several for text in captions]
    images, captions_of = _counterparts(several)
    encoder = bench.encoder()
    rows = encoder.encode_texts(texts).vectors
    cut = sum(encoder.truncated(texts))
    by_text = [
        first_right_ranks(rows[at : at + BLOCK] @ bench.vectors.T, _right(images, at, len(bench.vectors)))
        for at in range(0, len(rows), BLOCK)
    ]
    by_image = [
        first_right_ranks(bench.vectors[at : at + BLOCK] @ rows.T, _right(captions_of, at, len(rows)))
        for at in range(0, len(bench.vectors), BLOCK)
    ]
    found = {
        f"{name}_recall_at_{k}": found_at(np.concatenate(ranks), k)
        for name, ranks in (("text_to_image", by_text), ("image_to_text", by_image))
        for k in DEPTHS
    }
    contender = Contender(
        model=bench.model.model.name,
        label_set=None,
        label_set_version=None,
        mode="single",
        templates=[],
        labels=0,
        images=len(bench.places),
        encoded=bench.encoded,
        figures=known({name: measured(mean_interval(hits, drawing)) for name, hits in found.items()}),
        warnings=[f"{cut} captions are longer than the model reads, and were cut"] if cut else [],
        failed=bench.failed,
    )
    return contender, found


def _counterparts(several: Sequence[Sequence[str]]) -> tuple[list[list[list[int]]], list[list[list[int]]]]:
    """From the captions of each image: the images of each caption, and the captions of each image, equal texts
    included; as lists that equal texts share, for thousands may have one text."""
    images: dict[str, list[int]] = {}
    places: dict[str, list[int]] = {}
    place = 0
    for image, captions in enumerate(several):
        for text in captions:
            images.setdefault(text, []).append(image)
            places.setdefault(text, []).append(place)
            place += 1
    by_caption = [[images[text]] for captions in several for text in captions]
    return by_caption, [[places[text] for text in captions] for captions in several]


def _right(counterparts: Sequence[Sequence[Sequence[int]]], start: int, columns: int) -> NDArray[np.bool_]:
    """Bool [up to BLOCK, columns]: which columns are right for each row from ``start`` on."""
    block = counterparts[start : start + BLOCK]
    right = np.zeros((len(block), columns), dtype=np.bool_)
    for row, lists in enumerate(block):
        for found in lists:
            right[row, found] = True
    return right
