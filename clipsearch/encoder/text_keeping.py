"""Sees to it that a model's text tower is exported, once; alone starts the process that does it.

A try is noted before it begins, in ``<data_dir>/runtimes/text-<hex>.tried`` (see text_runtime.py for the others), so
that one which fails, is killed or takes too long is not made again by every search.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import filelock

from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.text_runtime import refused, runtime_folder, stands

_log = logging.getLogger(__name__)

_EXPORT = "clipsearch.encoder.text_export"
_SECONDS = 60.0  # somebody may wait for the prompt
_AGAIN_SECONDS = 24 * 3600.0
_LEAST_FREE_BYTES = 100_000_000  # before anything is loaded; the export itself knows how much it needs


def keep_text_runtime(name: str, fingerprint: str, runtimes: Path) -> bool:
    """See to it that the text tower of these weights is exported, in a process of its own; whether it stands now.

    Where that fails, the disk being full say, it is said in the log and everything goes on without, for a day. An
    export that takes more than a minute is ended. A model that cannot be exported is not tried again by the same
    versions, and one that another process exports is left to it.
    """
    source = parse_model_name(name)
    folder = runtime_folder(runtimes, source.name, fingerprint)
    if stands(folder, source, fingerprint):
        return True
    tried = folder.with_suffix(".tried")
    if refused(folder) or _is_recent(tried):
        return False
    said = _cannot_be_kept(tried) or _exported_apart(source.name, fingerprint, runtimes)
    if said is not None:
        _log.warning("A first search by %s will wait for torch: its text tower was not exported: %s", name, said)
        _clear_away(folder)
        return False
    if not stands(folder, source, fingerprint):
        return False
    with suppress(OSError):
        tried.unlink(missing_ok=True)
    return True


def _is_recent(tried: Path) -> bool:
    try:
        return 0 <= time.time() - tried.stat().st_mtime < _AGAIN_SECONDS
    except OSError:
        return False


def _cannot_be_kept(tried: Path) -> str | None:
    """Note the try; why that, and so the export, cannot be written, or None."""
    try:
        tried.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(tried.parent).free < _LEAST_FREE_BYTES:
            return f"the disk of {tried.parent} is full"
        tried.touch()
    except OSError as error:
        return str(error)
    return None


def _clear_away(folder: Path) -> None:
    """Remove what an export that was ended has left."""
    with suppress(OSError, filelock.Timeout), filelock.FileLock(folder.with_suffix(".lock"), blocking=False):
        for left in folder.parent.glob(f"{folder.name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)


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
    except subprocess.TimeoutExpired:
        return f"it took longer than {_SECONDS:.0f} s"
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}"
