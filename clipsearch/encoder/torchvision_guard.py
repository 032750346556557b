"""Makes torchvision importable beside a CPU build of torch; alone knows the one failure that it mends."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_MISSING_OPERATORS = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_lock = threading.Lock()
_declared: list[Any] = []  # the declarations vanish with their Library, so it lives as long as the process


def ensure_torchvision() -> None:
    """Import torchvision, so that open_clip can; call it before every first import of open_clip.

    Raises whatever a plain ``import torchvision`` raises, except for the one failure that is mended.
    """
    with _lock:
        try:
            importlib.import_module("torchvision")
            return
        except RuntimeError as error:
            if str(error) != _MISSING_OPERATORS:
                raise
        _forget_half_imported()
        _declare_operators()
        importlib.import_module("torchvision")


def _declare_operators() -> None:
    # PyPI's torchvision is linked against CUDA: beside a CPU build of torch its C++ library cannot be
    # loaded, so its operators are unknown and its own import fails while registering fakes for them.
    # open_clip only uses its transforms and FrozenBatchNorm2d: declared but never called, they suffice.
    if _declared:
        return
    library_of = importlib.import_module("torch.library").Library
    library = library_of("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)
    _declared.append(library)


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".", 1)[0] == "torchvision"]:
        del sys.modules[name]
