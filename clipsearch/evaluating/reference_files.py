"""Finds the pictures and data sets that published figures were measured on, below a folder that a person names."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from clipsearch.evaluating.published import Dataset
from clipsearch.images import find_images

# Where several folders hold a data set's classes, these names tell the part that figures are measured on.
_MEASURED_SPLITS = ("test", "val", "valid", "validation")


class ReferenceFiles:
    """The image files below a folder, looked through once, when the first is asked for; with None there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self._children: dict[PurePosixPath, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        if folder is not None:
            for file in find_images(folder, follow_symlinks=True):
                path = PurePosixPath(file.path)
                self._names.setdefault(path.name.lower(), file.uri)
                self._children[path.parent.parent][path.parent.name].append(file.uri)

    def picture(self, name: str) -> str | None:
        """The uri of the first file of this name, whatever its case."""
        return self._names.get(name.lower())

    def dataset(self, dataset: Dataset) -> tuple[str, list[tuple[str, str]]] | None:
        """The folder that has a folder of pictures for each of the classes, and its pictures as (uri, folder's name).

        Of several folders one with the right number of pictures is taken, then one named test or val, then the
        first. None where there is none.
        """
        found = [
            (str(folder), [(uri, name) for name in dataset.names for uri in children[name]])
            for folder, children in self._children.items()
            if all(name in children for name in dataset.names)
        ]
        if not found:
            return None
        return min(
            found,
            key=lambda one: (
                len(one[1]) != dataset.pictures,
                PurePosixPath(one[0]).name.lower() not in _MEASURED_SPLITS,
                one[0],
            ),
        )
