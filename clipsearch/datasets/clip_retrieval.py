"""Folders of embeddings as clip-retrieval writes them: img_emb/img_emb_0.npy beside metadata/metadata_0.parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsearch.datasets.parquet import check_parquet
from clipsearch.errors import InvalidInput, NotFound

EMBEDDINGS = "img_emb"
TABLES = "metadata"
_NUMBER = re.compile(r"(\d+)\.[a-z]+")
# pandas keeps the numbers of its rows as a column of this name.
_INDEX = "__index_level_"


@dataclass(frozen=True)
class EmbeddedPart:
    """One part of a folder: rows of an .npy file, and as many of a table that tells what they are of."""

    number: int
    embeddings: Path
    table: Path


def find_parts(folder: Path) -> list[EmbeddedPart]:
    """The parts in the order of their numbers: 2 before 10, however many zeros stand before.

    Raises NotFound where the folder is not there or not of this kind, InvalidInput where a part lacks its half.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    embeddings, tables = _numbered(folder / EMBEDDINGS, ".npy"), _numbered(folder / TABLES, ".parquet")
    if not embeddings:
        raise NotFound(
            f"{folder} holds no {EMBEDDINGS}/*.npy; name the folder that `clip-retrieval inference` wrote image "
            "embeddings into"
        )
    for number in sorted(embeddings.keys() ^ tables.keys()):
        there, missing = (embeddings, TABLES) if number in embeddings else (tables, EMBEDDINGS)
        raise InvalidInput(f"there is no part {number} in {folder / missing} to belong to {there[number]}")
    return [EmbeddedPart(number, embeddings[number], tables[number]) for number in sorted(embeddings)]


def count_rows(table: Path) -> int:
    """How many rows a table has. Raises InvalidInput for a file that cannot be read, ConfigError without pyarrow."""
    with _opened(table) as file:
        return int(file.metadata.num_rows)


def read_table(table: Path, size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, up to ``size`` at a time, each as its columns with Python's values. Raises as above."""
    with _opened(table) as file:
        names = [name for name in file.schema_arrow.names if not name.startswith(_INDEX)]
        batches = file.iter_batches(batch_size=size, columns=names)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, ValueError) as error:  # pyarrow's own errors are both
                raise _unreadable(table, error) from error
            if batch is None:
                return
            yield batch.to_pylist()


def _opened(table: Path) -> Any:
    check_parquet()
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(table)
    except (OSError, ValueError) as error:
        raise _unreadable(table, error) from error


def _unreadable(table: Path, error: Exception) -> InvalidInput:
    return InvalidInput(f"{table} cannot be read as Parquet: {error}")


def _numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """The files of a folder by the number at their end. Raises InvalidInput for a number that stands twice."""
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(f"*{suffix}")):
        number = _NUMBER.search(path.name)
        if number is None:
            raise InvalidInput(f"{path} has no number at its end by which to find what belongs to it")
        if int(number[1]) in found:
            raise InvalidInput(f"{path} and {found[int(number[1])]} are both part {int(number[1])}")
        found[int(number[1])] = path
    return found
