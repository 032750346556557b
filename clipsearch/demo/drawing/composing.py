"""Draws a whole scene, the place and each thing with its shadow; it alone decides where things go."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw

from clipsearch.demo.drawing import animals, household, plants, playthings, vehicles
from clipsearch.demo.drawing.brush import Brush
from clipsearch.demo.drawing.palette import Palette, fade, palette_for
from clipsearch.demo.drawing.places import paint_place
from clipsearch.demo.drawing.sky import Landscape
from clipsearch.demo.scenes import Scene, Thing

_ROOMS = (animals, household, plants, playthings, vehicles)
_FLYING: Final = frozenset({"airplane", "balloon", "bird", "butterfly", "kite", "rocket"})
_FLOATING: Final = frozenset({"boat", "fish"})
_TURNABLE: Final = frozenset(
    {
        "airplane",
        "bicycle",
        "bird",
        "boat",
        "car",
        "cat",
        "chair",
        "cup",
        "dog",
        "fish",
        "guitar",
        "kite",
        "teapot",
        "train",
    }
)
# Where in its square a thing touches the ground, if not at the lower edge.
_FOOT: Final = {"hat": 0.895, "bicycle": 0.95, "book": 0.935, "ball": 0.965}
_SIZE_FACTOR: Final = {"small": 0.64, "medium": 1.0, "large": 1.42}
_BASE_SIZE: Final = {1: 0.48, 2: 0.40, 3: 0.325}

Spot = tuple[float, float]


def draw_scene(scene: Scene, width: int, height: int, *, oversampling: int = 2) -> Image.Image:
    """Draw the scene as an RGB picture of this size; the same scene gives the same picture at any size."""
    rng = random.Random(scene.seed)
    image = Image.new("RGB", (width * oversampling, height * oversampling))
    view = Landscape(image, ImageDraw.Draw(image, "RGBA"), scene.time, rng)
    paint_place(view, scene.place)
    for thing, (x, y), size in _laid_out(scene, image.size, rng):
        _draw_thing(view, scene, thing, (x, y), size)
    return image.resize((width, height), Image.Resampling.LANCZOS) if oversampling > 1 else image


def painter_of(name: str) -> Callable[[Brush], None]:
    """The function that draws this kind of object."""
    for room in _ROOMS:
        painter: Callable[[Brush], None] | None = getattr(room, name, None)
        if painter is not None:
            return painter
    raise KeyError(name)


def _laid_out(scene: Scene, pixels: tuple[int, int], rng: random.Random) -> list[tuple[Thing, Spot, float]]:
    """For each thing the middle of its square and the length of its side, in pixels; the farther first."""
    width, height = pixels
    count = len(scene.things)
    reach = min(width, height * 1.25)
    slots = [(slot + 0.5) / count for slot in range(count)]
    rng.shuffle(slots)
    placed = []
    for thing, slot in zip(scene.things, slots, strict=True):
        side = _BASE_SIZE[count] * _SIZE_FACTOR[thing.size] * rng.uniform(0.92, 1.08) * reach
        side = min(side, height * 0.74, width * (0.74 if count == 1 else 0.98 / count))
        loose = max(0.0, (width / count - side) / 2)
        wander = 0.30 * width if count == 1 else loose
        x = slot * width + rng.uniform(-1, 1) * min(wander, max(0.0, width / 2 - side / 2) if count == 1 else loose)
        x = min(max(x, side * 0.52), width - side * 0.52)
        placed.append((thing, (x, _middle(thing, scene.place, side / height, rng) * height), side))
    return sorted(placed, key=lambda entry: entry[1][1] + entry[2] / 2)


def _middle(thing: Thing, place: str, side: float, rng: random.Random) -> float:
    """How far down the picture the middle of a thing is, as a fraction of its height."""
    if thing.object in _FLYING:
        return min(max(rng.uniform(0.30, 0.52), side / 2 + 0.03), 0.97 - side / 2)
    afloat = thing.object in _FLOATING and place == "sea"
    foot = rng.uniform(0.63, 0.74) if afloat else rng.uniform(0.84, 0.955)
    return max(foot - side / 2, side / 2 + 0.02)


def _draw_thing(view: Landscape, scene: Scene, thing: Thing, middle: Spot, side: float) -> None:
    rng = view.rng
    x, y = middle
    if scene.time == "night":
        _halo(view, x, y, side)
    if thing.object in _FLOATING and scene.place != "sea":
        _pond(view, x, y + side * 0.45, side)
    elif thing.object not in _FLYING and thing.object not in _FLOATING:
        _shadow(view, x, y + side * (_FOOT.get(thing.object, 0.985) - 0.5), side)
    palette = palette_for(thing.colour, scene.time, rng)
    brush = Brush(
        view.canvas,
        palette,
        (x - side / 2, y - side / 2),
        side,
        mirrored=thing.object in _TURNABLE and rng.random() < 0.5,
        tilt=rng.uniform(-9, 5) if thing.object in _FLYING else rng.uniform(-2.5, 2.5),
    )
    if thing.object == "kite":
        _string(view, (x, y), side)
    painter_of(thing.object)(brush)
    if thing.object in _FLOATING and scene.place == "sea":
        _ripples(view, x, y + side * 0.47, side, palette)


def _ellipse(view: Landscape, x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int, int]) -> None:
    view.canvas.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)


def _halo(view: Landscape, x: float, y: float, side: float) -> None:
    view.glow(x / view.width, y / view.height, side * 1.0 / view.unit, (206, 214, 255), 0.42)


def _shadow(view: Landscape, x: float, y: float, side: float) -> None:
    view.glow(x / view.width, y / view.height, side * 0.72 / view.unit, (16, 14, 40), 0.75, flat=0.17)


def _pond(view: Landscape, x: float, y: float, side: float) -> None:
    water = (168, 218, 232) if view.time == "day" else (74, 92, 150)
    _ellipse(view, x, y, side * 0.62, side * 0.125, fade(view.paint((120, 110, 90), 0.6), 255))  # type: ignore[arg-type]
    _ellipse(view, x, y - side * 0.008, side * 0.595, side * 0.108, (*water, 255))
    for shift in (-0.3, 0.02, 0.28):
        _ellipse(view, x + side * shift, y + side * 0.04, side * 0.13, side * 0.008, (255, 255, 255, 150))


def _ripples(view: Landscape, x: float, y: float, side: float, palette: Palette) -> None:
    foam = (240, 250, 252, 190) if view.time == "day" else (176, 192, 236, 170)
    for step in range(3):
        reach = side * (0.50 - step * 0.07)
        _ellipse(view, x, y + side * (0.012 + step * 0.028), reach, side * 0.013, foam)


def _string(view: Landscape, middle: Spot, side: float) -> None:
    x, y = middle
    colour = (90, 84, 96, 200) if view.time == "day" else (196, 200, 226, 200)
    end = (x - side * 0.2, min(view.height * 1.0, y + side * 1.2))
    view.canvas.line(
        [(x, y), (x - side * 0.02, y + side * 0.7), end],
        fill=colour,
        width=max(1, round(side * 0.008)),
        joint="curve",
    )
