"""Tells weights apart; alone knows what a model's fingerprint is taken over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def fingerprint(state: Mapping[str, torch.Tensor], settings: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over every tensor's name, dtype, shape and bytes, by name, and over ``settings`` as JSON.

    Take it on the CPU before the weights are cast, so that it is the same for every dtype they run in.
    """
    import torch

    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(state):
        tensor = state[name].detach().contiguous()
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
