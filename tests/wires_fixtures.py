"""A site that serves every wire, by the demo model over a few drawn pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from library_fixtures import draw_many, index, sqlite_url

from clipsearch.compat import WIRES
from clipsearch.config import Settings
from clipsearch.encoder import Encoder
from clipsearch.library import Library
from clipsearch.web import create_app
from clipsearch.web.slots import WorkSlots

PICTURES = 4


@dataclass
class WireSite:
    """A library with some pictures, and apps around it that serve wires."""

    library: Library
    photos: Path

    @property
    def encoder(self) -> Encoder:
        return self.library.encoder("demo")

    @property
    def pictures(self) -> list[bytes]:
        """The files' bytes, by name; the first has the id 1."""
        return [path.read_bytes() for path in sorted(self.photos.glob("*.png"))]

    @property
    def encoded(self) -> list[str]:
        """The same in base64."""
        return [base64.b64encode(data).decode() for data in self.pictures]

    def app(
        self, *, slots: WorkSlots | None = None, search_slots: WorkSlots | None = None, **settings: Any
    ) -> APIFlask:
        """An app over the same library with other settings; it serves every wire unless they say otherwise."""
        chosen = self.library.settings.model_dump() | {"compat": WIRES} | settings
        other = Library(Settings(**chosen), self.library.database)
        other._encoders = self.library._encoders
        return create_app(other, slots=slots, search_slots=search_slots)

    def client(self, **settings: Any) -> FlaskClient:
        """A client of such an app."""
        return self.app(**settings).test_client()


@contextmanager
def wire_site(folder: Path, migrated: Path) -> Iterator[WireSite]:
    """A site in ``folder``: the library in ``data``, the pictures in ``photos``."""
    sqlite_url(folder / "data", migrated)
    photos = folder / "photos"
    draw_many(photos, PICTURES)
    settings = Settings(data_dir=folder / "data", model="demo", device="cpu", dtype="float32", decode_threads=1)
    with Library.open(settings) as library:
        index(library, photos)
        yield WireSite(library, photos)
