"""Draws what the demo model learns from, and words it, rightly and wrongly; it alone knows the training set."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from clipsearch.demo.captions import Caption, describe
from clipsearch.demo.grading import Codes, encode_caption, encode_scene
from clipsearch.demo.scenes import COLOURS, OBJECTS, PLACES, Scene, Thing, sample_scene
from clipsearch.demo.wording import OBJECT_NAMES, OPENINGS, with_article, words_in

CAPTIONS_PER_PICTURE: Final = 6
LABELS_PER_OBJECT: Final = 24
_CHUNK: Final = 500
# So many scenes are made to hold several kinds of thing; chance adds some. Left to chance, too few do for a model to
# learn to see three things apart.
_MIXED_SHARE: Final = 0.6
# Width and height as they will be drawn for the book, smaller.
_SHAPES: Final = ((288, 216), (304, 200), (240, 240), (216, 288), (280, 224))

Bytes = npt.NDArray[np.uint8]
Marks = list[tuple[Bytes, Bytes]]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Square pictures; for each of them several captions, and as many foils: the same wording of a scene gone wrong.

    Besides, for each object several labels: wordings that name it and nothing else.
    """

    pictures: Bytes
    scenes: Codes
    captions: list[list[str]]
    claims: Codes
    foils: list[list[str]]
    foil_claims: Codes
    labels: list[list[str]]
    marks: Marks


def draw_lessons(folder: Path, count: int, seed: int, side: int, *, workers: int = 2) -> Lessons:
    """Sample `count` scenes without held-out combinations and draw them, or take them from `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = training_scenes(count, seed)
    path = folder / f"mixed-lessons-{count}-{seed}-{side}.npy"
    if not path.exists():
        aside = path.with_suffix(".part.npy")
        pictures = np.lib.format.open_memmap(aside, "w+", np.uint8, (count, side, side, 3))
        chunks = [scenes[start : start + _CHUNK] for start in range(0, count, _CHUNK)]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            draw = partial(draw_squares, side=side)
            for index, drawn in enumerate(pool.map(draw, chunks) if workers > 1 else map(draw, chunks)):
                pictures[index * _CHUNK : index * _CHUNK + len(drawn)] = drawn
        pictures.flush()
        del pictures
        aside.rename(path)
    captions, foils = _worded(scenes, random.Random(seed + 1), random.Random(seed + 2))
    return Lessons(
        pictures=np.load(path, mmap_mode="r"),
        scenes=np.stack([encode_scene(scene) for scene in scenes]),
        captions=[[caption.text for caption in several] for several in captions],
        claims=np.stack([np.stack([encode_caption(caption) for caption in several]) for several in captions]),
        foils=[[caption.text for caption in several] for several in foils],
        foil_claims=np.stack([np.stack([encode_caption(caption) for caption in several]) for several in foils]),
        labels=_labels(random.Random(seed + 3)),
        marks=draw_marks(seed),
    )


def _worded(
    scenes: list[Scene], rng: random.Random, chance: random.Random
) -> tuple[list[list[Caption]], list[list[Caption]]]:
    captions: list[list[Caption]] = []
    foils: list[list[Caption]] = []
    again = random.Random(0)
    for scene in scenes:
        captions.append([])
        foils.append([])
        for _ in range(CAPTIONS_PER_PICTURE):
            # The foil repeats the caption's dice, so that it differs in little but what is wrong about it.
            again.setstate(rng.getstate())
            captions[-1].append(describe(scene, rng))
            foils[-1].append(describe(spoiled(scene, chance), again))
    return captions, foils


def _labels(rng: random.Random) -> list[list[str]]:
    """For each object, in their order: its names, now bare, now as somebody would write a prompt."""
    return [
        [
            f"{rng.choice(('', f'{rng.choice(OPENINGS)} '))}{with_article(rng.choice(OBJECT_NAMES[name]))}"
            for _ in range(LABELS_PER_OBJECT)
        ]
        for name in OBJECTS
    ]


def spoiled(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one thing wrong: an object mostly, the place, a colour, the number, or two colours changed over.

    Place, time and colour alone tell most pictures of a batch apart, so that without such foils a model has little
    reason to learn what the objects look like. Without a wrong place now and then it forgets the place over the things.
    """
    if rng.random() < 0.3:
        return replace(scene, place=rng.choice([place for place in PLACES if place != scene.place]))
    things = list(scene.things)
    index, roll = rng.randrange(len(things)), rng.random()
    if len(things) > 1 and not scene.of_one_kind and roll < 0.25:
        first, second = things[index], things[index - 1]
        things[index], things[index - 1] = (
            replace(first, colour=second.colour),
            replace(second, colour=first.colour),
        )
    elif scene.of_one_kind and roll < 0.4:
        things = things[:1] * rng.choice([count for count in (1, 2, 3) if count != len(things)])
    elif roll < 0.8:
        other = rng.choice([name for name in OBJECTS if name != things[index].object])
        things = _changed(things, index, replace(things[index], object=other))
    else:
        other = rng.choice([name for name in COLOURS if name != things[index].colour])
        things = _changed(things, index, replace(things[index], colour=other))
    return replace(scene, things=tuple(things))


