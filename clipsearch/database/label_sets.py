"""Label sets, their versions, labels and embeddings as rows; knows when a version rises and what a cached prompt is."""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from clipsearch.database.clock import now
from clipsearch.database.schema import label as label_table
from clipsearch.database.schema import label_example as example_table
from clipsearch.database.schema import label_set as table
from clipsearch.database.schema import label_set_version as version_table
from clipsearch.errors import AlreadyExists, LabelSetNotFound
from clipsearch.label_set import Example, Label, LabelSet, from_tree

CHUNK = 1_000
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
_SET_COLUMNS = (
    "mode", "templates", "aggregate", "background", "min_score", "min_probability", "min_margin"
)  # fmt: skip
_LABEL_COLUMNS = ("name", "prompts", "negatives", "category", "words_weight", "min_score", "min_probability")


@dataclass(frozen=True, kw_only=True)
class LabelRow(Label):
    """One label with its place; ``id`` is 0 for one that is not stored."""

    id: int = 0
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class LabelSetRow(LabelSet):
    """One label set with its labels in order; ``id`` is 0 for one that is not stored."""

    labels: tuple[LabelRow, ...]
    id: int = 0
    name: str = ""
    version: int = 0
    created_at: dt.datetime = NEVER
    updated_at: dt.datetime = NEVER


@dataclass(frozen=True)
class LabelSetVersion:
    """One version of a set as it was written down."""

    version: int
    definition: LabelSet
    made_at: dt.datetime


def save_label_set(connection: Connection, name: str, wanted: LabelSet, *, replace: bool = False) -> LabelSetRow:
    """Store a set, or put it in place of the one of its name, whose version then goes up by one.

    A label that keeps its name and words keeps its row, and with it an embedding that came with it. Raises
    AlreadyExists when the name is taken and ``replace`` is not asked for.
    """
    stamp = now(connection)
    known = find_label_set(connection, name)
    if known is not None and not replace:
        raise AlreadyExists(f"a label set named {name!r} exists already; replace it with --replace, or choose a name")
    values = {field: _plain(getattr(wanted, field)) for field in _SET_COLUMNS} | {"updated_at": stamp}
    if known is None:
        values |= {"name": name, "version": 1, "created_at": stamp}
        number = connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one()
    else:
        number = known.id
        # Counted by the database: of two who replace it at once, each makes a version of its own.
        counted = values | {"version": table.c.version + 1}
        connection.execute(update(table).where(table.c.id == number).values(counted))
    _replace_labels(connection, number, known, wanted)
    saved = get_label_set(connection, name)
    entry = {"label_set_id": number, "version": saved.version, "definition": wanted.as_tree(), "made_at": stamp}
    connection.execute(insert(version_table), [entry])
    return saved


def _replace_labels(connection: Connection, number: int, known: LabelSetRow | None, wanted: LabelSet) -> None:
    kept = _kept_rows(known, wanted) if known else {}
    if known is not None:
        gone = sorted({label.id for label in known.labels} - set(kept.values()))
        for start in range(0, len(gone), CHUNK):
            connection.execute(delete(label_table).where(label_table.c.id.in_(gone[start : start + CHUNK])))
        of_set = select(label_table.c.id).where(label_table.c.label_set_id == number)
        connection.execute(delete(example_table).where(example_table.c.label_id.in_(of_set)))
        # Out of the way: a place may be held by one label only, also for a moment.
        away = {"position": -1 - label_table.c.position}
        connection.execute(update(label_table).where(label_table.c.label_set_id == number).values(away))
    rows = [
        {field: _plain(getattr(label, field)) for field in _LABEL_COLUMNS} | {"position": position}
        for position, label in enumerate(wanted.labels)
    ]
    changed = [row | {"number": kept[row["position"]]} for row in rows if row["position"] in kept]
    if changed:
        to_row: dict[str, Any] = {field: bindparam(field) for field in (*_LABEL_COLUMNS, "position")}
        connection.execute(update(label_table).where(label_table.c.id == bindparam("number")).values(to_row), changed)
    new = [row | {"label_set_id": number} for row in rows if row["position"] not in kept]
    if new:
        connection.execute(insert(label_table), new)
    _insert_examples(connection, number, wanted)


