"""Decoders that fail as real ones do, for every process that finds this folder on its path.

A JPEG's comment says how: it crashes, is killed, never comes back (or only at the second try, the first having left
the file that the comment names), or takes all memory there is. Nothing of this is in the
product, which sees decoders of a stock Pillow only.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import PIL.ImageFile

_load = PIL.ImageFile.ImageFile.load


def _load_or_fail(image: PIL.ImageFile.ImageFile) -> Any:
    comment = image.info.get("comment", b"")
    if comment == b"crash":
        signal.raise_signal(signal.SIGSEGV)  # in this thread, as a fault is
    if comment == b"killed":
        os.kill(os.getpid(), signal.SIGKILL)
    slow, _, marker = comment.partition(b" at first ")
    if slow == b"hang" and not (marker and os.path.exists(marker)):
        if marker:
            Path(os.fsdecode(marker)).touch()
        # As in a decoder's own loop: no Python runs in which a signal could be handled.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        while True:
            sum(range(10**7))
    if comment == b"greedy":
        bytearray(10**12)
    return _load(image)


setattr(PIL.ImageFile.ImageFile, "load", _load_or_fail)  # noqa: B010  mypy knows no such method
