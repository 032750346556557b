"""API keys as they are shown, and who is asking; the key itself is in one answer only, and in no repr."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from clipsearch.answers.base import Answer

Scope = Literal["read", "write", "admin"]

# Each allows what those before it allow.
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")


class KeyInfo(Answer):
    """One API key, without what makes it one."""

    prefix: str = Field(description="the part by which a key is named: cs_PREFIX_…")
    name: str
    scopes: list[Scope] = Field(description="all that it allows: admin allows write, and write allows read")
    state: Literal["valid", "expired", "revoked"]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None = Field(description="to the minute")


class NewKey(KeyInfo):
    """A key that was just made: the only time that it is told."""

    key: str = Field(repr=False)


class KeyList(Answer):
    """Every key that was made, the oldest first."""

    keys: list[KeyInfo]


class Caller(Answer):
    """Who is asking, and what they may."""

    by: Literal["key", "session", "nobody"] = Field(
        description="by a key in a header, by the cookie of a page that is signed in, or without any key"
    )
    key: str | None = Field(description="the prefix of the key")
    name: str | None
    scopes: list[Scope]
    expires_at: dt.datetime | None
    key_required: bool = Field(description="whether this server answers to keys only")
