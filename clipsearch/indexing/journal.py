"""Keeps on disk which files are in the decoders' hands, for the run after one that died; alone knows the file's form.

A kill of the process leaves the file as it was last written: nothing is synced, since a power cut is no decoder's
fault. What cannot be written is left out: it costs no more than the next run's suspicion.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from clipsearch.images import FoundFile

# One record each: a path of 4,096 bytes whose uri needs three characters for each of them, and the rest.
SLOT_BYTES: Final = 16_384

log = logging.getLogger(__name__)


class Journal:
    """The files that are being decoded, a slot for each thread, and those that a run before was decoding when it died.

    The file is made when the first file is taken in hand, and removed by ``close``.
    """

    def __init__(self, path: Path, suspects: Collection[FoundFile] = ()) -> None:
        self._path = path
        self._suspects = suspects
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._slots = itertools.count(len(suspects))
        self._thread = threading.local()

    @contextmanager
    def in_hand(self, file: FoundFile) -> Iterator[None]:
        """While the block runs, the file stands in the journal."""
        self._write(self._slot(), _record(file))
        try:
            yield
        finally:
            self._write(self._slot(), b"\n")

    def close(self, *, remove: bool) -> None:
        """Close the journal; ``remove`` it when everything that stood in it was dealt with."""
        if self._file is not None:
            self._file.close()
        if remove:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _slot(self) -> int:
        if not hasattr(self._thread, "slot"):
            self._thread.slot = next(self._slots)
        slot: int = self._thread.slot
        return slot

    def _write(self, slot: int, record: bytes) -> None:
        with self._lock, suppress(OSError):
            file = self._file or self._make()
            file.seek(slot * SLOT_BYTES)
            file.write(record)

    def _make(self) -> BinaryIO:
        # Whole or not at all: a kill at this moment must not clear the suspects of the run before.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".new")
        self._file = aside.open("wb", buffering=0)
        for slot, suspect in enumerate(self._suspects):
            self._file.seek(slot * SLOT_BYTES)
            self._file.write(_record(suspect))
        aside.replace(self._path)
        return self._file


def read_journal(path: Path) -> dict[str, tuple[int, int]]:
    """The files that were in hand when a run died, by uri: their size in bytes and their time in ns."""
    found: dict[str, tuple[int, int]] = {}
    try:
        with path.open("rb") as file:
            while slot := file.read(SLOT_BYTES):
                record = slot.partition(b"\n")[0]
                with suppress(ValueError, TypeError):  # empty, or cut short by the kill
                    uri, size, mtime_ns = json.loads(record)
                    found[uri] = (int(size), int(mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        log.warning("the journal of the last run cannot be read: %s", error)
    return found


def _record(file: FoundFile) -> bytes:
    return json.dumps([file.uri, file.size, file.mtime_ns]).encode() + b"\n"
