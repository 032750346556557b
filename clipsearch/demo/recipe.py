"""Says what the demo models are made of and how long they learn; it alone holds the numbers of their training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDERS: Final = {"softmax": Path(__file__).parent / "model", "sigmoid": Path(__file__).parent / "model_sigmoid"}
CONTEXT: Final = 32
TOKENS: Final = 49408
MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Recipe:
    """What one family is made of and trained with."""

    scale: float
    bias: float | None
    seed: int
    epochs: int = 12
    pictures: int = 30_000
    image_size: int = 96
    vision_width: int = 32
    text_width: int = 48
    batch: int = 128
    rate: float = 1.5e-3
    dimension: int = 128
    label_share: float = 0.15
    trunk_of: str | None = None


SOFTMAX = Recipe(scale=math.log(1 / 0.07), bias=None, seed=11)
# The sibling keeps the trunk of the first family's picture tower and goes on with all that comes after it, under its
# own loss and in a space of its own: minutes instead of an hour, for what tests need it for.
SIGMOID = Recipe(
    scale=math.log(20), bias=-6.0, seed=11, epochs=3, rate=1e-3, image_size=64, dimension=96, trunk_of="softmax"
)
RECIPES = {"softmax": SOFTMAX, "sigmoid": SIGMOID}


def model_config(recipe: Recipe) -> dict[str, Any]:
    """The `open_clip_config.json` of a family."""
    vision = {
        "image_size": recipe.image_size,
        "layers": [1, 1, 1, 1],
        "width": recipe.vision_width,
        "head_width": 64,
    }
    text = {
        "context_length": CONTEXT,
        "vocab_size": TOKENS,
        "width": recipe.text_width,
        "heads": recipe.text_width // 16,
        "layers": 2,
    }
    config = {"embed_dim": recipe.dimension, "vision_cfg": vision, "text_cfg": text, "init_logit_scale": recipe.scale}
    if recipe.bias is not None:
        config["init_logit_bias"] = recipe.bias
    # Squashed, not cropped: a thing at the border of a wide picture must stay in sight.
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "squash"}
    return {"model_cfg": config, "preprocess_cfg": preprocess}
