"""Reads, hashes and decodes files ahead of the model; knows when a file's content need not be decoded at all."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.database.failures import NewFailure
from clipsearch.database.images import KnownFile, NewImage
from clipsearch.errors import ClipSearchError, UnreadableImage
from clipsearch.images import FoundFile, path_of, read_and_hash
from clipsearch.indexing.decoding import Decoders

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


@dataclass(frozen=True)
class Same:
    """The content is what it was; only the file's time or size entry differs."""

    file: FoundFile
    known: KnownFile


@dataclass(frozen=True)
class Familiar:
    """The library holds an embedding of this content, or this run is about to make one."""

    file: FoundFile
    content_hash: str


@dataclass(frozen=True)
class Prepared:
    """Decoded and ready for the model; ``pixels`` is what ``Encoder.prepare`` gave."""

    file: FoundFile
    content_hash: str
    pixels: NDArray[np.float32]
    width: int
    height: int
    format: str
    taken_at: dt.datetime | None
    pixel_hash: int

    def embedded(self, vector: NDArray[np.float32], norm: float, dtype: str) -> NewImage:
        """The image to save, with what the model made of it."""
        return NewImage(
            uri=self.file.uri, vector=vector, content_hash=self.content_hash, size=self.file.size,
            mtime_ns=self.file.mtime_ns, width=self.width, height=self.height, format=self.format,
            taken_at=self.taken_at, pixel_hash=self.pixel_hash, norm=norm, dtype=dtype,
        )  # fmt: skip


@dataclass(frozen=True)
class Failed:
    """No picture came of the file. ``content_read`` tells a damaged file from one that could not be read at all."""

    file: FoundFile
    failure: NewFailure
    content_read: bool


Reading = Same | Familiar | Prepared | Failed


class Reader:
    """Turns one file into what is to be done with it; called from many threads.

    ``is_known`` says whether a content hash has an embedding already; ``encoder`` gives the encoder when the first
    picture needs it; ``decoders`` open the pictures.
    """

    def __init__(
        self,
        known: Mapping[str, KnownFile],
        is_known: Callable[[str], bool],
        encoder: Callable[[], Encoder],
        decoders: Decoders,
    ) -> None:
        self._known = known
        self._is_known = is_known
        self._encoder = encoder
        self._decoders = decoders
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def read(self, file: FoundFile) -> Reading:
        """Read, hash, and decode where the content is new to the library and to this run."""
        return self._read(file, lambda digest: self._is_known(digest) or not self._claim(digest))

    def read_again(self, file: FoundFile) -> Reading:
        """The same for a file whose content another one of this run was to bring."""
        return self._read(file, self._is_known)

    def read_anyway(self, file: FoundFile) -> Reading:
        """The same, decoding in any case: what was known of the content went away meanwhile."""
        return self._read(file, lambda _digest: False)

    def _read(self, file: FoundFile, is_familiar: Callable[[str], bool]) -> Reading:
        try:
            source, digest = read_and_hash(path_of(file.uri))
        except UnreadableImage as error:
            return Failed(file, _failure(file, "unreadable_file", error.message), content_read=False)
        before = self._known.get(file.uri)
        if before and before.embedded and not before.gone and before.content_hash == digest:
            return Same(file, before)
        if is_familiar(digest):
            return Familiar(file, digest)
        return self._decode(file, digest, source)

    def _claim(self, digest: str) -> bool:
        with self._lock:
            if digest in self._claimed:
                return False
            self._claimed.add(digest)
            return True

    def _decode(self, file: FoundFile, digest: str, source: bytes | Path) -> Prepared | Failed:
        encoder = self._encoder()
        try:
            opened = self._decoders.open(file, source, encoder.model.image_size)
            pixels = encoder.prepare(opened.picture)
        except UnreadableImage as error:
            return Failed(file, _failure(file, error.code, error.message), content_read=True)
        except ClipSearchError:
            raise
        except Exception as error:  # noqa: BLE001  what a decoder or a transform raises costs one image, never the run
            reason = f"{type(error).__name__}: {error}"
            return Failed(file, _failure(file, "unreadable_image", reason), content_read=True)
        return Prepared(
            file,
            digest,
            pixels,
            opened.width,
            opened.height,
            opened.format,
            opened.taken_at,
            opened.pixel_hash,
        )


def _failure(file: FoundFile, code: str, reason: str) -> NewFailure:
    return NewFailure(file.uri, code, reason, file.size, file.mtime_ns)
