"""The model that made embeddings elsewhere: what the library knows of it, or what is said of it."""

from __future__ import annotations

import numpy as np

from clipsearch.database import models as model_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidInput, ModelMismatch
from clipsearch.library import Library
from clipsearch.model import Model


def described_model(
    library: Library, name: str, dimension: int, logit_scale: float | None, logit_bias: float | None
) -> Model:
    """What the library knows of the model already, or what the caller says of it.

    Raises ModelNotFound for what is no model's name, ModelMismatch where the two differ, InvalidInput for a scale that
    is missing or cannot be.
    """
    from clipsearch.encoder.names import parse_model_name

    name = parse_model_name(name).name
    with library.database.read() as connection:
        known = model_rows.find_model(connection, name)
    if known is not None:
        _check_known(known, dimension, logit_scale, logit_bias)
        return known.model
    if logit_scale is None:
        raise InvalidInput(
            f"this library does not know the model {name} yet; say its scale (100 for CLIP by OpenAI and most "
            "others): --logit-scale 100"
        )
    if not (np.isfinite(logit_scale) and logit_scale > 0) or not np.isfinite(logit_bias or 0.0):
        raise InvalidInput("the logit scale must be a positive number, and the bias a finite one")
    bias = logit_bias or 0.0
    return Model(name, dimension, logit_scale, bias, scoring="sigmoid" if bias else "softmax")


def collection_of(library: Library, collection: str | None, model: Model) -> CollectionRow:
    """The collection to import into, made with this model if need be. Raises ModelMismatch for one of another."""
    row, _ = library.ensure_collection(collection, model.name)
    if row.model_name != model.name:
        raise ModelMismatch(
            f"the collection {row.name!r} is of the model {row.model_name}, not {model.name}; "
            "import into another one: --collection NAME"
        )
    return row


def _check_known(known: ModelRow, dimension: int, logit_scale: float | None, logit_bias: float | None) -> None:
    model = known.model
    if model.dimension != dimension:
        raise ModelMismatch(f"{model.name} has {model.dimension} dimensions, not {dimension}")
    for what, ours, theirs in (
        ("scale", model.logit_scale, logit_scale),
        ("bias", model.logit_bias, logit_bias),
    ):
        if theirs is not None and abs(ours - theirs) > 1e-3 * max(1.0, abs(ours)):
            raise ModelMismatch(f"the logit {what} of {model.name} is {ours:g} in this library, not {theirs:g}")
