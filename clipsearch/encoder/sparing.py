"""Loads weights without ever holding them twice; alone knows where torch and safetensors would.

A network is filled with random numbers first, its weights are read beside it and then copied over: twice the
model's size, three times while a safetensors file is mapped. Within ``sparing_memory`` the random numbers are left
out, the weights are read piece by piece, and a parameter becomes the very tensor that was read for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn
from torch.overrides import TorchFunctionMode

_LARGE = 65_536  # elements; smaller tensors are not worth the care
_PIECE_BYTES = 64 * 1024 * 1024  # of a safetensors file that are mapped at a time
_RANDOM = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.trunc_normal_,
    nn.init.uniform_,
    nn.init.xavier_uniform_,
}


@contextmanager
def sparing_memory() -> Iterator[None]:
    """Within it, networks are to be built and given all their weights, strictly; nothing else.

    What was not given weights holds arbitrary numbers. Replaces a function of safetensors for the whole process:
    hold a lock around it.
    """
    reading: Any = safetensors.torch
    before, reading.load_file = reading.load_file, _read_in_pieces
    try:
        with _TakingOver():
            yield
    finally:
        reading.load_file = before


class _TakingOver(TorchFunctionMode):
    """Leaves out random numbers, and copies weights by taking the tensor over; in this thread only."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RANDOM:
            filled = args[0] if args else (kwargs or {})["tensor"]
            if filled.numel() >= _LARGE:
                return filled
        if func is torch.Tensor.copy_ and len(args) == 2 and _is_replaceable(*args):
            parameter, weights = args
            parameter.data = weights.data
            return parameter
        return func(*args, **(kwargs or {}))


def _is_replaceable(parameter: Any, weights: Any) -> bool:
    if not isinstance(parameter, nn.Parameter) or not isinstance(weights, torch.Tensor):
        return False
    return (
        weights.numel() >= _LARGE
        and (weights.shape, weights.dtype, weights.device) == (parameter.shape, parameter.dtype, parameter.device)
        and weights.is_contiguous()
        and parameter.is_contiguous()
        # A view of something larger would keep all of it, a mapped file say, in memory.
        and weights.untyped_storage().nbytes() == weights.numel() * weights.element_size()
    )


def _read_in_pieces(
    filename: str | os.PathLike[str], device: str | int = "cpu", **_how: Any
) -> dict[str, torch.Tensor]:
    """As safetensors' own ``load_file``, but into memory of its own, mapping a piece of the file at a time."""
    with safe_open(filename, framework="pt", device=device) as file:
        waiting = list(file.offset_keys())
    tensors = {}
    while waiting:
        read = 0
        with safe_open(filename, framework="pt", device=device) as file:
            while waiting and read < _PIECE_BYTES:
                name = waiting.pop(0)
                tensors[name] = file.get_tensor(name).clone()
                read += tensors[name].nbytes
    return tensors
