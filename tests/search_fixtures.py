"""A library of forty dated pictures in folders, for the tests of how answers of a search are told."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_fixtures import exif_block
from library_fixtures import CountingEncoder, index, library_with, picture, sqlite_url

from clipsearch.answers import SearchAnswer
from clipsearch.database.images import ImageRow
from clipsearch.encoder import Encoder
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search
from clipsearch.searching.duplicates import Found

PICTURES = 40


@dataclass
class Shelves:
    """A library, and the folder of its pictures: 00 to 14 are JPEG in ``2023``, the others PNG in ``2024``."""

    library: Library
    photos: Path
    encoder: CountingEncoder

    def ask(self, *terms: Term, **options: Any) -> SearchAnswer:
        """The answer to these terms, to some words where none are given."""
        return search(self.library, Query(terms=terms or (Term(text="a dog on a beach"),), **options))


@contextmanager
def filled_shelves(base: Path, migrated_file: Path, encoder: Encoder) -> Iterator[Shelves]:
    """The first ten were taken on days of May 2023, by EXIF; the others on days from January 2024 on, by the file."""
    sqlite_url(base / "data", migrated_file)
    counting = CountingEncoder(encoder)
    photos = base / "photos"
    for seed in range(PICTURES):
        path = photos / ("2023/a.jpg" if seed < 15 else "2024/a.png")
        path = path.with_name(f"{seed:02}{path.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"exif": exif_block(taken=f"2023:05:{seed + 1:02} 12:00:00")} if seed < 10 else {}
        picture(seed, (20 + seed, 60 - seed)).save(path, **options)
        stamp = int(dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC).timestamp() + seed * 86_400) * 10**9
        os.utime(path, ns=(stamp, stamp))
    with library_with(counting, base / "data") as library:
        index(library, photos)
        yield Shelves(library, photos, counting)


def names(answer: SearchAnswer) -> list[str]:
    """The files of the hits, in order."""
    return [os.path.basename(hit.image.uri) for hit in answer.hits]


def found_image(number: int, score: float, *, taken_at: dt.datetime | None = None) -> Found:
    """An image on its way to a hit, with nothing known of it but this."""
    nothing = dict.fromkeys(ImageRow.__dataclass_fields__)
    row = ImageRow(**nothing | {"id": number, "uri": f"file:///{number}", "taken_at": taken_at})  # type: ignore[arg-type]
    return Found(row, score)
