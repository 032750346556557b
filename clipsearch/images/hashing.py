"""Reads a file once and hashes its bytes; it alone knows what a content hash is, and needs no Pillow."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import BinaryIO, Final

from clipsearch.errors import TooLarge, UnreadableImage

WHOLE_BYTES: Final = 64_000_000
"""A larger file is hashed in pieces and decoded from its path: several threads hold one file each."""


def content_hash(source: bytes | Path) -> str:
    """SHA-256 of the bytes, as 64 lower-case hexadecimal digits; a path is read in pieces, never whole.

    Raises UnreadableImage when the file cannot be read.
    """
    if not isinstance(source, Path):
        return hashlib.sha256(source).hexdigest()
    digest = hashlib.sha256()
    with open_file(source) as file:
        try:
            while piece := file.read(1 << 20):
                digest.update(piece)
        except OSError as error:
            raise cannot_be_read(error) from error
    return digest.hexdigest()


def read_file(path: str | Path, limit: int | None = None) -> bytes:
    """The file's bytes, to hash and decode without reading it twice.

    Raises TooLarge when there are more than ``limit`` bytes, UnreadableImage when it cannot be read.
    """
    with open_file(path) as file:
        try:
            data = file.read() if limit is None else file.read(limit + 1)
        except (OSError, MemoryError) as error:
            raise cannot_be_read(error) from error
    if limit is not None and len(data) > limit:
        raise TooLarge(f"the file is larger than {limit:,} bytes", limit=limit)
    return data


def read_and_hash(path: str | Path, whole: int = WHOLE_BYTES) -> tuple[bytes | Path, str]:
    """What to decode, and the content hash: the file's bytes, or its path when it has more than ``whole`` of them.

    Raises UnreadableImage when the file cannot be read.
    """
    path = Path(path)
    with open_file(path) as file:
        try:
            data = file.read(whole + 1)
            if len(data) <= whole:
                return data, content_hash(data)
            digest = hashlib.sha256(data)
            del data
            while piece := file.read(1 << 20):
                digest.update(piece)
        except (OSError, MemoryError) as error:
            raise cannot_be_read(error) from error
    return path, digest.hexdigest()


def open_file(path: str | Path) -> BinaryIO:
    """Open a regular file for reading; raises UnreadableImage when it is none, or is not to be read."""
    try:
        # Opening a named pipe would wait for a writer that may never come.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise UnreadableImage("the file cannot be read: it is not a regular file")
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        raise cannot_be_read(error) from error


def cannot_be_read(error: OSError | ValueError | MemoryError) -> UnreadableImage:
    """The reason, for a person, why a file's bytes could not be had."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UnreadableImage(f"the file cannot be read: {printable(words or type(error).__name__)}")


def printable(words: str) -> str:
    """The words on one line, with U+FFFD for what no one could read and some databases refuse (NUL among it)."""
    line = " ".join(words.split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
