"""Whether the file of an image is still the one that was indexed; knows that a touched file may be the same."""

from __future__ import annotations

import os
from pathlib import Path

from clipsearch.database.images import ImageRow
from clipsearch.errors import ClipSearchError, InvalidInput
from clipsearch.images import content_hash, path_of, presence, read_file

Fault = tuple[str, str]  # a code, and a reason in words


def local_file(uri: str) -> str | None:
    """The path of an image, None where it has none."""
    try:
        return path_of(uri)
    except InvalidInput:  # an imported embedding, whose name is no path
        return None


def file_fault(row: ImageRow) -> Fault | None:
    """Why the image's file is not what was indexed, or None. A file is read only where its size or time is another."""
    path = local_file(row.uri)
    if path is None:
        return "no_file", "it has no file: its embedding was imported"
    there = presence(path)
    if there != "there":
        return ("missing", "its file is not there any more") if there == "gone" else (
            "unreadable", "whether its file is there cannot be told")  # fmt: skip
    try:
        status = os.stat(path)
        if (status.st_size, status.st_mtime_ns) == (row.size, row.mtime_ns) or row.content_hash is None:
            return None
        same = content_hash(read_file(Path(path))) == row.content_hash
    except (OSError, ClipSearchError) as error:
        return "unreadable", f"its file cannot be read: {error}"
    return None if same else ("changed", "its file changed since it was indexed; index its folder again")
