"""A folder for each class, as most programs for training read it; knows how a picture comes to lie in it.

::

    target/train/red boat/harbour.jpg        with a split
    target/red boat/harbour.jpg              without
    target/_rejected/blurred.jpg             where rejected images are wanted
    target/dataset.json                      what made it, and which folder is which class
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from clipsearch.datasets.names import TakenNames, class_folders, safe_file_name
from clipsearch.datasets.rows import REJECTED, DatasetClass, LabelledImage, Rows
from clipsearch.datasets.staging import FULL

Placement = Literal["hardlink", "symlink", "copy"]
PLACEMENTS: tuple[Placement, ...] = ("hardlink", "symlink", "copy")
OnMissing = Callable[[LabelledImage, str, str], None]  # the image, a code, and a reason in words

ABOUT = "dataset.json"
# Another disk, a file system without links, a file of somebody else, too many links to one file.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Pictures:
    """Puts image files into folders, each under a name of its own; counts what had to be copied."""

    def __init__(self, placement: Placement, on_missing: OnMissing) -> None:
        self._placement = placement
        self._on_missing = on_missing
        self._names: dict[Path, TakenNames] = {}
        self.copied = 0

    def put(self, row: LabelledImage, folder: Path) -> str | None:
        """Bring an image into a folder; its name there, or None where its file cannot be had."""
        if row.path is None:
            self._on_missing(row, "no_file", "has no file: its embedding was imported")
            return None
        name = self._name(row.path, folder)
        try:
            self._place(row.path, folder / name)
        except OSError as error:
            if error.errno in FULL:
                raise
            self._on_missing(row, "unreadable", f"could not be taken: {error.strerror or error}")
            return None
        return name

    def _name(self, path: str, folder: Path) -> str:
        if folder not in self._names:
            folder.mkdir(parents=True, exist_ok=True)
            self._names[folder] = TakenNames()
        shown = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")
        return self._names[folder].take(safe_file_name(shown))

    def _place(self, path: str, place: Path) -> None:
        if self._placement == "symlink":
            place.symlink_to(path)
            return
        if self._placement == "hardlink":
            try:
                # The file, not a symbolic link to it.
                os.link(os.path.realpath(path), place)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
            else:
                return
        shutil.copy2(path, place)
        self.copied += 1


def write_folders(
    rows: Rows,
    place: Path,
    *,
    classes: Sequence[DatasetClass],
    parts: Sequence[str],
    placement: Placement,
    on_missing: OnMissing,
    about: Mapping[str, Any],
) -> int:
    """Fill the folder ``place``; how many files were copied that should have been linked (all, where asked for).

    An image of several classes lies in the folder of each. A class that has an image in one part has a folder in
    every part, so that who numbers the folders gives it the same number in each.
    """
    names = dict(zip(classes, class_folders((cls.name for cls in classes), taken=(REJECTED, ABOUT)), strict=True))
    pictures = Pictures(placement, on_missing)
    used: set[DatasetClass] = set()
    for row in rows:
        if row.rejected is not None:
            pictures.put(row, place / REJECTED)
            continue
        for label in row.labels:
            used.add(label.cls)
            if pictures.put(row, place / (row.part or "") / names[label.cls]) is None:
                break  # said once
    for cls in used:
        for part in parts or ("",):
            (place / part / names[cls]).mkdir(parents=True, exist_ok=True)
    folders = [{"folder": names[cls], "class": cls.name, "category": cls.group or None} for cls in classes]
    text = json.dumps({**about, "classes": folders}, ensure_ascii=False, indent=2)
    (place / ABOUT).write_text(text + "\n", encoding="utf-8")
    return pictures.copied
