"""Tags written in bulk; knows how each database takes a hundred thousand rows a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, delete, select

from clipsearch.database.schema import tag as tag_table
from clipsearch.database.schema import tagging as table
from clipsearch.database.taggings import TaggingRow
from clipsearch.errors import Conflict

# SQLite keeps two million bytes of pages by itself: too few for an index that is written at a thousand places at once.
WRITING_CACHE_KIB = 131_072
CHUNK = 1_000
_TAG_COLUMNS = ("tagging_id", "image_id", "rank", "position", "score", "probability", "margin", "revision")


@dataclass(frozen=True)
class TagValues:
    """The best labels of n images, best first; each int64 or float64 of shape [n, k]."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    margins: NDArray[np.float64]


def write_tags(
    connection: Connection,
    tagging: TaggingRow,
    ids: NDArray[np.int64],
    revisions: NDArray[np.int64],
    values: TagValues,
) -> None:
    """Put the tags of the images ``ids`` [n], which had these revisions [n], in the place of those they had.

    Raises Conflict when the tagging was replaced or removed since it was read: then these tags belong to nothing.
    """
    standing = connection.execute(
        select(table.c.digest, table.c.model_id, table.c.top).where(table.c.id == tagging.id).with_for_update()
    ).first()
    if standing is None or tuple(standing) != (tagging.digest, tagging.model_id, tagging.top):
        raise Conflict("the label set or its tags were changed or removed while the images were being tagged; "
                       "run the command again")  # fmt: skip
    _remove_tags_of(connection, tagging.id, ids)
    _insert_rows(connection, _tag_rows(tagging.id, ids, revisions, values))


def _remove_tags_of(connection: Connection, tagging_id: int, ids: NDArray[np.int64]) -> None:
    own = tag_table.c.tagging_id == tagging_id
    within = and_(own, tag_table.c.image_id.between(int(ids[0]), int(ids[-1])))
    if connection.execute(select(tag_table.c.image_id).where(within).limit(1)).first() is None:
        return  # as for nearly every block of a first tagging
    for start in range(0, len(ids), CHUNK):
        part = tag_table.c.image_id.in_(ids[start : start + CHUNK].tolist())
        connection.execute(delete(tag_table).where(own, part))


def _tag_rows(
    tagging_id: int, ids: NDArray[np.int64], revisions: NDArray[np.int64], values: TagValues
) -> Sequence[tuple[int | float, ...]]:
    count, width = values.positions.shape
    columns = (
        [tagging_id] * (count * width),
        np.repeat(ids, width).tolist(),
        list(range(1, width + 1)) * count,
        values.positions.ravel().tolist(),
        values.scores.ravel().tolist(),
        values.probabilities.ravel().tolist(),
        values.margins.ravel().tolist(),
        np.repeat(revisions, width).tolist(),
    )
    return list(zip(*columns, strict=True))


def _insert_rows(connection: Connection, rows: Sequence[tuple[int | float, ...]]) -> None:
    # Past SQLAlchemy, whose dictionaries take three times as long as the database itself.
    names = ", ".join(_TAG_COLUMNS)
    cursor = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(_TAG_COLUMNS))
        (usual,) = cursor.execute("PRAGMA cache_size").fetchone()
        cursor.execute(f"PRAGMA cache_size=-{WRITING_CACHE_KIB}")
        try:
            cursor.executemany(f"INSERT INTO tag ({names}) VALUES ({places})", rows)  # noqa: S608  names of ours
        finally:  # the connection goes back to its pool, and would hold the memory as long as it lives
            cursor.execute(f"PRAGMA cache_size={int(usual)}")
    else:
        with cursor.copy(f"COPY tag ({names}) FROM STDIN") as copying:
            for row in rows:
                copying.write_row(row)
    cursor.close()
