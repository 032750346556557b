"""Brings pixels to where the model computes; alone knows how a GPU is kept fed while it computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Pixels = Sequence[NDArray[np.float32]] | NDArray[np.float32]

_RUNNING = 2  # batches that a GPU has been given and not finished: one computes, the next one's pixels arrive


class Staging(Protocol):
    """For each batch: ``place`` its pixels, any time; in the turn ``ready``, the forward, ``launched``."""

    def place(self, pixels: Pixels) -> torch.Tensor:
        """The pixels [n, 3, h, w] on the device, in the model's number format; a GPU's may still be on their way."""

    def ready(self, placed: torch.Tensor) -> torch.Tensor:
        """The same, to be computed with from now on."""

    def launched(self) -> None:
        """Note that the forward was started, and wait where too many are."""


class HostStaging:
    """For a model that computes on the processor."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def place(self, pixels: Pixels) -> torch.Tensor:
        """As Staging."""
        return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).to(self._dtype)

    def ready(self, placed: torch.Tensor) -> torch.Tensor:
        """As Staging."""
        return placed

    def launched(self) -> None:
        """As Staging."""


class GpuStaging:
    """For a model that computes on a GPU: pinned buffers, and copies on a stream of their own.

    While one batch is computed the pixels of the next, of this call or another thread's, cross over. ``ready`` and
    ``launched`` are for one thread at a time.
    """

    def __init__(self, device: str, dtype: torch.dtype, layout: torch.memory_format) -> None:
        self._device = device
        self._dtype = dtype
        self._layout = layout
        self._copies: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._running: deque[Any] = deque()

    def place(self, pixels: Pixels) -> torch.Tensor:
        """As Staging."""
        # torch keeps pinned buffers for the next batch, and gives none away before its copy is done.
        buffer = _pinned((len(pixels), *pixels[0].shape))
        np.stack(list(pixels), out=buffer.numpy())
        with torch.cuda.stream(self._copies):
            placed = buffer.to(self._device, non_blocking=True)
            return placed.to(self._dtype, memory_format=self._layout)

    def ready(self, placed: torch.Tensor) -> torch.Tensor:
        """As Staging."""
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._copies)
        placed.record_stream(computing)  # else its memory might be given away while it is read
        return placed

    def launched(self) -> None:
        """As Staging."""
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        self._running.append(event)
        while len(self._running) >= _RUNNING + 1:
            self._running.popleft().synchronize()


def staging_for(device: str, dtype: torch.dtype, layout: torch.memory_format) -> Staging:
    """What brings pixels to ``device``."""
    return HostStaging(dtype) if device == "cpu" else GpuStaging(device, dtype, layout)


def _pinned(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.float32, pin_memory=True)
