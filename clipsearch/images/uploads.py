"""Keeps the files of images that came with a request; it alone knows where, and under which names.

``uploads/<collection id>/<hash[:2]>/<hash[:16]>/<name>``: the same content under the same name is the same file, and no
name that someone else chose leads out of its folder. A file is there whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_FOLDER: Final = "uploads"
# What most file systems take, in bytes, with room for the mark of a file that is being written.
LONGEST_NAME: Final = 200
_ASIDE: Final = ".part-"


def all_uploads_folder(data_dir: Path) -> Path:
    """Where the uploads of every collection are kept; it need not be there."""
    return data_dir / _FOLDER


def uploads_folder(data_dir: Path, collection_id: int) -> Path:
    """Where the uploads of a collection are kept; it need not be there."""
    return all_uploads_folder(data_dir) / str(collection_id)


def safe_name(name: str) -> str:
    """A file's name as near to the given one as can be: no folders, nothing hidden, nothing that cannot be shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(one if one.isprintable() and one not in '<>:"|?*' else "_" for one in last)
    short = _cut(unicodedata.normalize("NFC", shown).strip().rstrip("."))
    return f"_{short[1:]}" if short.startswith(".") else short or "image"


def upload_path(data_dir: Path, collection_id: int, content_hash: str, name: str) -> Path:
    """Where the upload of this content and name is kept."""
    folder = uploads_folder(data_dir, collection_id) / content_hash[:2] / content_hash[:16]
    return folder / safe_name(name)


def keep_upload(path: Path, data: bytes) -> None:
    """Write an upload aside, and put it in its place when it is safe on disk. Raises OSError."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f"{_ASIDE}{secrets.token_hex(8)}"
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    for folder in dict.fromkeys([path.parent, *(one.parent for one in missing)]):
        _fsync_folder(folder)


def remove_upload(data_dir: Path, collection_id: int, path: Path) -> bool:
    """Remove the file of an upload and the folders that it leaves empty; false for a path that is no upload's."""
    top = uploads_folder(data_dir, collection_id)
    if not is_upload(data_dir, collection_id, path):
        return False
    with suppress(OSError):
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == top.parent:
                break
            folder.rmdir()
    return True


def remove_uploads(data_dir: Path, collection_id: int) -> None:
    """Remove all uploads of a collection."""
    shutil.rmtree(uploads_folder(data_dir, collection_id), ignore_errors=True)


def is_upload(data_dir: Path, collection_id: int, path: Path) -> bool:
    """Whether this is the path of a file that was uploaded into the collection, as ``upload_path`` gives it."""
    top = uploads_folder(data_dir, collection_id)
    return ".." not in path.parts and path.is_relative_to(top) and len(path.relative_to(top).parts) == 3


def kept_uploads(data_dir: Path) -> Iterator[Path]:
    """Every file that is kept, those half written among them."""
    for folder, _, names in os.walk(all_uploads_folder(data_dir)):
        yield from (Path(folder, name) for name in names)


def _cut(name: str) -> str:
    """At most LONGEST_NAME bytes of a name, with its suffix kept."""
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 16 or not stem:
        stem, suffix = name, ""
    ending = f".{suffix}" if suffix else ""
    room = LONGEST_NAME - len(os.fsencode(ending))
    return os.fsencode(stem)[:room].decode(errors="ignore") + ending


def _fsync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
