"""Says in the words of the command line what pydantic refuses; knows which option stands for which field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NAMES = {
    "text": "the text",
    "image_id": "the image's id",
    "weight": "the weight",
    "vector": "--vector",
    "terms": "the query",
    "k": "--top",
    "taken_from": "--from",
    "taken_to": "--to",
    "path_glob": "--glob",
    "formats": "--format",
    "label_set": "--label-set",
    "attributes": "--attribute",
    "templates": "--template",
}


@contextmanager
def in_words() -> Iterator[None]:
    """What pydantic refuses within the block becomes a usage error."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        # One line for each field: a list of a thousand numbers would fill the screen.
        said = dict.fromkeys(_sentence(fault) for fault in error.errors(include_url=False))
        raise click.UsageError("; ".join(list(said)[:3])) from error


def _sentence(fault: ErrorDetails) -> str:
    reason = fault["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    field = next((part for part in reversed(fault["loc"]) if isinstance(part, str)), None)
    if field is None:
        return reason
    return f"{_NAMES.get(field, '--' + field.replace('_', '-'))}: {reason}"
