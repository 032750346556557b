"""What every answer is: frozen, printed alike on every door; and a file that could not be used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Frozen; ``model_dump_json()`` is the form on every door."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FailedFile(Answer):
    """A file that could not be used, and why."""

    uri: str
    code: str
    reason: str