def _kept_rows(known: LabelSetRow, wanted: LabelSet) -> dict[int, int]:
    """By the new position the row of a label that is what it was, as far as an embedding depends on it."""
    if known.templates != wanted.templates:
        return {}
    rows: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for old in reversed(known.labels):  # imported names may repeat, and keep their order
        rows.setdefault((old.name, old.prompts), []).append(old.id)
    found = {}
    for position, label in enumerate(wanted.labels):
        if same := rows.get((label.name, label.prompts)):
            found[position] = same.pop()
    return found


def _insert_examples(connection: Connection, number: int, wanted: LabelSet) -> None:
    if not any(label.examples for label in wanted.labels):
        return
    columns = (label_table.c.position, label_table.c.id)
    found = connection.execute(select(*columns).where(label_table.c.label_set_id == number))
    ids = {row.position: row.id for row in found}
    rows = [
        {"label_id": ids[place], "position": position, "digest": example.digest, "uri": example.uri}
        for place, label in enumerate(wanted.labels)
        for position, example in enumerate(label.examples)
    ]
    connection.execute(insert(example_table), rows)


def find_label_set(connection: Connection, name: str) -> LabelSetRow | None:
    """The set of this name, or None."""
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        return None
    labels = connection.execute(
        select(label_table).where(label_table.c.label_set_id == row.id).order_by(label_table.c.position)
    ).all()
    examples = _examples(connection, row.id)
    return LabelSetRow(
        id=row.id,
        name=row.name,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        labels=tuple(
            LabelRow(
                id=one.id,
                position=one.position,
                examples=tuple(examples.get(one.id, ())),
                **{field: _tuple(getattr(one, field)) for field in _LABEL_COLUMNS},
            )
            for one in labels
        ),
        **{field: _tuple(getattr(row, field)) for field in _SET_COLUMNS},
    )


def _examples(connection: Connection, number: int) -> dict[int, list[Example]]:
    rows = connection.execute(
        select(example_table.c.label_id, example_table.c.digest, example_table.c.uri)
        .join(label_table, label_table.c.id == example_table.c.label_id)
        .where(label_table.c.label_set_id == number)
        .order_by(example_table.c.label_id, example_table.c.position)
    )
    found: dict[int, list[Example]] = {}
    for row in rows:
        found.setdefault(row.label_id, []).append(Example(row.uri, row.digest))
    return found


def label_set_versions(connection: Connection, label_set: LabelSetRow) -> list[LabelSetVersion]:
    """Every version that was written down, the youngest first; sets of older schemas have those since then."""
    columns = (version_table.c.version, version_table.c.definition, version_table.c.made_at)
    rows = connection.execute(
        select(*columns).where(version_table.c.label_set_id == label_set.id).order_by(version_table.c.version.desc())
    )
    return [LabelSetVersion(row.version, from_tree(row.definition), row.made_at) for row in rows]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def label_set_stamp(connection: Connection, name: str) -> tuple[int, str, int, dt.datetime] | None:
    """The number, name, version and time of the last change of the set of this name, which tell it from any other
    that ever stood under it; None where there is none."""
    columns = (table.c.id, table.c.name, table.c.version, table.c.updated_at)
    row = connection.execute(select(*columns).where(table.c.name == name)).first()
    return (row.id, row.name, row.version, row.updated_at) if row else None


def get_label_set(connection: Connection, name: str) -> LabelSetRow:
    """Raises LabelSetNotFound with those that there are."""
    found = find_label_set(connection, name)
    if found is not None:
        return found
    names = list_label_sets(connection)
    if not names:
        raise LabelSetNotFound(f"there is no label set {name!r}; make one: clipsearch labels create {name} cat dog")
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names[:10])}"
    raise LabelSetNotFound(f"there is no label set {name!r}; {hint}")


def list_label_sets(connection: Connection) -> list[str]:
    """Their names, in order."""
    return list(connection.execute(select(table.c.name).order_by(table.c.name)).scalars())


def delete_label_set(connection: Connection, name: str) -> None:
    """Raises LabelSetNotFound."""
    connection.execute(delete(table).where(table.c.id == get_label_set(connection, name).id))
