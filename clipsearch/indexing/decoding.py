"""Decides in which process a file is decoded: here, or apart where a decoder crashed before or the model outruns us."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import DecoderCrashed
from clipsearch.images import DecodingProcesses, FoundFile
from clipsearch.indexing.journal import Journal, read_journal

if TYPE_CHECKING:
    from clipsearch.images import Opened

log = logging.getLogger(__name__)


class Decoders:
    """Opens the files of one run; called from many threads, each of which has a process of its own where it needs one.

    Where one file ends a decoder there may be more, and each would cost a run: so all files are opened apart until the
    ``suspects``, which are to come first, have proved sound, and to the end of the run when one has not. With
    ``apart`` set they are in any case.
    """

    def __init__(self, journal_path: Path, suspects: Mapping[str, FoundFile], max_pixels: int) -> None:
        self.apart = False
        self._suspects = set(suspects)
        self._journal = Journal(journal_path, list(suspects.values()))
        self._max_pixels = max_pixels
        self._processes = DecodingProcesses(max_pixels)

    def open(self, file: FoundFile, source: bytes | Path, reduced_to: int | None) -> Opened:
        """The file's picture. Raises UnreadableImage and its kin, DecoderCrashed among them."""
        if (self.apart or self._suspects) and os.name == "posix":
            try:
                return self._processes.open_picture(source, reduced_to)
            except DecoderCrashed:
                self.apart = True
                raise
            finally:
                self._suspects.discard(file.uri)
        from clipsearch.images import open_picture  # a run that decodes nothing does without the decoders

        with self._journal.in_hand(file):
            return open_picture(source, max_pixels=self._max_pixels, reduced_to=reduced_to)

    def close(self, *, done: bool) -> None:
        """End the processes; ``done`` says that every file was dealt with."""
        self._processes.close()
        self._journal.close(remove=done)


def suspects_among(
    files: Sequence[FoundFile], journal_path: Path, crashed_before: Iterable[str]
) -> dict[str, FoundFile]:
    """The files to be opened apart, by uri: they were in hand when a run died, or crashed a decoder before."""
    in_hand, crashed = read_journal(journal_path), frozenset(crashed_before)
    if not in_hand and not crashed:
        return {}
    found = [file for file in files if in_hand.get(file.uri) == (file.size, file.mtime_ns)]
    if found:
        names = ", ".join(repr(os.path.basename(file.path)) for file in found[:5])
        log.warning(
            "the last run ended while it decoded %s%s: opened in a process apart now",
            names, f" and {len(found) - 5} more" if len(found) > 5 else "",
        )  # fmt: skip
    wanted = crashed | {file.uri for file in found}
    return {file.uri: file for file in files if file.uri in wanted}
