"""A decoding process for each thread that asks for one; knows all of them, so that they can be ended together."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipsearch.images.apart import DecodingProcess
    from clipsearch.images.opening import Opened


class DecodingProcesses:
    """Opens pictures apart, from many threads at once; nothing is started, or loaded, before the first one."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._thread = threading.local()
        self._started: list[DecodingProcess] = []

    def open_picture(self, source: bytes | Path, reduced_to: int | None) -> Opened:
        """As ``DecodingProcess.open_picture``, in the process of this thread."""
        from clipsearch.images.apart import DecodingProcess

        if not hasattr(self._thread, "process"):
            self._thread.process = DecodingProcess(self._max_pixels)
            self._started.append(self._thread.process)
        process: DecodingProcess = self._thread.process
        return process.open_picture(source, reduced_to)

    def close(self) -> None:
        """End the processes."""
        for process in self._started:
            process.close()
