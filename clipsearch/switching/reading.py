"""Reads the files of stored images ahead of the model: the very content that was indexed, or the reason why not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile
from clipsearch.database.collection_models import StoredFile
from clipsearch.errors import ClipSearchError, InvalidInput, UnreadableImage
from clipsearch.images import DecodingProcesses, path_of, presence, read_and_hash

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder
    from clipsearch.images import Opened


@dataclass(frozen=True)
class Content:
    """Images of one content, which is embedded once."""

    content_hash: str
    images: Sequence[StoredFile]


@dataclass(frozen=True)
class Prepared:
    """A content ready for the model; ``pixels`` is what ``Encoder.prepare`` gave."""

    content: Content
    pixels: NDArray[np.float32]


@dataclass(frozen=True)
class Unread:
    """A content that none of its files gave, with the reason of each."""

    content: Content
    failures: list[FailedFile]


class Reader:
    """Turns contents into prepared pixels; called from many threads. ``apart`` decodes in processes of their own."""

    def __init__(self, encoder: Encoder, max_pixels: int, *, apart: bool) -> None:
        self._encoder = encoder
        self._max_pixels = max_pixels
        self._apart = apart and os.name == "posix"
        self._processes = DecodingProcesses(max_pixels)

    def read(self, content: Content) -> Prepared | Unread:
        """The pixels of the first of its files that still holds the content."""
        failures: list[FailedFile] = []
        for image in content.images:
            try:
                source, digest = read_and_hash(path_of(image.uri))
            except InvalidInput as error:  # UnreadableImage is one
                failures.append(_unread(image, error))
                continue
            if digest != content.content_hash:
                reason = "the file changed since it was indexed; index its folder again"
                failures.append(FailedFile(uri=image.uri, code="changed_file", reason=reason))
                continue
            try:
                opened = self._open(source)
                return Prepared(content, self._encoder.prepare(opened.picture))
            except UnreadableImage as error:
                return _undecoded(content, error.code, error.message)
            except ClipSearchError:
                raise
            except Exception as error:  # noqa: BLE001  what a decoder or a transform raises costs one content
                return _undecoded(content, "unreadable_image", f"{type(error).__name__}: {error}")
        return Unread(content, failures)

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def _open(self, source: bytes | Path) -> Opened:
        if self._apart:
            return self._processes.open_picture(source, self._encoder.model.image_size)
        from clipsearch.images import open_picture

        return open_picture(source, max_pixels=self._max_pixels, reduced_to=self._encoder.model.image_size)


def contents_of(images: Iterable[StoredFile]) -> tuple[list[Content], list[FailedFile]]:
    """Images by content, and those that never had a file."""
    by_hash: dict[str, list[StoredFile]] = {}
    failures = []
    for image in images:
        if image.content_hash is None:
            reason = "its embedding was imported, and there is no file to embed"
            failures.append(FailedFile(uri=image.uri, code="no_file", reason=reason))
        else:
            by_hash.setdefault(image.content_hash, []).append(image)
    return [Content(digest, same) for digest, same in by_hash.items()], failures


def _unread(image: StoredFile, error: InvalidInput) -> FailedFile:
    try:
        gone = presence(Path(path_of(image.uri))) == "gone"
    except InvalidInput:
        gone = False
    if gone:
        return FailedFile(uri=image.uri, code="missing_file", reason="the file is not there any more")
    return FailedFile(uri=image.uri, code="unreadable_file", reason=error.message)


def _undecoded(content: Content, code: str, reason: str) -> Unread:
    return Unread(content, [FailedFile(uri=image.uri, code=code, reason=reason) for image in content.images])
