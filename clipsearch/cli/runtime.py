"""Gets the next command ready once this one's answer is out: keeps the light text runtime of a model in memory."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from clipsearch.cli.printing import note

if TYPE_CHECKING:
    from clipsearch.library import Library

# Who waits longer than this for the prompt to come back is told what for.
PATIENCE_SECONDS = 1.0


def keep_text_runtime(library: Library, model: str) -> None:
    """Export the text tower of a model that had to be loaded; for one who has answered. Never fails the command."""
    if library.loaded_encoder(model) is None:
        return
    sys.stdout.flush()
    telling = threading.Timer(PATIENCE_SECONDS, _tell)
    telling.daemon = True
    telling.start()
    try:
        library.keep_text_runtime(model)
    except Exception:  # the answer is out, and stands
        import logging

        logging.getLogger(__name__).debug("the text runtime of %s was not kept", model, exc_info=True)
    finally:
        telling.cancel()


def _tell() -> None:
    if sys.stderr.isatty():
        note("getting ready for quicker answers …")
