"""Makes OpenVINO importable without its telemetry; alone knows that it would report its use unasked."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from types import ModuleType
from typing import Any

_TELEMETRY = "openvino_telemetry"
_ABSENT = object()
_lock = threading.Lock()


def openvino() -> ModuleType:
    """The library itself, imported on first use, with its own stub in the place of what would report over the net.

    Import it by way of this function only. Raises ImportError where it is not installed, or broken.
    """
    return _silent("openvino", "openvino.tools.ovc.convert_impl")


@functools.cache
def core() -> Any:
    """OpenVINO's core, one for the life of the process. Raises ImportError where it is not installed.

    Each core gives the thread that first compiles a signal stack of its own and takes it back at its end: of two that
    ended in the wrong order, the second left a stack that was no more, and the next signal killed the process.
    """
    return openvino().Core()


def nncf() -> ModuleType:
    """The library that quantises, in the same way. Raises ImportError where it is not installed."""
    openvino()
    return _silent("nncf", "nncf.telemetry.wrapper")


def _silent(library: str, reporting: str) -> ModuleType:
    with _lock:
        if reporting not in sys.modules:
            # None there makes the import fail, which both answer by doing without.
            modules: dict[str, Any] = sys.modules
            before = modules.get(_TELEMETRY, _ABSENT)
            modules[_TELEMETRY] = None
            stays_out = False
            try:
                _imported(library)
                try:
                    _imported(reporting)
                except ImportError:  # another version may ask for it anywhere, and at any later time
                    stays_out = True
            finally:
                if not stays_out:
                    del modules[_TELEMETRY]
                    if before is not _ABSENT:
                        modules[_TELEMETRY] = before
        return importlib.import_module(library)


def _imported(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        raise
    except Exception as error:  # what a broken installation raises is anything
        raise ImportError(f"{name} cannot be imported: {error}") from error
