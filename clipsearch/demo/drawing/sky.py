"""Paints the sky by day and by night, and offers the landscape brush that skies and grounds share."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw

from clipsearch.demo.drawing.brush import arc
from clipsearch.demo.drawing.palette import Colour, Rgb, fade, lit, mix, vary

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Landscape:
    """A canvas in fractions of its width and height, with the hour and the chance that settle its details."""

    image: Image.Image
    canvas: ImageDraw.ImageDraw
    time: str
    rng: random.Random

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.image.height

    @property
    def unit(self) -> float:
        """The shorter side in pixels: what sizes of round things are fractions of."""
        return float(min(self.image.size))

    def paint(self, colour: Rgb, depth: float = 0.62) -> Rgb:
        """The colour, nudged by chance and darkened by night."""
        return lit(vary(colour, self.rng, 6), self.time, depth)

    def gradient(self, top: float, bottom: float, upper: Rgb, lower: Rgb) -> None:
        """Fill a full-width band with a vertical gradient."""
        first, last = round(top * self.height), round(bottom * self.height)
        rows = max(1, last - first)
        column = Image.new("RGB", (1, rows))
        column.putdata([mix(upper, lower, row / rows) for row in range(rows)])
        self.image.paste(column.resize((self.width, rows)), (0, first))

    def land(self, points: Sequence[Point], colour: Colour) -> None:
        """A polygon in fractions of width and height."""
        self.canvas.polygon([(x * self.width, y * self.height) for x, y in points], fill=colour)

    def streak(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """An open line; its width is a fraction of the shorter side."""
        pixels = [(x * self.width, y * self.height) for x, y in points]
        self.canvas.line(pixels, fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def disc(self, x: float, y: float, radius: float, colour: Colour, *, flat: float = 1.0) -> None:
        """A circle around (x, y); `flat` below one presses it into an ellipse."""
        across, up = radius * self.unit, radius * self.unit * flat
        x, y = x * self.width, y * self.height
        self.canvas.ellipse((x - across, y - up, x + across, y + up), fill=colour)

    def glow(self, x: float, y: float, radius: float, colour: Rgb, strength: float, *, flat: float = 1.0) -> None:
        """A soft light (or, in a dark colour, a soft shadow) that fades from its middle outwards."""
        across, up = max(2, round(radius * self.unit)), max(2, round(radius * self.unit * flat))
        mask = _falloff(round(strength * 20)).resize((2 * across, 2 * up))
        self.image.paste(colour, (round(x * self.width) - across, round(y * self.height) - up), mask)

    def hills(self, level: float, swing: float, colour: Colour, *, waves: float = 1.4) -> None:
        """A rolling line of land from the left edge to the right, filled down to the foot of the picture."""
        first, second = self.rng.uniform(0, 6.3), self.rng.uniform(0, 6.3)
        line = []
        for step in range(33):
            x = step / 32
            wave = math.sin(x * 6.3 * waves + first) + 0.5 * math.sin(x * 6.3 * waves * 2.1 + second)
            line.append((x, level + swing * wave / 1.5))
        self.land([(0, 1), *line, (1, 1)], colour)


@cache
def _falloff(strength: int) -> Image.Image:
    return Image.radial_gradient("L").point(
        [round(255 * strength / 20 * max(0.0, 1 - level / 180) ** 1.6) for level in range(256)]
    )


def paint_sky(view: Landscape, horizon: float) -> None:
    """Fill everything above the horizon: sun and clouds by day, moon and stars by night."""
    if view.time == "day":
        upper, lower = vary((84, 168, 234), view.rng, 14), vary((214, 238, 250), view.rng, 6)
        view.gradient(0, horizon + 0.02, upper, lower)
        _sun(view)
        for _ in range(view.rng.randint(2, 4)):
            _cloud(
                view,
                view.rng.random(),
                view.rng.uniform(0.06, max(0.10, horizon - 0.22)),
                view.rng.uniform(0.04, 0.075),
            )
    else:
        upper, lower = vary((9, 12, 40), view.rng, 5), vary((54, 62, 122), view.rng, 10)
        view.gradient(0, horizon + 0.02, upper, lower)
        _stars(view, horizon)
        _moon(view)


def _sun(view: Landscape) -> None:
    x, y = (
        view.rng.choice((view.rng.uniform(0.08, 0.24), view.rng.uniform(0.76, 0.92))),
        view.rng.uniform(0.10, 0.18),
    )
    view.glow(x, y, 0.24, (255, 246, 190), 0.85)
    view.disc(x, y, 0.072, (255, 232, 120))
    view.disc(x, y, 0.058, (255, 244, 170))


def _cloud(view: Landscape, x: float, y: float, size: float) -> None:
    shape = (
        (0, 0, 1.0),
        (-1.15, 0.25, 0.72),
        (1.15, 0.2, 0.78),
        (-0.5, -0.35, 0.8),
        (0.55, -0.4, 0.82),
        (2.0, 0.45, 0.45),
    )
    across, up = view.unit / view.width, view.unit / view.height
    for shift, colour in ((0.22, (206, 224, 240, 210)), (0.0, (255, 255, 255, 235))):
        for dx, dy, radius in shape:
            view.disc(x + dx * size * across, y + (dy + shift) * size * up, radius * size, colour, flat=0.8)


def _stars(view: Landscape, horizon: float) -> None:
    for _ in range(view.rng.randint(34, 60)):
        x, y = view.rng.random(), view.rng.random() ** 1.2 * (horizon - 0.03)
        glow = view.rng.choice((150, 190, 235, 255))
        view.disc(x, y, view.rng.choice((0.0022, 0.003, 0.0045)), (255, 252, 226, glow))
    for _ in range(view.rng.randint(2, 5)):
        x, y, reach = view.rng.random(), view.rng.uniform(0.03, horizon * 0.7), view.rng.uniform(0.010, 0.018)
        tall = reach * view.unit / view.height
        wide = reach * view.unit / view.width
        view.land([(x, y - tall), (x + wide * 0.2, y), (x, y + tall), (x - wide * 0.2, y)], (255, 255, 240, 230))
        view.land([(x - wide, y), (x, y + tall * 0.2), (x + wide, y), (x, y - tall * 0.2)], (255, 255, 240, 230))


def _moon(view: Landscape) -> None:
    x, y = (
        view.rng.choice((view.rng.uniform(0.08, 0.24), view.rng.uniform(0.76, 0.92))),
        view.rng.uniform(0.11, 0.18),
    )
    view.glow(x, y, 0.26, (226, 230, 255), 0.5)
    if view.rng.random() < 0.5:
        radius = 0.068 * view.unit
        outer = arc(x * view.width, y * view.height, radius, radius, 50, 310, 24)
        inner = arc(x * view.width + radius * 0.62, y * view.height, radius * 0.80, radius * 0.80, 285, 75, 24)
        view.canvas.polygon([*outer, *inner], fill=(250, 246, 222))
        return
    view.disc(x, y, 0.066, (250, 246, 222))
    for dx, dy, radius in ((-0.022, -0.012, 0.014), (0.020, 0.018, 0.018), (0.012, -0.030, 0.009)):
        view.disc(
            x + dx * view.unit / view.width,
            y + dy * view.unit / view.height,
            radius,
            fade((222, 216, 190), 200),
        )