def _changed(things: list[Thing], index: int, changed: Thing) -> list[Thing]:
    return [changed if thing is things[index] or thing == things[index] else thing for thing in things]


def training_scenes(count: int, seed: int) -> list[Scene]:
    """The scenes of a training set; none of them holds a held-out combination."""
    rng = random.Random(seed)
    return [_mixed(rng) if rng.random() < _MIXED_SHARE else sample_scene(rng) for _ in range(count)]


def _mixed(rng: random.Random) -> Scene:
    return sample_scene(rng, count=2 if rng.random() < 0.4 else 3, kinds="several")


def draw_squares(scenes: list[Scene], side: int) -> Bytes:
    """Draw scenes in varied shapes and squash them to squares, as the model's preprocessing does."""
    from PIL import Image

    from clipsearch.demo.drawing import draw_scene

    squares = np.empty((len(scenes), side, side, 3), np.uint8)
    for square, scene in zip(squares, scenes, strict=True):
        width, height = _SHAPES[scene.seed % len(_SHAPES)]
        picture = draw_scene(scene, width, height, oversampling=1)
        square[...] = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
    return squares


def draw_marks(seed: int, count: int = 240) -> Marks:
    """Small printed digits and words, each as pixels and opacity, that training scatters over pictures.

    A model that has seen them learns to look past a date stamp or a printed number.
    """
    from PIL import Image, ImageDraw, ImageFont

    rng = random.Random(seed)
    marks = []
    for _ in range(count):
        text = rng.choice(
            (
                str(rng.randint(0, 9)),
                str(rng.randint(0, 9)),
                str(rng.randint(10, 2030)),
                "top",
                "left",
                "right",
                "bottom",
            )
        )
        font = ImageFont.load_default(rng.uniform(24, 60))
        left, top, right, bottom = font.getbbox(text, stroke_width=2)
        stamp = Image.new("RGBA", (round(right - left) + 4, round(bottom - top) + 4))
        inks = rng.choice(
            (("white", "black"), ("white", "black"), ("black", "white"), ("gold", "black"), ("red", "white"))
        )
        ImageDraw.Draw(stamp).text(
            (2 - left, 2 - top), text, font=font, fill=inks[0], stroke_width=2, stroke_fill=inks[1]
        )
        scale = rng.uniform(5, 15) / 60
        small = stamp.resize(
            (max(2, round(stamp.width * scale)), max(3, round(stamp.height * scale))), Image.Resampling.BOX
        )
        pixels = np.asarray(small)
        marks.append((pixels[..., :3].copy(), pixels[..., 3:].copy()))
    return marks


def stamped(pictures: Bytes, marks: Marks, rng: np.random.Generator) -> Bytes:
    """A copy of the pictures in which some bear one to three marks, anywhere."""
    pictures = pictures.copy()
    for picture in pictures:
        if rng.random() < 0.4:
            for _ in range(rng.integers(1, 4)):
                _stamp(picture, *marks[rng.integers(len(marks))], rng)
    return pictures


def paired(scenes: Codes, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """An order to look at pictures in: each is followed by one whose first thing has the same look, often elsewhere.

    Beside such a neighbour only the place, the time and the other things tell which caption belongs to which picture.
    """
    first = rng.permutation(len(scenes))[: len(scenes) // 2]
    looks = scenes[:, 2].astype(np.int64) * len(COLOURS) + scenes[:, 3]
    alike = {look: np.flatnonzero(looks == look) for look in np.unique(looks)}
    return np.stack([first, [rng.choice(alike[looks[row]]) for row in first]], axis=1).reshape(-1)


def vocabulary(lessons: Lessons) -> list[str]:
    """Every word of the captions, sorted."""
    return sorted({word for several in lessons.captions for text in several for word in words_in(text)})


def _stamp(picture: Bytes, ink: Bytes, opacity: Bytes, rng: np.random.Generator) -> None:
    """Print a mark somewhere on a picture, in place."""
    height, width = (min(mark, side) for mark, side in zip(ink.shape, picture.shape[:2], strict=False))
    top, left = rng.integers(len(picture) - height + 1), rng.integers(picture.shape[1] - width + 1)
    under = picture[top : top + height, left : left + width]
    share = opacity[:height, :width] / 255.0
    under[...] = under * (1 - share) + ink[:height, :width] * share
