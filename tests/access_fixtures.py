"""Keys of each scope for a site, and clients that send them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from web_fixtures import Site, small_site

from clipsearch.answers.access import NewKey
from clipsearch.authorizing import create_key
from clipsearch.encoder import Encoder


@dataclass
class Keys:
    """One key of each scope."""

    read: NewKey
    write: NewKey
    admin: NewKey


def make_keys(site: Site) -> Keys:
    """A key of each scope in the site's library."""
    return Keys(*(create_key(site.library, f"the {scope} one", scope=scope) for scope in ("read", "write", "admin")))


def bearer(key: NewKey | str) -> dict[str, str]:
    """The header that sends a key."""
    return {"Authorization": f"Bearer {key if isinstance(key, str) else key.key}"}


@contextmanager
def locked_site(folder: Path, encoder: Encoder, **settings: Any) -> Iterator[Site]:
    """A site that answers to keys only."""
    pictures = settings.pop("pictures", 2)
    with small_site(folder, encoder, pictures=pictures, require_key="always", **settings) as site:
        yield site


def fresh_client(site: Site) -> FlaskClient:
    """A client without cookies."""
    return site.app.test_client()
