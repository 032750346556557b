"""Keeps made vectors, and libraries that are filled with them by plain SQL: a million rows in about a minute."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarking.vectors import BLOCK, Space, make_space
from clipsearch.config import read_settings
from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.library import Library
from clipsearch.model import Model

COLLECTION = "made"
# Text embeddings that a library has met already: by them its index is measured with texts of the same geometry.
MET_TEXTS = 512
_EPOCH = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_IMAGES = (
    "INSERT INTO image (id, collection_id, uri, content_hash, size, mtime_ns, width, height, format, taken_at,"
    " modified_at, gone, revision, indexed_at) VALUES (?, ?, ?, ?, ?, ?, 640, 480, 'JPEG', ?, ?, 0, ?, ?)"
)
_EMBEDDINGS = "INSERT INTO embedding (image_id, model_id, vector, norm, dtype) VALUES (?, ?, ?, 1.0, 'bfloat16')"


_PROMPTS = "INSERT INTO prompt_embedding (model_id, digest, template, text, vector) VALUES (?, ?, '{}', ?, ?)"


def made_rows(folder: Path, count: int) -> NDArray[np.float16]:
    """``count`` pictures of ``make_space(count)`` as float16 [count, 512], read from a file that is kept in ``folder``.

    The file is mapped, not read: 5 million rows take 5 GB.
    """
    path = folder / f"vectors-{count}.npy"
    if not path.is_file():
        print(f"making {count:,} vectors", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        space, part = make_space(count), path.with_suffix(".part")
        rows = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=(count, space.dimension))
        _fill_rows(rows, space)
        rows.flush()
        del rows
        part.replace(path)
    kept: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return kept


def made_library(folder: Path, rows: NDArray[np.float16], model: Model, **settings: Any) -> Library:
    """A library in ``folder`` whose collection holds ``rows`` [n, d] under ``model``; kept for the next time.

    Image number i (from 1) is row i - 1, taken ``i`` minutes after 2020 began: filters by time keep any share.
    """
    count = len(rows)
    stamp = folder / "made.json"
    wanted = {"count": count, "model": model.name, "fingerprint": model.fingerprint}
    settings = {"collection": COLLECTION, "model": model.name} | settings
    if not stamp.is_file() or json.loads(stamp.read_text(encoding="utf-8")) != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        with Library.open(read_settings(data_dir=folder, **settings)) as library:
            place = _empty_collection(library, model)
        _fill(place, rows)
        stamp.write_text(json.dumps(wanted), encoding="utf-8")
    return Library.open(read_settings(data_dir=folder, **settings))


def rows_in_memory(space: Space, count: int) -> NDArray[np.float16]:
    """``count`` pictures of the space as float16 [count, dimension], as they rest."""
    rows = np.empty((count, space.dimension), dtype=np.float16)
    _fill_rows(rows, space)
    return rows


def plain_model(dimension: int = 512, name: str = "ViT-B-32/made") -> Model:
    """The facts of a model that is never loaded: enough where only vectors are asked."""
    return Model(
        name=name, dimension=dimension, logit_scale=100.0, logit_bias=0.0, scoring="softmax", fingerprint="0" * 64,
        context_length=77, image_size=224, preprocessing={}, versions={},
    )  # fmt: skip


@dataclass(frozen=True)
class _Place:
    """Where rows belong."""

    database: Path
    collection_id: int
    model_id: int
    revision: int


def _empty_collection(library: Library, model: Model) -> _Place:
    collection = library.create_collection(COLLECTION, model.name)
    with library.database.write() as connection:
        model_id = model_rows.keep_model(connection, model).id
        revision = collection_rows.advance(connection, collection.id)
    if library.database.path is None:
        raise ValueError("made libraries are SQLite files")
    return _Place(library.database.path, collection.id, model_id, revision)


def _fill(place: _Place, rows: NDArray[np.float16]) -> None:
    connection = sqlite3.connect(place.database, isolation_level=None)
    # What is lost when the machine stops is made anew.
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-200000")
    try:
        for block in _numbered(rows):
            images = (_image(number, place.collection_id, place.revision) for number, _ in block)
            connection.execute("BEGIN")
            connection.executemany(_IMAGES, images)
            connection.executemany(_EMBEDDINGS, ((number, place.model_id, row.tobytes()) for number, row in block))
            connection.execute("COMMIT")
        texts = make_space(len(rows), rows.shape[1]).texts(MET_TEXTS, stream=1).astype("<f2")
        prompts = ((place.model_id, f"{i:064x}", f"text {i}", row.tobytes()) for i, row in enumerate(texts))
        connection.execute("BEGIN")
        connection.executemany(_PROMPTS, prompts)
        connection.execute("COMMIT")
        connection.executescript("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _fill_rows(rows: NDArray[np.float16], space: Space) -> None:
    start = 0
    for block in space.image_blocks(len(rows)):
        rows[start : start + len(block)] = block
        start += len(block)


def _numbered(rows: NDArray[np.float16]) -> Iterator[list[tuple[int, NDArray[np.float16]]]]:
    for start in range(0, len(rows), BLOCK):
        yield list(enumerate(np.asarray(rows[start : start + BLOCK], dtype="<f2"), start=start + 1))


def _image(number: int, collection_id: int, revision: int) -> tuple[Any, ...]:
    taken = (_EPOCH + dt.timedelta(minutes=number)).strftime("%Y-%m-%d %H:%M:%S.000000")
    uri = f"file:///made/{number // 1000:05d}/{number:08d}.jpg"
    return number, collection_id, uri, secrets.token_hex(32), 60_000, number, taken, taken, revision, taken
