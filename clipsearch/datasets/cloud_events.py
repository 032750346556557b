"""Labelled images as CloudEvents, one on a line; knows the fields that a media pipeline expects in such an event."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clipsearch.datasets.rows import LabelledImage, Rows
from clipsearch.media_types import MEDIA_TYPES, UNKNOWN_TYPE

PROCESSOR = "clipsearch"


def event_lines(
    rows: Rows, *, model: str, moment: dt.datetime, vectors: Path | None = None, vectors_at: Path | None = None
) -> Iterator[str]:
    """An event for each image: its keywords are its labels, the best first.

    With ``vectors`` the embeddings are written into that folder, a JSON array of numbers each, named by the content,
    and referenced as files below ``vectors_at``, where the folder will stand. The ids hang on the image, its content
    and the model alone: who reads an export twice can tell that they are the same.
    """
    for row in rows:
        embedding = None
        if row.vector is not None and vectors is not None:
            embedding = _keep_vector(row, vectors, vectors_at or vectors, model)
        event = _event(row, model, moment, embedding)
        yield json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _event(row: LabelledImage, model: str, moment: dt.datetime, embedding: dict[str, Any] | None) -> dict[str, Any]:
    document = {
        "url": row.url,
        "type": MEDIA_TYPES.get(row.format or "", UNKNOWN_TYPE),
        "size": row.size,
        "etag": _etag(row),
    }
    chain = uuid.uuid5(uuid.NAMESPACE_URL, f"{row.url}#{_etag(row)}")
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid5(chain, model)),
        "type": "document-created",
        "time": moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "chainId": str(chain),
            "source": document,
            "document": document,
            "metadata": {
                "keywords": [label.cls.name for label in row.labels],
                "properties": {"kind": "text", "attrs": {"embeddings": embedding} if embedding else {}},
            },
            "callStack": [PROCESSOR],
        },
    }


def _etag(row: LabelledImage) -> str:
    # An imported embedding came without a file to hash: its name is what it has.
    return row.content_hash or hashlib.sha256(row.uri.encode()).hexdigest()


def _keep_vector(row: LabelledImage, folder: Path, stands_at: Path, model: str) -> dict[str, Any]:
    if row.vector is None:
        raise ValueError("there is no vector to keep")
    etag = _etag(row)
    place = Path(etag[:2]) / f"{etag}.json"  # a million files are too many for one folder
    file = folder / place
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        numbers = [float(np.format_float_positional(one, unique=True)) for one in row.vector]
        file.write_text(json.dumps(numbers, separators=(",", ":")), encoding="utf-8")
    address = "file://" + urllib.parse.quote_from_bytes(bytes(stands_at / place))
    return {"vectors": address, "model": model, "dimensions": len(row.vector)}
