"""Keeps thumbnails on disk by the content they show; knows where they lie and how one is written."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from clipsearch.answers import ImageInfo
from clipsearch.browsing import thumbnail
from clipsearch.library import Library

log = logging.getLogger(__name__)

FOLDER = "thumbnails"


class ThumbnailCache:
    """A folder of JPEGs that can be thrown away at any time."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._folder = library.settings.data_dir / FOLDER

    def find(self, info: ImageInfo, size: int) -> bytes | None:
        """The thumbnail if it is kept."""
        path = self._path(info, size)
        if path is None:
            return None
        with suppress(OSError):
            data = path.read_bytes()
            if data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9"):
                return data
        return None

    def make(self, info: ImageInfo, collection: str, size: int) -> bytes:
        """The thumbnail, made of the file and kept. Raises ImageNotFound, UnreadableImage."""
        data = thumbnail(self._library, info.id, collection=collection, size=size)
        path = self._path(info, size)
        if path is not None:
            _write(path, data)
        return data

    def _path(self, info: ImageInfo, size: int) -> Path | None:
        digest = info.content_hash
        if digest is None or len(digest) != 64 or not digest.isalnum():
            return None
        return self._folder / digest[:2] / f"{digest}-{size}.jpg"


def _write(path: Path, data: bytes) -> None:
    # Aside and renamed, so that no reader meets half a file; a disk that is full costs the cache, not the answer.
    aside: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            aside = file.name
            file.write(data)
        os.replace(aside, path)
    except OSError as error:
        log.warning("the thumbnail %s could not be kept: %s", path, error)
        if aside is not None:
            with suppress(OSError):
                os.unlink(aside)
