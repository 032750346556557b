"""What a model is to everyone who does not run it; knows the form of a model's name.

A model is named ``architecture/pretrained``; embeddings compare only within one model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

DEFAULT_MODEL = "ViT-B-32-256/datacomp_s34b_b86k"
DEMO_MODEL = "demo"

Scoring = Literal["softmax", "sigmoid"]


@dataclass(frozen=True)
class Model:
    """The facts of a model that are kept with its embeddings.

    ``logit_scale`` is the factor itself (the exponential of the trained parameter), so that
    logit = logit_scale * cosine + logit_bias. ``fingerprint`` is a SHA-256 (hex) over weights,
    preprocessing and tokenizer settings, or None for embeddings that were imported without weights.
    """

    name: str
    dimension: int
    logit_scale: float
    logit_bias: float = 0.0
    scoring: Scoring = "softmax"
    fingerprint: str | None = None
    context_length: int | None = None
    image_size: int | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
