"""Keeps decoders from talking past us about damaged files; it alone knows the ways in which they do.

What is wrong with a file is said once, as the reason of an UnreadableImage. Pillow warns and logs besides, and libtiff
writes to the process's stderr, in the midst of a command's output.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import re
import warnings
from typing import Final

_HUSHED: Final = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def hush_libraries() -> None:
    """Silence, once for the process, what Pillow logs when nobody listens, and what libtiff writes."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        # Symbols are looked for in what Pillow's own module is linked with too, so this is the libtiff that it uses.
        linked = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for setter in (linked.TIFFSetErrorHandler, linked.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
    except (OSError, AttributeError):  # a Pillow without libtiff, or one that hides it
        logging.getLogger(__name__).debug("libtiff could not be silenced", exc_info=True)


def hush_warnings() -> None:
    """Keep Pillow's warnings about files (bombs, junk in EXIF) from being printed, or raised under ``-W error``.

    ``warnings.catch_warnings`` swaps the filters of the whole process and is not safe in threads. So one filter, for
    Pillow's modules alone, is kept in front of the others: call this before each picture, since any library may put
    its own there, and the end of somebody's ``catch_warnings`` takes ours away.
    """
    if not warnings.filters or warnings.filters[0] != _HUSHED:
        warnings.filterwarnings("ignore", module=r"PIL\.")
