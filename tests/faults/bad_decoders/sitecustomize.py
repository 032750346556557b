"""Decoders that fail as real ones do, for every process that finds this folder on its path.

A JPEG's comment says how: it crashes, never comes back, or takes all memory there is. Nothing of this is in the
product, which sees decoders of a stock Pillow only.
"""

from __future__ import annotations

import signal
from typing import Any

import PIL.ImageFile

_load = PIL.ImageFile.ImageFile.load


def _load_or_fail(image: PIL.ImageFile.ImageFile) -> Any:
    comment = image.info.get("comment")
    if comment == b"crash":
        signal.raise_signal(signal.SIGSEGV)  # in this thread, as a fault is
    if comment == b"hang":
        # As in a decoder's own loop: no Python runs in which a signal could be handled.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        while True:
            sum(range(10**7))
    if comment == b"greedy":
        bytearray(10**12)
    return _load(image)


setattr(PIL.ImageFile.ImageFile, "load", _load_or_fail)  # noqa: B010  mypy knows no such method
