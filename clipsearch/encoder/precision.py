"""Chooses the device and the number format of a model; alone knows which processors compute in bfloat16."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, cast

from clipsearch.errors import ConfigError

if TYPE_CHECKING:
    import torch

DType = Literal["float32", "bfloat16", "float16"]

_DTYPES: tuple[DType, ...] = ("float32", "bfloat16", "float16")
_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def choose_device(wanted: str = "auto") -> str:
    """The device to compute on, "cpu" or "cuda:N": for "auto" the first GPU, where one is found.

    Raises ConfigError for a device that this machine does not have.
    """
    import torch

    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if not _DEVICE.fullmatch(wanted):
        raise ConfigError(f"There is no device {wanted!r}: use auto, cpu, cuda or cuda:0.", device=wanted)
    if wanted == "cpu":
        return wanted
    if not torch.cuda.is_available():
        raise ConfigError(
            f"The device {wanted!r} was asked for, and torch {torch.__version__} finds no CUDA GPU here:"
            " use auto or cpu, or install a CUDA build of torch and its driver.",
            device=wanted,
        )
    number = int(wanted.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise ConfigError(
            f"The device {wanted!r} was asked for, and this machine has {torch.cuda.device_count()} GPU(s),"
            " counted from cuda:0.",
            device=wanted,
        )
    return f"cuda:{number}"


def choose_dtype(wanted: str, device: str) -> DType:
    """The format to compute in: for "auto" bfloat16 where ``device`` is made for it, else float32.

    Raises ConfigError for an unknown format, or bfloat16 on a GPU that cannot compute in it.
    """
    if wanted == "auto":
        return "bfloat16" if computes_in_bf16(device) and (device != "cpu" or _bf16_is_faster()) else "float32"
    if wanted not in _DTYPES:
        raise ConfigError(f"There is no dtype {wanted!r}: use auto, {', '.join(_DTYPES)}.", dtype=wanted)
    # On a CPU without the instructions torch computes bfloat16 all the same, only slower: allowed.
    if wanted == "bfloat16" and device != "cpu" and not computes_in_bf16(device):
        raise ConfigError(f"The GPU {device} has no bfloat16: use auto, float16 or float32.", dtype=wanted)
    return wanted


def torch_dtype(name: DType) -> torch.dtype:
    """torch's object for the format."""
    import torch

    return cast("torch.dtype", getattr(torch, name))


def computes_in_bf16(device: str) -> bool:
    """Whether ``device`` has bfloat16 in hardware."""
    import torch

    if device == "cpu":
        # Older versions of torch do not tell, and compute in float32.
        has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(has.get(instructions, False) for instructions in _BF16_INSTRUCTIONS)
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


@functools.cache
def _bf16_is_faster() -> bool:
    # Measured, not looked up: with avx512_bf16 alone an AMD Zen 5 triples its rate, while an Intel core of the
    # Sapphire Rapids kind whose AMX is hidden by a virtual machine falls to two thirds of it.
    import torch

    has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    if has.get("amx_bf16", False):
        return True

    def least_seconds(dtype: torch.dtype) -> float:
        left, right = torch.ones(128, 768, dtype=dtype), torch.ones(768, 1024, dtype=dtype)
        return min(_seconds(lambda: left @ right) for _ in range(6))

    return least_seconds(torch.bfloat16) < least_seconds(torch.float32)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
