"""Finds the image files under a folder in a stable order; it alone knows which files count and what a uri is.

It looks at names, sizes and dates, and opens only files without any suffix: a scan of ten thousand files
takes a fraction of a second. Whether a file holds a picture is said by ``opening``.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from clipsearch.environment import absolute
from clipsearch.errors import InvalidInput, SourceNotFound
from clipsearch.images.signatures import PREFIX_BYTES, READ_HERE, sniff

OnError = Callable[[str, str], None]
Presence = Literal["there", "gone", "unknown"]

IMAGE_SUFFIXES: Final = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .bmp .dib .gif .tif .tiff .pcx .avif .avifs "
    ".jp2 .j2k .j2c .jpc .jpx .jpf .ppm .pgm .pbm .pnm .pfm .mpo "
    ".heic .heif .hif .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf".split()
)
"""Lower-case suffixes of files that are taken for images whatever they hold."""

SKIPPED_FOLDERS: Final = frozenset(
    {"@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
"""Where other programs keep thumbnails, copies and rubbish; names with a leading dot are skipped as well."""

_log = logging.getLogger(__name__)


class FoundFile(NamedTuple):
    """A file to index: its absolute path, its uri, its size in bytes, its modification time in ns."""

    path: str
    uri: str
    size: int
    mtime_ns: int


def find_images(
    source: str | os.PathLike[str], *, follow_symlinks: bool = False, on_error: OnError | None = None
) -> Iterator[FoundFile]:
    """Find the images under a folder, recursively, or the one file that ``source`` names.

    The order is the same on every run and machine: names sorted by their bytes, a folder's content in its
    place. A file counts by its suffix (``IMAGE_SUFFIXES``, any case), whatever it holds: that a ``.jpg`` is
    empty or a web page is for ``open_picture`` to say. A file without any suffix counts when its first bytes
    are an image's; other suffixes never count. Skipped are names with a leading dot, the folders in
    ``SKIPPED_FOLDERS``, and whatever is neither file nor folder. A file given as the source counts whatever
    its name.

    Symbolic links below the source are skipped; with ``follow_symlinks`` linked files count, and linked
    folders are entered after everything else, each real folder once, so that loops end.

    A folder or file that cannot be looked at is told to ``on_error(path, reason)`` (logged when there is
    none), and the search goes on: do not take the images behind it for removed.

    Raises SourceNotFound, at the call, when the source does not exist.
    """
    top = absolute(source)
    try:
        status = Path(top).stat()
    except (OSError, ValueError) as error:
        raise SourceNotFound(f"nothing can be found at {os.fspath(source)!r}: {_reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        return _Walk(follow_symlinks, on_error or _log_failure).files(top)
    if stat.S_ISREG(status.st_mode):
        return iter([_found(top, status)])
    raise SourceNotFound(f"{os.fspath(source)!r} is neither a folder nor a file")


def uri_of(path: str | os.PathLike[str]) -> str:
    """The uri of a local file: its absolute path, links not resolved (but for those before a ``..``), as it stands.

    A name that is not Unicode (bytes that are no UTF-8) or holds NUL becomes ``file://`` with percent-encoded
    bytes, which every database can store. ``path_of`` gives the path back. Raises InvalidInput for a text
    that can be no file's name (a lone surrogate that stands for no byte).
    """
    return _uri(absolute(path))


def path_of(uri: str) -> str:
    """The path of a uri that ``uri_of`` made; raises InvalidInput for any other kind of uri."""
    if uri.startswith("file:///"):
        return os.fsdecode(urllib.parse.unquote_to_bytes(uri[len("file://") :]))
    if Path(uri).is_absolute():
        return uri
    raise InvalidInput(f"{uri!r} is not the uri of a local file")


def presence(path: str | os.PathLike[str]) -> Presence:
    """Whether a file is at a path; ``unknown`` where that cannot be told, as in a folder that may not be entered."""
    try:
        return "there" if stat.S_ISREG(os.stat(path).st_mode) else "gone"
    except OSError as error:
        return "gone" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "unknown"
    except ValueError:  # NUL and lone surrogates: no file can have such a name
        return "gone"


def _uri(path: str) -> str:
    if "\0" not in path:
        if path.isascii():
            return path
        try:
            path.encode()
        except UnicodeEncodeError:
            pass
        else:
            return path
    try:
        return "file://" + urllib.parse.quote_from_bytes(os.fsencode(path))
    except UnicodeEncodeError as error:
        raise InvalidInput(f"no file can be named {path!r}") from error


class _Walk:
    """One search: depth first with a stack of its own, so that no depth of folders is too deep."""

    def __init__(self, follow_symlinks: bool, on_error: OnError) -> None:
        self._follow = follow_symlinks
        self._on_error = on_error
        self._linked: deque[str] = deque()
        self._entered: set[tuple[int, int]] = set()

    def files(self, top: str) -> Iterator[FoundFile]:
        self._linked.append(top)
        while self._linked:
            yield from self._files_below(self._linked.popleft())

    def _files_below(self, top: str) -> Iterator[FoundFile]:
        stack = [iter(self._entries(top))]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif entry.name[0] != ".":
                try:
                    if entry.is_dir(follow_symlinks=self._follow):
                        self._enter(entry, stack)
                    elif (found := self._candidate(entry)) is not None:
                        yield found
                except OSError as error:
                    # A file that was deleted since its folder was listed is no failure.
                    if error.errno != errno.ENOENT or entry.is_symlink():
                        self._on_error(entry.path, _reason(error))

    def _enter(self, entry: os.DirEntry[str], stack: list[Iterator[os.DirEntry[str]]]) -> None:
        if entry.name in SKIPPED_FOLDERS:
            return
        if self._follow and entry.is_symlink():
            self._linked.append(entry.path)
        else:
            stack.append(iter(self._entries(entry.path)))

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            if self._follow:
                status = Path(folder).stat()
                if (status.st_dev, status.st_ino) in self._entered:
                    return []
                self._entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                return sorted(entries, key=_name_in_bytes)
        except OSError as error:
            self._on_error(folder, _reason(error))
            return []

    def _candidate(self, entry: os.DirEntry[str]) -> FoundFile | None:
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix and suffix not in IMAGE_SUFFIXES:
            return None
        if entry.is_symlink() and not self._follow:
            return None
        status = entry.stat(follow_symlinks=self._follow)
        if not stat.S_ISREG(status.st_mode) or not (suffix or _starts_like_an_image(entry.path)):
            return None
        return _found(entry.path, status)


def _name_in_bytes(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _starts_like_an_image(path: str) -> bool:
    # A file without a suffix that cannot be opened may well be no image: it is passed over, not reported.
    try:
        with open(path, "rb", buffering=0) as file:
            return sniff(file.read(PREFIX_BYTES)) in READ_HERE
    except OSError:
        return False


def _found(path: str, status: os.stat_result) -> FoundFile:
    return FoundFile(path, _uri(path), status.st_size, status.st_mtime_ns)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _log_failure(path: str, reason: str) -> None:
    _log.warning("cannot look at %r: %s", path, reason)
