"""Builds a file or folder beside its place and moves it there whole; knows that nothing that stands is overwritten.

A process that is killed leaves what it had under a hidden name, ``.NAME.partial-…``, and nothing in the place itself.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipsearch.errors import AlreadyExists, InvalidInput, StorageFull

FULL = {errno.ENOSPC, errno.EDQUOT}


def refuse_occupied(target: Path) -> None:
    """Raises AlreadyExists unless there is nothing at ``target``, or an empty folder; InvalidInput without a folder
    to put it into."""
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {str(target.parent)!r} to write {target.name!r} into")
    if not os.path.lexists(target):
        return
    if not target.is_symlink() and target.is_dir() and not any(target.iterdir()):
        return
    raise AlreadyExists(f"{str(target)!r} is there already and is not overwritten; name another place, or remove it")


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of ``target`` when the block ends and is gone when it raises.

    Raises AlreadyExists, also for what came there meanwhile; StorageFull.
    """
    refuse_occupied(target)
    with _cleared(_made(target)) as hidden, _translated(target):
        place = hidden / target.name  # not the hidden folder itself, which nobody else may read
        place.mkdir()
        yield place
        try:
            os.rename(place, target)  # over an empty folder, never over a full one
        except OSError as error:
            if os.path.lexists(target) and error.errno not in FULL:
                raise AlreadyExists(f"{str(target)!r} came there meanwhile and is not overwritten") from error
            raise


@contextmanager
def staged_file(target: Path) -> Iterator[Path]:
    """A path to write to, whose file takes the place of ``target`` when the block ends; raises as ``staged_folder``."""
    refuse_occupied(target)
    if target.is_dir():
        raise AlreadyExists(f"{str(target)!r} is a folder; name a file")
    with _cleared(_made(target)) as hidden, _translated(target):
        place = hidden / target.name
        yield place
        _flush(place)
        _move_new(place, target)


def _made(target: Path) -> Path:
    with _translated(target):
        return Path(tempfile.mkdtemp(prefix=f".{target.name[:50]}.partial-", dir=target.parent))


@contextmanager
def _cleared(place: Path) -> Iterator[Path]:
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(f"the disk that holds {str(target.parent)!r} is full; nothing was written") from error
        raise InvalidInput(f"{str(target)!r} cannot be written: {error.strerror or error}") from error


def _move_new(place: Path, target: Path) -> None:
    # A link is made only where nothing is; renaming would write over what came there meanwhile.
    try:
        os.link(place, target)
    except FileExistsError as error:
        raise AlreadyExists(f"{str(target)!r} came there meanwhile and is not overwritten") from error
    except OSError:  # a file system without links
        refuse_occupied(target)
        os.rename(place, target)


def _flush(place: Path) -> None:
    with place.open("rb") as file:
        os.fsync(file.fileno())
