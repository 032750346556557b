"""Make, list, revoke and check API keys; alone knows how a key is built, and when one holds.

A key is ``cs_PREFIX_SECRET``. The prefix names it and is no secret; the secret is 256 random bits, so that one
round of SHA-256 is all that guards it: there is nothing to guess. Only that digest is kept.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from clipsearch.answers.access import SCOPES, KeyInfo, KeyList, NewKey, Scope
from clipsearch.database import api_keys as key_rows
from clipsearch.database.api_keys import KeyRow
from clipsearch.errors import InvalidInput, InvalidKey, KeyNotFound
from clipsearch.library import Library

PREFIX_BYTES = 6
SECRET_BYTES = 32
LONGEST_NAME = 100
LONGEST_LIFE = dt.timedelta(days=3650)
# The time of the last use is for people, who ask for days: a write for each request would be too dear.
USE_IS_NOTED = dt.timedelta(minutes=1)
_FORM = re.compile(rf"cs_([0-9a-f]{{{2 * PREFIX_BYTES}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}")
_NOBODYS_DIGEST = "0" * 64


def create_key(library: Library, name: str, *, scope: Scope = "read", lifetime: dt.timedelta | None = None) -> NewKey:
    """Make a key; ``lifetime`` is how long it holds, for good without one. The answer alone tells the key.

    Raises InvalidInput for a name or a lifetime that cannot be.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"a key's name is 1 to {LONGEST_NAME} characters of text, on one line")
    if lifetime is not None and not dt.timedelta(0) < lifetime <= LONGEST_LIFE:
        raise InvalidInput("a key holds for some seconds at least and ten years at most")
    prefix, secret = secrets.token_hex(PREFIX_BYTES), secrets.token_hex(SECRET_BYTES)
    key = f"cs_{prefix}_{secret}"
    with library.database.write() as connection:
        row = key_rows.add_key(
            connection, prefix=prefix, digest=_digest(key), name=name, scopes=implied(scope), lifetime=lifetime
        )
    return NewKey(key=key, **_info(row).model_dump())


def list_keys(library: Library) -> KeyList:
    """Every key that was made, the revoked and expired ones among them."""
    with library.database.read() as connection:
        return KeyList(keys=[_info(row) for row in key_rows.list_keys(connection)])


def revoke_key(library: Library, prefix: str) -> KeyInfo:
    """Take the key of this prefix out of use at once and for good. A whole key is taken for its prefix, and so is a
    name that one key in use bears.

    Raises KeyNotFound.
    """
    name, prefix = prefix, prefix_of(prefix) or prefix.removeprefix("cs_").rstrip("_")
    with library.database.write() as connection:
        if not key_rows.revoke_key(connection, prefix):
            prefix = _prefix_of_name(key_rows.list_keys(connection), name)
            key_rows.revoke_key(connection, prefix)
        row = key_rows.find_key(connection, prefix)
    assert row is not None  # noqa: S101  for the type checker
    return _info(row)


def _prefix_of_name(rows: Iterable[KeyRow], name: str) -> str:
    found = [row.prefix for row in rows if row.name == name and row.revoked_at is None]
    if len(found) > 1:
        raise KeyNotFound(f"{len(found)} keys are called {name!r}; say which one by its prefix: {', '.join(found)}")
    if not found:
        raise KeyNotFound("there is no key of this prefix or name in use; to see them: clipsearch keys list")
    return found[0]


def check_key(library: Library, key: str) -> KeyInfo:
    """The key that this is, when it holds. Raises InvalidKey.

    A key of another form, of no prefix that is known and with a wrong secret are told by the same words and found out
    in the same way: one look-up, one digest, one comparison whose time does not depend on where two digests differ.
    """
    prefix = prefix_of(key)
    with library.database.read() as connection:
        row = key_rows.find_key(connection, prefix or "")
    wanted = row.digest if row is not None else _NOBODYS_DIGEST
    # Of bytes: of texts it raises where one holds a letter beyond ASCII.
    matches = hmac.compare_digest(_digest(key).encode(), wanted.encode())
    if row is None or not matches:
        raise InvalidKey("this is no key of this library; to make one: clipsearch keys create NAME")
    return _valid(row)


def key_by_prefix(library: Library, prefix: str) -> KeyInfo:
    """The key of this prefix, when it still holds: for one who showed it before. Raises InvalidKey."""
    with library.database.read() as connection:
        row = key_rows.find_key(connection, prefix)
    if row is None:
        raise InvalidKey("the key that was signed in with is gone; sign in with another one")
    return _valid(row)


def note_use(library: Library, key: KeyInfo) -> None:
    """Write down that a key was used, at most once a minute."""
    with library.database.write() as connection:
        key_rows.note_use(connection, key.prefix, USE_IS_NOTED)


def has_valid_key(library: Library) -> bool:
    """Whether anybody holds a key that lets them in."""
    return any(key.state == "valid" for key in list_keys(library).keys)


def prefix_of(key: str) -> str | None:
    """The prefix of what has the form of a key; None for anything else."""
    found = _FORM.fullmatch(key)
    return found[1] if found else None


def implied(scope: Scope) -> tuple[Scope, ...]:
    """The scope and all that it allows besides."""
    return SCOPES[: SCOPES.index(scope) + 1]


def _valid(row: KeyRow) -> KeyInfo:
    info = _info(row)
    if info.state == "revoked":
        raise InvalidKey(f"the key cs_{row.prefix}_… was revoked", prefix=row.prefix)
    if info.state == "expired":
        raise InvalidKey(f"the key cs_{row.prefix}_… expired on {row.expires_at:%Y-%m-%d}", prefix=row.prefix)
    return info


def _info(row: KeyRow) -> KeyInfo:
    return KeyInfo(
        prefix=row.prefix,
        name=row.name,
        scopes=_known(row.scopes),
        state="revoked" if row.revoked_at is not None else "expired" if row.expired else "valid",
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def _known(scopes: Iterable[str]) -> list[Scope]:
    return [scope for scope in SCOPES if scope in scopes]


def _digest(key: str) -> str:
    # A lone surrogate is no text, and no reason to fail.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
