"""``clipsearch keys``: make, list and revoke the API keys that a server answers to."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import json_option, library_options, open_library
from clipsearch.cli.printing import note, print_json, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers.access import KeyInfo, Scope

_UNITS = {"h": dt.timedelta(hours=1), "d": dt.timedelta(days=1), "w": dt.timedelta(weeks=1),
          "y": dt.timedelta(days=365)}  # fmt: skip
_DURATION = re.compile(r"([1-9][0-9]{0,4})([hdwy])")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys for a server.

    A server that other machines can reach answers to these keys only.
    """


def _lifetime(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dt.timedelta | None:
    if value is None or value == "never":
        return None
    found = _DURATION.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time; say how long, as 12h, 90d, 8w or 2y, or never")
    return int(found[1]) * _UNITS[found[2]]


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(["read", "write", "admin"]), default="read", show_default=True,
    help="What it allows: to search and look; also to add, change and delete; also to run the server.",
)  # fmt: skip
@click.option("--expires", "lifetime", callback=_lifetime, metavar="TIME", help="How long it holds: 12h, 90d, 2y.")
@json_option
@library_options
def create(name: str, scope: Scope, lifetime: dt.timedelta | None, as_json: bool) -> None:
    """Make a key and show it, this once.

    NAME says whose it is or what it is for.
    """
    from clipsearch.authorizing import create_key, list_keys

    with open_library() as library:
        others = [one.prefix for one in list_keys(library).keys if one.name == name and one.state == "valid"]
        made = create_key(library, name, scope=scope, lifetime=lifetime)
    if as_json:
        print_json(made)
        return
    say(made.key)
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "until it is revoked"
    note(f"the key {shown(made.name)!r} allows {' and '.join(made.scopes)} {until}; it is shown this once. Send it as "
         f"Authorization: Bearer KEY. To take it back: clipsearch keys revoke {made.prefix}")  # fmt: skip
    if others:
        note(f"warning: {', '.join(others)} is called {shown(name)!r}, too, and holds as before; to take it back: "
             f"clipsearch keys revoke {others[0]}")  # fmt: skip


@keys.command("list")
@json_option
@library_options
def list_command(as_json: bool) -> None:
    """List the keys, without what makes them keys."""
    from clipsearch.authorizing import list_keys

    with open_library() as library:
        found = list_keys(library)
    if as_json:
        print_json(found)
    elif found.keys:
        print_table(("prefix", "name", "allows", "state", "made", "expires", "last used"), map(_row, found.keys))
    else:
        note("there is no key yet; make one: clipsearch keys create NAME --scope read")


@keys.command("revoke")
@click.argument("prefix", metavar="PREFIX|NAME")
@json_option
@library_options
def revoke(prefix: str, as_json: bool) -> None:
    """Take a key out of use, at once and for good.

    PREFIX is what stands between the first two underscores of the key: clipsearch keys list. A NAME will do where
    one key bears it.
    """
    from clipsearch.authorizing import revoke_key

    with open_library() as library:
        revoked = revoke_key(library, prefix)
    if as_json:
        print_json(revoked)
    else:
        say(f"the key {revoked.prefix} ({shown(revoked.name)}) is revoked")


def _row(key: KeyInfo) -> tuple[str, ...]:
    times = [f"{time:%Y-%m-%d %H:%M}" if time else "never" for time in (key.expires_at, key.last_used_at)]
    return key.prefix, key.name, " ".join(key.scopes), key.state, f"{key.created_at:%Y-%m-%d}", *times
