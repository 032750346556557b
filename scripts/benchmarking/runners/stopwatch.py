"""Notes when each batch was done, and tells it at the end; imports nothing that an environment might not have."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def told() -> dict[str, Any]:
    """What the program was told on its command line."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    return asked


class Stopwatch:
    """Times are those of CLOCK_MONOTONIC, which all processes of a machine share."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, int]] = []

    def batch(self, images: int) -> None:
        """So many images are done, all that came before included."""
        self.batches.append((time.monotonic(), images))

    def tell(self, path: str, **more: Any) -> None:
        """Write everything to ``path``; the run ends now, and its memory is what it was at its highest."""
        done = {
            "batches": self.batches,
            "ended": time.monotonic(),
            "peak_mb": peak_mb(),
            "children_peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        }
        Path(path).write_text(json.dumps(done | more), encoding="utf-8")


def peak_mb() -> float:
    """The highest memory of this program; ``getrusage`` begins with what the one had that started it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
