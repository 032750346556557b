"""Keeps a folder of files that were made from a model's weights; knows when they are still those, and doubts.

What is kept is a cache: a folder that is damaged, half written, of other weights or of other versions is not
believed, and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_FORMAT = 1
_LARGEST = 1_000_000  # bytes of a manifest; one has a few thousand


class NotBelieved(Exception):
    """What is kept must not be used; the message says why."""


@dataclass(frozen=True)
class FileState:
    """A file as it stood: a change of its content changes one of these."""

    path: str
    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The state now; links are followed. Raises OSError."""
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


def write_kept(folder: Path, facts: Mapping[str, Any], produce: Callable[[Path], None]) -> None:
    """Let ``produce`` fill a folder aside, add the manifest with ``facts``, and put it in the place of ``folder``.

    Hold a lock around it. A crash at any instant leaves the former folder, the new one, or none. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{folder.name}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.tmp")
    aside.mkdir()
    try:
        produce(aside)
        files = sorted(path for path in aside.iterdir() if path.is_file())
        _write_manifest(aside, dict(facts), {path.name: _seal(path) for path in files})
        if folder.exists():
            os.replace(folder, folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.tmp"))
        os.replace(aside, folder)
    finally:
        for left in folder.parent.glob(f"{folder.name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)


def update_facts(folder: Path, facts: Mapping[str, Any], *, more: Sequence[str] = ()) -> None:
    """Write other facts beside the files that are kept, which stay as they are, and keep ``more`` files with them.

    Raises NotBelieved, OSError.
    """
    files = _read_manifest(folder)["files"]
    _write_manifest(folder, dict(facts), files | {name: _seal(folder / name) for name in more})


def read_kept(folder: Path) -> dict[str, Any] | None:
    """The facts of what is kept in ``folder``, its files compared with them; None where nothing is kept.

    A file that is not the very one that was written (the folder was copied, say) is read and compared with its
    checksum. Raises NotBelieved.
    """
    try:
        manifest = _read_manifest(folder)
        for name, seal in manifest["files"].items():
            _compare(folder / name, seal)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not folder.exists():
            return None
        raise NotBelieved("a file is missing") from error
    except OSError as error:
        raise NotBelieved(f"it cannot be read: {error}") from error
    facts: dict[str, Any] = manifest["facts"]
    return facts


def states_of(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The states of these files as JSON values, to be compared later. Raises OSError."""
    return [vars(FileState.of(path)) for path in paths]


def _seal(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    state = FileState.of(path)
    return {"size": state.size, "mtime_ns": state.mtime_ns, "inode": state.inode, "sha256": digest}


def _compare(path: Path, seal: Mapping[str, Any]) -> None:
    state = FileState.of(path)
    if state.size != seal["size"]:
        raise NotBelieved(f"{path.name} has {state.size} bytes, not {seal['size']}")
    if (state.mtime_ns, state.inode) == (seal["mtime_ns"], seal["inode"]):
        return
    with open(path, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != seal["sha256"]:
            raise NotBelieved(f"the checksum of {path.name} is wrong")


def _write_manifest(folder: Path, facts: dict[str, Any], files: dict[str, Any]) -> None:
    body = json.dumps({"format": _FORMAT, "facts": facts, "files": files}, sort_keys=True)
    aside = folder / f"{MANIFEST}.{secrets.token_hex(4)}"
    try:
        with open(aside, "w", encoding="utf-8") as file:
            json.dump({"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, folder / MANIFEST)
    finally:
        aside.unlink(missing_ok=True)


def _read_manifest(folder: Path) -> dict[str, Any]:
    with open(folder / MANIFEST, "rb") as file:
        raw = file.read(_LARGEST + 1)
    try:
        outer = json.loads(raw)
        body, digest = outer["body"], outer["sha256"]
        if hashlib.sha256(body.encode()).hexdigest() != digest:
            raise NotBelieved("the checksum of its manifest is wrong")
        manifest: dict[str, Any] = json.loads(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotBelieved("its manifest cannot be read") from error
    if manifest.get("format") != _FORMAT:
        raise NotBelieved(f"its manifest has the format {manifest.get('format')}, not {_FORMAT}")
    return manifest
