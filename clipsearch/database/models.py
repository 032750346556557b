"""The models that the library holds embeddings of, as rows; knows when two of one name are not the same."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select, update

from clipsearch.database.clock import now
from clipsearch.database.schema import embedding as embedding_table
from clipsearch.database.schema import model as table
from clipsearch.database.upsert import upsert_into
from clipsearch.errors import ModelMismatch
from clipsearch.model import Model


@dataclass(frozen=True)
class ModelRow:
    """A model and its number."""

    id: int
    model: Model


def find_model(connection: Connection, name: str) -> ModelRow | None:
    """The model of this name, if embeddings of it were ever kept."""
    row = connection.execute(select(table).where(table.c.name == name)).first()
    return _from_row(row) if row else None


def keep_model(connection: Connection, model: Model) -> ModelRow:
    """The row of this model, made where it is new.

    Raises ModelMismatch when the name stands for other weights or another dimension already. What was imported
    without weights takes on the fingerprint of the first weights that are met under its name.
    """
    known = find_model(connection, model.name)
    if known is None:
        values = _values(model) | {"created_at": now(connection)}
        # Another process may bring the same model at this moment; on a server neither waits for the other.
        connection.execute(upsert_into(connection, table).values(values).on_conflict_do_nothing())
        known = _get_model(connection, model.name)
    check_same(known.model, model)
    if known.model.fingerprint is None and model.fingerprint is not None:
        # The scale stays as imported: predictions made by it stay the same.
        kept = {"logit_scale": known.model.logit_scale, "logit_bias": known.model.logit_bias}
        connection.execute(update(table).where(table.c.id == known.id).values(_values(model) | kept))
        return _get_model(connection, model.name)
    return known


def _get_model(connection: Connection, name: str) -> ModelRow:
    return _from_row(connection.execute(select(table).where(table.c.name == name)).one())


def check_same(kept: Model, met: Model) -> None:
    """Raises ModelMismatch when embeddings of the two would not compare."""
    if kept.dimension != met.dimension:
        raise ModelMismatch(
            f"{kept.name} has {kept.dimension} dimensions in this library, but {met.dimension} here; "
            "embeddings of the two do not compare: use another collection and another name"
        )
    if kept.fingerprint and met.fingerprint and kept.fingerprint != met.fingerprint:
        raise ModelMismatch(
            f"the weights or the preprocessing of {kept.name} are not those that made this library's embeddings "
            f"({met.fingerprint[:12]}, not {kept.fingerprint[:12]}); bring the old weights back, or make a new "
            "collection with the new weights under another path",
            kept=kept.fingerprint,
            met=met.fingerprint,
        )


def dimensions(connection: Connection) -> dict[str, int]:
    """How many numbers an embedding by each model has, by the model's name."""
    return {name: int(count) for name, count in connection.execute(select(table.c.name, table.c.dimension))}


def list_models(connection: Connection) -> list[tuple[ModelRow, int]]:
    """Every model with the number of image embeddings that it has, by name."""
    counts = (
        select(embedding_table.c.model_id, func.count().label("embeddings"))
        .group_by(embedding_table.c.model_id)
        .subquery()
    )
    rows = connection.execute(
        select(table, func.coalesce(counts.c.embeddings, 0).label("embeddings"))
        .outerjoin(counts, counts.c.model_id == table.c.id)
        .order_by(table.c.name)
    )
    return [(_from_row(row), int(row.embeddings)) for row in rows]


def _values(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "dimension": model.dimension,
        "logit_scale": model.logit_scale,
        "logit_bias": model.logit_bias,
        "scoring": model.scoring,
        "context_length": model.context_length,
        "image_size": model.image_size,
        "preprocessing": dict(model.preprocessing),
        "versions": dict(model.versions),
    }


def _from_row(row: Row[tuple[object, ...]]) -> ModelRow:
    values = row._mapping
    return ModelRow(values["id"], Model(**{name: values[name] for name in _values_names()}))


def _values_names() -> tuple[str, ...]:
    return tuple(Model.__dataclass_fields__)
