"""Draws the picture-book, a folder of pictures of known contents; it alone decides what is in it."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any, Final

from clipsearch.demo.captions import full_caption
from clipsearch.demo.scenes import HELD_OUT, OBJECTS, Scene, Thing, sample_scene, scene_of
from clipsearch.demo.wording import plural

# Most pictures lie on their side, some are square, some stand: (width, height, weight).
_SHAPES: Final = (
    (640, 480, 30),
    (576, 432, 20),
    (640, 424, 18),
    (480, 360, 12),
    (480, 480, 10),
    (400, 520, 10),
)
_FORMATS: Final = (("jpg", 90), ("png", 5), ("webp", 5))
_SAVING: Final[dict[str, dict[str, Any]]] = {
    ".jpg": {"format": "JPEG", "quality": 88, "optimize": True},
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "quality": 88, "method": 2},
}
_RED_BOATS_AT_NIGHT: Final = ("sea", "sea", "sea", "sea", "sea", "sea", "forest", "city")
_HELD_OUT_SHARE: Final = 0.4
_CHUNK: Final = 12


@dataclass(frozen=True, slots=True)
class PictureEntry:
    """One picture of the book: where it lies (relative, with `/`), what it shows, and a sentence on it."""

    path: str
    scene: Scene
    caption: str


def picture_book_scenes(count: int = 600, seed: int = 7) -> list[PictureEntry]:
    """The pages of the book, without drawing them; the same count and seed give the same pages anywhere."""
    rng = random.Random(seed)
    scenes = [*_promised(rng), *_by_chance(rng, count)][:count]
    rng.shuffle(scenes)
    taken: dict[str, int] = {}
    pages = []
    for scene in scenes:
        stem = _stem(scene)
        taken[stem] = taken.get(stem, 0) + 1
        suffix = rng.choices([name for name, _ in _FORMATS], weights=[weight for _, weight in _FORMATS])[0]
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        pages.append(PictureEntry(f"{name}.{suffix}", scene, full_caption(scene)))
    return pages


def draw_picture_book(
    folder: Path, count: int = 600, seed: int = 7, *, workers: int | None = None
) -> list[PictureEntry]:
    """Draw the book into a folder and return its pages; pictures that stand complete are not drawn again.

    The pictures depend on nothing but count and seed. Each is written aside and renamed, so that a book whose drawing
    was cut short holds no half pictures. Nothing but pictures is left in the folder.
    """
    pages = picture_book_scenes(count, seed)
    missing = [page for page in pages if not (folder / page.path).exists()]
    for parent in {(folder / page.path).parent for page in missing}:
        parent.mkdir(parents=True, exist_ok=True)
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    several = min(workers or os.cpu_count() or 1, len(chunks))
    if several > 1:
        # Spawned, not forked: whoever asks for the book may have threads running (torch, a server).
        with ProcessPoolExecutor(several, mp_context=get_context("spawn")) as pool:
            list(pool.map(partial(_draw_pages, folder), chunks))
    else:
        for chunk in chunks:
            _draw_pages(folder, chunk)
    return pages


def _promised(rng: random.Random) -> list[Scene]:
    """Red boats at night for the first search that anyone tries, and every object at least once on its own."""
    boats = [
        scene_of(rng, ("boat", "red", place), time="night", size=rng.choice(("medium", "large")))
        for place in _RED_BOATS_AT_NIGHT
    ]
    others = [
        scene_of(rng, ("boat", colour, "sea"), time=time)
        for colour in ("white", "blue", "red")
        for time in ("day", "night", "day")
    ]
    pair = Scene((Thing("boat", "red"),) * 2, "sea", "night", rng.randrange(2**31))
    return [*boats, pair, *others, *(_alone(name, rng) for name in OBJECTS)]


def _alone(name: str, rng: random.Random) -> Scene:
    triple = rng.choice([triple for triple in HELD_OUT if triple[0] == name])
    return scene_of(rng, triple, size=rng.choice(("medium", "large")))


def _by_chance(rng: random.Random, count: int) -> list[Scene]:
    return [sample_scene(rng, held_out=rng.random() < _HELD_OUT_SHARE) for _ in range(count)]


def _stem(scene: Scene) -> str:
    """A readable name: `sea/night/red-boat`, `city/day/three-pink-cats`, `desert/day/blue-cup-and-red-hat`."""
    first, number = scene.things[0], len(scene.things)
    if scene.of_one_kind and number > 1:
        name = f"{('two', 'three')[number - 2]}-{first.colour}-{plural(first.object)}"
    else:
        name = "-and-".join(f"{thing.colour}-{thing.object}" for thing in scene.things)
    return str(PurePosixPath(scene.place, scene.time, name))


def _draw_pages(folder: Path, pages: list[PictureEntry]) -> None:
    # Pillow is imported by the drawing: listing the book's scenes must not need it.
    from clipsearch.demo.drawing import draw_scene

    for page in pages:
        shape = random.Random(page.scene.seed).choices(_SHAPES, weights=[weight for _, _, weight in _SHAPES])[0]
        picture = draw_scene(page.scene, shape[0], shape[1])
        _write(picture, folder / page.path)


def _write(picture: Any, path: Path) -> None:
    # The name starts with a dot and has no picture's ending, so an indexing that runs meanwhile passes it by.
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        picture.save(aside, **_SAVING[path.suffix])
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
