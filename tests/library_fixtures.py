"""Libraries for the tests: on SQLite and PostgreSQL, with open_clip's own code on a tiny model of random weights.

The model knows no words: what a text means is tested with the demo model. It tells pictures apart, which is all
that storing, indexing and finding need. One database of each kind is migrated once and copied for every test.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from encoder_fixtures import make_checkpoints, write_model_folder
from numpy.typing import NDArray
from postgres_fixture import Postgres
from sqlalchemy import event, text
from worker_processes import Workers, started_workers

from clipsearch.answers import IndexingReport
from clipsearch.config import Settings
from clipsearch.database import Database
from clipsearch.database.migrating import upgrade
from clipsearch.database.schema import metadata
from clipsearch.encoder import Encoded, Encoder, open_encoder
from clipsearch.indexing import IndexingOptions, index_source
from clipsearch.library import Library
from clipsearch.model import Model

GROUPS = ("added", "changed", "moved", "unchanged", "removed", "failed")


@dataclass
class CountingEncoder:
    """An encoder that counts what it is given, and can be told to fail on demand before it encodes."""

    inner: Encoder
    images: int = 0
    texts: int = 0
    prepared: int = 0
    before_encoding: Callable[[int], None] = field(default=lambda _count: None)

    @property
    def model(self) -> Model:
        return self.inner.model

    @property
    def device(self) -> str:
        return self.inner.device

    @property
    def runtime(self) -> str:
        return self.inner.runtime

    @property
    def dtype(self) -> str:
        return self.inner.dtype

    @property
    def batch_size(self) -> int:
        return self.inner.batch_size

    @property
    def vocabulary(self) -> frozenset[str] | None:
        return self.inner.vocabulary

    def prepare(self, picture: PIL.Image.Image) -> NDArray[np.float32]:
        self.prepared += 1
        return self.inner.prepare(picture)

    def encode_prepared(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> Encoded:
        self.before_encoding(len(pixels))
        self.images += len(pixels)
        return self.inner.encode_prepared(pixels)

    def encode_images(self, pictures: Sequence[PIL.Image.Image]) -> Encoded:
        self.images += len(pictures)
        return self.inner.encode_images(pictures)

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        self.texts += len(texts)
        return self.inner.encode_texts(texts)

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        return self.inner.truncated(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self.inner.token_counts(texts)

    def unknown_words(self, text: str) -> list[str]:
        return self.inner.unknown_words(text)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of random weights; its path is the model's name."""
    base = tmp_path_factory.getbasetemp()
    return write_model_folder(base / "tiny-model", make_checkpoints(base), "small-clip")


@pytest.fixture(scope="session")
def shared_encoder(model_folder: Path) -> Encoder:
    return open_encoder(str(model_folder), device="cpu", dtype="float32", batch_size=8)


@pytest.fixture
def encoder(shared_encoder: Encoder) -> CountingEncoder:
    """The encoder of ``library``, counting from nothing in each test."""
    return CountingEncoder(shared_encoder)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "clipsearch.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    assert not path.with_name("clipsearch.db-wal").exists()
    return path


@pytest.fixture(scope="session")
def migrated_url(postgres: Postgres) -> str:
    """One database on the server, which every test finds empty: a copy for each would take a second and 8 MB."""
    url = postgres.create_database()
    database = Database(url)
    upgrade(database)
    database.close()
    return url


@pytest.fixture
def postgres_url(migrated_url: str) -> str:
    database = Database(migrated_url)
    with database.write() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE"))
    database.close()
    return migrated_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with this version's schema and no rows: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path, request.getfixturevalue("migrated_file"))
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """A database on a server, for what is different there."""
    opened = Database(postgres_url)
    yield opened
    opened.close()


@pytest.fixture
def library(tmp_path: Path, migrated_file: Path, encoder: CountingEncoder) -> Iterator[Library]:
    """An embedded library in ``tmp_path / "data"``, empty."""
    sqlite_url(tmp_path / "data", migrated_file)
    with library_with(encoder, tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def any_library(tmp_path: Path, database_url: str, encoder: CountingEncoder) -> Iterator[Library]:
    """The same, on SQLite and on PostgreSQL."""
    with library_with(encoder, tmp_path / "data", database_url=database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Processes to race and to kill."""
    with started_workers() as found:
        yield found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """An empty folder for pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def sqlite_url(folder: Path, migrated: Path) -> str:
    """A copy of the migrated database in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(migrated, folder / "clipsearch.db")
    return f"sqlite:///{folder / 'clipsearch.db'}"


def library_with(encoder: CountingEncoder, data_dir: Path, **settings: Any) -> Library:
    """A library that answers with this encoder, as if it had loaded it."""
    chosen: dict[str, Any] = {"decode_threads": 2, "device": "cpu", "dtype": "float32", "model": encoder.model.name}
    opened = Library.open(Settings(data_dir=data_dir, **chosen | settings))
    opened._encoders[encoder.model.name] = encoder
    return opened


def picture(seed: int, size: tuple[int, int] = (24, 20)) -> PIL.Image.Image:
    """Coarse noise: each seed another picture, and far from all others."""
    small = PIL.Image.frombytes("RGB", (4, 4), random.Random(seed).randbytes(48))
    return small.resize(size, PIL.Image.Resampling.NEAREST)


def draw(path: Path, seed: int, **options: Any) -> Path:
    """Write the picture of this seed to a file, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


def draw_many(folder: Path, count: int, start: int = 0, form: str = "{:04}.png") -> list[Path]:
    """Pictures of the seeds ``start`` to ``start + count``, named by them."""
    return [draw(folder / form.format(seed), seed) for seed in range(start, start + count)]


def index(library: Library, source: Path, **options: Any) -> IndexingReport:
    """Index into the library's usual collection."""
    return index_source(library, source, options=IndexingOptions(**options))


def groups(report: IndexingReport) -> dict[str, list[str]]:
    """The groups that hold something, as names of files in order."""
    found = {name: getattr(report, name) for name in GROUPS}
    found["failed"] = [one.uri for one in report.failed]
    return {name: sorted(map(os.path.basename, uris)) for name, uris in found.items() if uris}


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """The statements that the database is asked while the block runs, as they come."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    engines = {database._reader, database._writer}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def unit_rows(count: int, dimension: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """Random unit vectors."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
