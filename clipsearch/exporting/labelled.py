"""The images of an export with their labels, one after the other; knows that a million of them are never held at
once, and that none is dropped without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile
from clipsearch.database.collections import CollectionRow
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import ImageRow, image_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.datasets import LabelledImage
from clipsearch.exporting.deciding import Classes
from clipsearch.exporting.files import file_fault, local_file
from clipsearch.exporting.options import ExportOptions
from clipsearch.exporting.sources import LabelSources, Told
from clipsearch.indexes import IndexView
from clipsearch.library import Library
from clipsearch.queries import Filters

OnProgress = Callable[[int, int], None]  # images done and images in all; may raise to end the work


@dataclass
class Tally:
    """What came of the images so far."""

    labelled: int = 0
    origins: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, str | None]] = field(default_factory=Counter)  # by name and part
    rejected: Counter[str] = field(default_factory=Counter)
    failed: list[FailedFile] = field(default_factory=list)
    missing: list[FailedFile] = field(default_factory=list)

    def count(self, row: LabelledImage, origin: str, by: int = 1) -> None:
        """Take an image in, or with ``by`` -1 out again."""
        self.origins[origin] += by
        if row.rejected is not None:
            self.rejected[row.rejected] += by
            return
        self.labelled += by
        if row.part is not None:
            self.parts[row.part] += by
        for label in row.labels:
            self.classes[label.cls.name, row.part] += by


class LabelledImages:
    """The images of a collection that pass the filters, by id, each with what it is given; to be gone through once.

    What comes of them is told in ``tally``. ``check_files`` looks at each image's file. Images are those of the
    moment of the making; the model's answers are of one generation of the index.
    """

    def __init__(
        self,
        library: Library,
        collection: CollectionRow,
        label_set: LabelSetRow,
        options: ExportOptions,
        filters: Filters,
        *,
        best: int | None = None,
        check_files: bool = True,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._library = library
        self._options = options
        self._check_files = check_files
        self._on_progress = on_progress
        self.label_set = label_set
        self.classes = Classes(label_set, options.by, options.min_probability)
        self.view: IndexView | None = library.index(collection)
        with library.database.read() as connection:
            self.ids: NDArray[np.int64] = filtered_ids(connection, collection.id, filters)
        self._sources = LabelSources(
            library, collection, label_set, self.classes, self.view, images=len(self.ids), best=best
        )
        self.tally = Tally()
        self._origins: dict[str, str] = {}

    def __iter__(self) -> Iterator[LabelledImage]:
        step = self._sources.block
        for start in range(0, len(self.ids), step):
            yield from self._block(self.ids[start : start + step].tolist())
            if self._on_progress is not None:
                self._on_progress(min(start + step, len(self.ids)), len(self.ids))

    def take_back(self, row: LabelledImage, code: str, reason: str) -> None:
        """Say that an image could not become part of the dataset after all."""
        origin = self._origins.get(row.uri)
        if origin is not None:
            self.tally.count(row, origin, by=-1)
        self.tally.failed.append(FailedFile(uri=row.uri, code=code, reason=reason))

    def _block(self, ids: list[int]) -> Iterator[LabelledImage]:
        with self._library.database.read() as connection:
            rows = image_rows(connection, ids)
            told = self._sources.tell(connection, ids)
        vectors = self._sources.vectors(ids) if self._options.embeddings else {}
        self._origins = {rows[number].uri: one.origin for number, one in told.items() if number in rows}
        for number in ids:
            row, given = rows.get(number), told.get(number)
            if row is None:
                self._fail(f"image {number}", "gone", "it left the collection meanwhile")
            elif given is None:
                self._fail(row.uri, "no_embedding", "it has no embedding by the collection's model; index it again")
            elif self._usable(row):
                found = self._labelled(row, given, vectors.get(number))
                self.tally.count(found, given.origin)
                if found.rejected is None or self._options.keep_rejected or self._options.form == "xmp":
                    yield found

    def _usable(self, row: ImageRow) -> bool:
        fault = file_fault(row) if self._check_files else None
        if fault is None:
            return True
        one = FailedFile(uri=row.uri, code=fault[0], reason=fault[1])
        if self._options.places_pictures or self._options.form == "xmp":
            self.tally.failed.append(one)
            return False
        if fault[0] != "no_file":  # it never had one
            self.tally.missing.append(one)
        return True

    def _fail(self, uri: str, code: str, reason: str) -> None:
        self.tally.failed.append(FailedFile(uri=uri, code=code, reason=reason))

    def _labelled(self, row: ImageRow, told: Told, vector: NDArray[np.float32] | None) -> LabelledImage:
        split = self._options.parts if told.given.rejected is None else None
        return LabelledImage(
            uri=row.uri,
            path=local_file(row.uri),
            content_hash=row.content_hash,
            width=row.width,
            height=row.height,
            format=row.format,
            size=row.size,
            modified_at=row.modified_at,
            labels=told.given.labels,
            part=split.part_of(row.content_hash or row.uri) if split is not None else None,
            rejected=told.given.rejected,
            source="review" if told.origin == "review" else "model",
            vector=vector,
        )
