"""Small architectures of open_clip with random weights, and checkpoints of them on disk.

SigLIP's own tokenizer comes from the Hugging Face hub by way of transformers; the small sigmoid model uses
open_clip's SimpleTokenizer instead, and has all else that makes a SigLIP: a text tower of its own that is
not causal and pools the last position, a context of 64, squashed pictures, and a logit bias.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from clipsearch.encoder.factory import open_clip

_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
_VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "small-clip": {"embed_dim": 24, "vision_cfg": _VISION, "text_cfg": _TEXT},
    "small-clip-quickgelu": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": _VISION, "text_cfg": _TEXT},
    "small-resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
        "text_cfg": _TEXT,
    },
    "small-sigmoid": {
        "embed_dim": 24,
        "init_logit_bias": -10.0,
        "custom_text": True,
        "vision_cfg": _VISION,
        "text_cfg": {
            **_TEXT,
            "context_length": 64,
            "no_causal_mask": True,
            "pool_type": "last",
            "proj_bias": True,
            "tokenizer_kwargs": {"clean": "canonicalize"},
        },
    },
}

SIGMOID_PREPROCESSING = {
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


@dataclass(frozen=True)
class Checkpoints:
    """A folder with ``small-….safetensors`` and ``small-….pt`` of every architecture above."""

    folder: Path

    def name(self, architecture: str, suffix: str = ".safetensors") -> str:
        """The model name that loads the checkpoint."""
        return f"{architecture}/{self.folder}/{architecture}{suffix}"


@cache
def make_checkpoints(base: Path) -> Checkpoints:
    """The architectures, known to open_clip from now on, and their random weights, once under ``base``.

    ``base`` is pytest's folder of the session, so that all test modules share them.
    """
    import torch
    from safetensors.torch import save_file

    configs, folder = base / "small-architectures", base / "small-checkpoints"
    configs.mkdir()
    folder.mkdir()
    for name, config in ARCHITECTURES.items():
        (configs / f"{name}.json").write_text(json.dumps(config))
    library = open_clip()
    library.add_model_config(configs)
    for seed, name in enumerate(ARCHITECTURES):
        torch.manual_seed(seed)
        network = library.create_model(name)
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors")
        torch.save(state, folder / f"{name}.pt")
    return Checkpoints(folder)


def write_model_folder(folder: Path, checkpoints: Checkpoints, architecture: str, **preprocessing: Any) -> Path:
    """A model folder as open_clip's own push to the hub writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": ARCHITECTURES[architecture], "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    weights = checkpoints.folder / f"{architecture}.safetensors"
    (folder / "open_clip_model.safetensors").write_bytes(weights.read_bytes())
    return folder


def pictures(count: int, size: tuple[int, int] = (40, 36)) -> list[PIL.Image.Image]:
    """Pictures of noise, each its own."""
    random = np.random.default_rng(count)
    shape = (size[1], size[0], 3)
    return [PIL.Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)) for _ in range(count)]
