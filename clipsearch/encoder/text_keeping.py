"""Sees to it that a model's text tower is exported, once; alone starts the process that does it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.text_runtime import refused, runtime_folder, stands

_log = logging.getLogger(__name__)

_EXPORT = "clipsearch.encoder.text_export"
_SECONDS = 900.0


def keep_text_runtime(name: str, fingerprint: str, runtimes: Path) -> bool:
    """See to it that the text tower of these weights is exported, in a process of its own; whether it stands now.

    Where that fails, the disk being full say, it is said in the log and everything goes on without. A model that
    cannot be exported is not tried again by the same versions, and one that another process exports is left to it.
    """
    source = parse_model_name(name)
    folder = runtime_folder(runtimes, source.name, fingerprint)
    if stands(folder, source, fingerprint):
        return True
    if refused(folder):
        return False
    said = _exported_apart(source.name, fingerprint, runtimes)
    if said is not None:
        _log.warning("A first search by %s will wait for torch: its text tower was not exported: %s", name, said)
    return said is None and stands(folder, source, fingerprint)


def _exported_apart(name: str, fingerprint: str, runtimes: Path) -> str | None:
    """Run the export in a process of its own; None, or why that failed."""
    # -P: whatever lies in the working folder is not to be imported.
    command = [sys.executable, "-P", "-W", "ignore", "-m", _EXPORT, name, fingerprint, str(runtimes)]
    home = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))}
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, env=environment, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}"
