"""Labelled images as CSV and as lines of JSON; knows the columns and fields of both."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from clipsearch.datasets.rows import GivenLabel, LabelledImage, Rows

COLUMNS = (
    "uri", "content_hash", "width", "height", "format", "size", "modified_at", "part", "label", "category",
    "probability", "score", "margin", "source", "rejected",
)  # fmt: skip


def csv_lines(rows: Rows) -> Iterator[str]:
    """A line of names, then a line for each image and label; a rejected image has one line and no label.

    Lines end with a line feed, and a file's name that holds one is quoted; numbers are written so that reading them
    gives the same number again.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield _taken(written)
    for row in rows:
        for label in row.labels or (None,):
            writer.writerow(_cells(row, label))
        yield _taken(written)


def _taken(written: io.StringIO) -> str:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text


def _cells(row: LabelledImage, label: GivenLabel | None) -> list[object]:
    about = _about(row)
    given = _as_tree(label) if label is not None else {}
    return [(about | given).get(name, "") for name in COLUMNS]


def json_lines(rows: Rows) -> Iterator[str]:
    """An object on a line for each image, with all its labels, the best first.

    ``label`` is the name of the first, null for a rejected image; ``embedding`` is there where vectors are.
    """
    for row in rows:
        tree = image_tree(row)
        if row.vector is not None:
            tree["embedding"] = row.vector.tolist()
        yield json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def image_tree(row: LabelledImage) -> dict[str, Any]:
    """One image as JSON can hold it, without its vector."""
    labels = [_as_tree(label) for label in row.labels]
    return _about(row) | {"label": labels[0]["label"] if labels else None, "labels": labels}


def _about(row: LabelledImage) -> dict[str, Any]:
    return {
        "uri": row.uri,
        "content_hash": row.content_hash,
        "width": row.width,
        "height": row.height,
        "format": row.format,
        "size": row.size,
        "modified_at": row.modified_at.isoformat() if row.modified_at else None,
        "part": row.part,
        "source": row.source,
        "rejected": row.rejected,
    }


def _as_tree(label: GivenLabel) -> dict[str, Any]:
    return {
        "label": label.cls.name,
        "category": label.cls.group or None,
        "probability": label.probability,
        "score": label.score,
        "margin": label.margin,
    }
