"""Retrieval by captions: how often a caption finds its image, and an image one of its captions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Contender
from clipsearch.evaluating.contenders import Bench
from clipsearch.evaluating.figures import known, measured
from clipsearch.evaluating.samples import Material
from clipsearch.metrics import Drawing, found_at, image_to_text_ranks, mean_interval, text_to_image_ranks

DEPTHS = (1, 5, 10)
BLOCK = 512


def caption_contender(
    bench: Bench, material: Material, drawing: Drawing
) -> tuple[Contender, dict[str, NDArray[np.bool_]]]:
    """The recall at 1, 5 and 10 of captions that look for their image, and of images that look for a caption; and for
    each figure by query whether it was found.

    Captions are embedded as they stand, as a search by text does it. Candidates are the images of the source.
    """
    texts: list[str] = []
    owners: list[int] = []
    for row, place in enumerate(bench.places):
        captions = material.samples[place].captions
        texts += captions
        owners += [row] * len(captions)
    encoder = bench.encoder()
    rows = encoder.encode_texts(texts).vectors
    owner = np.array(owners, dtype=np.int64)
    cut = sum(encoder.truncated(texts))
    by_text = [
        text_to_image_ranks(bench.vectors @ rows[at : at + BLOCK].T, owner[at : at + BLOCK])
        for at in range(0, len(rows), BLOCK)
    ]
    by_image = [
        image_to_text_ranks(bench.vectors[at : at + BLOCK] @ rows.T, owner, first_image=at)
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
