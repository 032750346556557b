"""Labelled images as Parquet; the only room with pyarrow, which is there where the extra ``parquet`` is installed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clipsearch.datasets.lines import image_tree
from clipsearch.datasets.rows import LabelledImage, Rows
from clipsearch.errors import ConfigError

GROUP = 4_096  # rows of one row group, which is what is held in memory


def check_parquet() -> None:
    """Raises ConfigError where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install -e '.[parquet]' in the clone") from error


def write_parquet(rows: Rows, place: Path, *, dimension: int | None, about: Mapping[str, Any]) -> None:
    """Write the file ``place``, a row for each image, group after group.

    ``labels`` is a list of structs, the best first; ``label`` the name of the first. ``dimension`` is that of the
    embeddings, a list of float32 of fixed length; None for no such column. What made the file stands in its schema
    under the key ``clipsearch``. Raises ConfigError where pyarrow is not installed.
    """
    check_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(dimension, about)
    with pq.ParquetWriter(place, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist([_tree(row, dimension) for row in group], schema=schema))


def _schema(dimension: int | None, about: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    label = pa.struct(
        [("label", pa.string()), ("category", pa.string()), ("probability", pa.float64()), ("score", pa.float64()),
         ("margin", pa.float64())]
    )  # fmt: skip
    fields = [
        ("uri", pa.string()),
        ("content_hash", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("size", pa.int64()),
        ("modified_at", pa.timestamp("us", tz="UTC")),
        ("part", pa.string()),
        ("source", pa.string()),
        ("rejected", pa.string()),
        ("label", pa.string()),
        ("labels", pa.list_(label)),
    ]
    if dimension is not None:
        fields.append(("embedding", pa.list_(pa.float32(), dimension)))
    return pa.schema(fields, metadata={"clipsearch": json.dumps(about, ensure_ascii=False)})


def _tree(row: LabelledImage, dimension: int | None) -> dict[str, Any]:
    tree = image_tree(row) | {"modified_at": row.modified_at}
    return tree if dimension is None else tree | {"embedding": row.vector}


def _groups(rows: Rows) -> Iterator[list[LabelledImage]]:
    left = iter(rows)
    while group := list(itertools.islice(left, GROUP)):
        yield group
