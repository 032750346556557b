"""Lets an environment with PyPI's torchvision and a CPU build of torch import it, by clipsearch's own means."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_GUARD = Path(__file__).resolve().parents[3] / "clipsearch" / "encoder" / "torchvision_guard.py"


def mend_torchvision() -> None:
    """Call before the first import of torchvision. The module is read from its file: clipsearch is not installed."""
    specification = importlib.util.spec_from_file_location("torchvision_guard", _GUARD)
    if specification is None or specification.loader is None:
        raise ImportError(f"{_GUARD} is not there")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.ensure_torchvision()
