"""How unusual a score is for its kind of query on its collection; pure arithmetic, and the texts it is held against."""

from __future__ import annotations

from clipsearch.relevance.background import TEMPLATES, background_prompts
from clipsearch.relevance.yardstick import (
    AUTO_CUT,
    FEWEST_IMAGES,
    Scale,
    Yardstick,
    image_yardstick,
    text_yardstick,
)

__all__ = [
    "AUTO_CUT",
    "FEWEST_IMAGES",
    "TEMPLATES",
    "Scale",
    "Yardstick",
    "background_prompts",
    "image_yardstick",
    "text_yardstick",
]
