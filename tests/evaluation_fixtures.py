"""Drawn pictures of known contents in folders by their object, for evaluations with the demo model."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from library_fixtures import sqlite_url

from clipsearch.config import Settings
from clipsearch.demo.captions import full_caption
from clipsearch.demo.evaluation import Exam, draw_for_exam, set_exam
from clipsearch.demo.scenes import Scene
from clipsearch.library import Library

SINGLES, MIXED = 80, 30
TEMPLATE = "a photo of a {}."


@cache
def exam() -> Exam:
    """Scenes of combinations that the demo model was never shown."""
    return set_exam(singles=SINGLES, queries=2)


def things_in(scene: Scene) -> list[str]:
    """The objects of a scene, each once."""
    return sorted({thing.object for thing in scene.things})


@cache
def folders_of_things(base: Path) -> Path:
    """A folder for each object with the pictures that show it alone; ``base`` is pytest's folder of the session."""
    top = base / "things"
    for number, scene in enumerate(exam().singles):
        path = top / scene.things[0].object / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_for_exam(scene).save(path)
    return top


@cache
def mixed_pictures(base: Path) -> Path:
    """Pictures of two or three kinds of objects, and a table beside them with what is on each."""
    top = base / "mixed"
    top.mkdir()
    rows = []
    for number, scene in enumerate(exam().mixed[:MIXED]):
        draw_for_exam(scene).save(top / f"{number:03}.png")
        rows.append([f"{number:03}.png", *things_in(scene)])
    return write_table(top / "truth.csv", ["file", "label"], rows)


@cache
def captioned_pictures(base: Path) -> Path:
    """Pictures with a sentence on each, in a table."""
    top = base / "captioned"
    top.mkdir()
    rows = []
    for number, scene in enumerate(exam().shelf[:24]):
        draw_for_exam(scene).save(top / f"{number:03}.png")
        rows.append([f"{number:03}.png", full_caption(scene)])
    return write_table(top / "captions.csv", ["file", "caption"], rows)


def write_table(path: Path, heading: list[str], rows: Iterable[list[str]]) -> Path:
    """A CSV with this heading; none for an empty one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heading, *rows] if heading else list(rows))
    return path


@contextmanager
def demo_library(folder: Path, migrated: Path, model: str = "demo") -> Iterator[Library]:
    """A new library with a model of the picture-book."""
    sqlite_url(folder, migrated)
    settings = Settings(data_dir=folder, model=model, device="cpu", dtype="float32", decode_threads=1)
    with Library.open(settings) as library:
        yield library
