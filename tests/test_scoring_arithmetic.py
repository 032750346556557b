"""What scores rest on beside the label set: a change of it has to be told to the tags that were made before."""

from __future__ import annotations

import hashlib
import json

from clipsearch import label_set
from clipsearch.choices import background_texts, label_rows, neutral_pictures, prototypes
from clipsearch.prompts import DEFAULT_TEMPLATES, PLAIN_TEMPLATE
from clipsearch.scoring import presence

KNOWN = (1, "20637f3c39bd006d")


def test_whoever_changes_what_scores_rest_on_counts_the_arithmetic_up() -> None:
    # Then tags that were made before are told to be stale. Put the new pair here.
    parts = [
        presence.RIDGE, presence.HOLDING, presence.STEEPNESS, presence.LEAST_TEXTS, label_rows.ENOUGH_TEXTS,
        label_rows.MOST_TEXTS, background_texts._WORDS, neutral_pictures.DIGEST, neutral_pictures.GRIDS,
        neutral_pictures.COUNT, prototypes.HALF, prototypes.NEUTRAL_WEIGHT, DEFAULT_TEMPLATES,
        PLAIN_TEMPLATE,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    assert (label_set.ARITHMETIC, digest) == KNOWN
