"""Labelled images as COCO writes them; knows how a label of a whole image becomes an annotation.

A class of an image is an annotation with its ``category_id`` and a box around the whole image, as is the custom for
classification: a reader of COCO's detection files sees one object that fills the picture. ``score`` is the
probability, as in COCO's files of predictions; it is left out for what a person decided. There is a file for each
part, ``train.json`` and so on, or ``annotations.json`` where nothing is split. Rejected images have ``_rejected.json``,
without annotations. ``file_name`` is the path of the image, or its name below the folder of the part where pictures
are placed beside.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from clipsearch.datasets.folders import OnMissing, Pictures, Placement
from clipsearch.datasets.rows import REJECTED, DatasetClass, LabelledImage, Rows

WHOLE = "annotations"


class _Part:
    """The images and annotations of one file, written as they come; the one list waits beside the other."""

    def __init__(self, stack: ExitStack, place: Path, name: str) -> None:
        self._final = place / f"{name}.json"
        self._waiting = place / f".{name}.annotations"
        self._images = stack.enter_context(self._final.open("w", encoding="utf-8"))
        self._annotations = stack.enter_context(self._waiting.open("w+", encoding="utf-8"))
        self._first: set[IO[str]] = {self._images, self._annotations}

    def begin(self, head: str) -> None:
        self._images.write(head + ',"images":[')

    def add(self, image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> None:
        self._write(self._images, image)
        for one in annotations:
            self._write(self._annotations, one)

    def _write(self, file: IO[str], thing: Mapping[str, Any]) -> None:
        file.write("\n" if file in self._first else ",\n")
        self._first.discard(file)
        file.write(json.dumps(thing, ensure_ascii=False, separators=(",", ":"), allow_nan=False))

    def end(self) -> None:
        self._images.write('],"annotations":[')
        self._annotations.seek(0)
        shutil.copyfileobj(self._annotations, self._images)
        self._images.write("]}\n")
        self._annotations.close()
        self._waiting.unlink()


def write_coco(
    rows: Rows,
    place: Path,
    *,
    classes: Sequence[DatasetClass],
    parts: Sequence[str],
    placement: Placement | None,
    on_missing: OnMissing,
    about: Mapping[str, Any],
) -> int:
    """Fill the folder ``place``; how many files were copied. An image without a size is told as missing: no box can
    be drawn around it."""
    pictures = Pictures(placement, on_missing) if placement is not None else None
    categories = [{"id": cls.number, "name": cls.name, "supercategory": cls.group} for cls in classes]
    described = {"description": "exported by clipsearch", **about}
    head = {"info": described, "licenses": [], "categories": categories}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1]
    images = annotations = 0
    with ExitStack() as stack:
        files: dict[str, _Part] = {}

        def file_of(name: str) -> _Part:
            if name not in files:
                files[name] = _Part(stack, place, name)
                files[name].begin(text)
            return files[name]

        for name in parts or (WHOLE,):
            file_of(name)
        for row in rows:
            if row.width is None or row.height is None:
                on_missing(row, "no_size", "has no width and height to draw a box by")
                continue
            part = REJECTED if row.rejected is not None else row.part or WHOLE
            name = row.uri
            if pictures is not None:
                put = pictures.put(row, place / (part if part != WHOLE else "images"))
                if put is None:
                    continue
                name = put
            images += 1
            boxes = _annotations(row, images, annotations)
            annotations += len(boxes)
            file_of(part).add(_image(row, images, name), boxes)
        for one in files.values():
            one.end()
    return pictures.copied if pictures is not None else 0


def _image(row: LabelledImage, number: int, name: str) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": name,
        "width": row.width,
        "height": row.height,
        "coco_url": row.url,
        "date_captured": row.modified_at.isoformat() if row.modified_at else "",
        "license": 0,
        "content_hash": row.content_hash,
    }


def _annotations(row: LabelledImage, image: int, before: int) -> list[dict[str, Any]]:
    width, height = row.width or 0, row.height or 0
    found = []
    for number, label in enumerate(row.labels, start=before + 1):
        one: dict[str, Any] = {
            "id": number,
            "image_id": image,
            "category_id": label.cls.number,
            "bbox": [0, 0, width, height],
            "area": width * height,
            "iscrowd": 0,
            "segmentation": [],
        }
        found.append(one if label.probability is None else one | {"score": label.probability})
    return found
