"""Draws outlined, tilted, mirrored shapes in unit coordinates; it alone turns the units into pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from PIL import ImageDraw

from clipsearch.demo.drawing.palette import Colour, Palette

Point = tuple[float, float]

_CIRCLE = [(math.cos(2 * math.pi * step / 36), math.sin(2 * math.pi * step / 36)) for step in range(36)]


class Brush:
    """Draws one object inside a square: (0, 0) is its upper left corner, (1, 1) its lower right."""

    def __init__(
        self,
        canvas: ImageDraw.ImageDraw,
        palette: Palette,
        corner: Point,
        size: float,
        *,
        mirrored: bool = False,
        tilt: float = 0.0,
    ) -> None:
        self.palette = palette
        self._canvas = canvas
        self._corner = corner
        self._size = size
        self._sign = -1.0 if mirrored else 1.0
        self._cos, self._sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))

    def shape(self, outline: Sequence[Point], fill: Colour | None, *, line: Colour | None = None) -> None:
        """A polygon with an outline; `line` replaces the palette's."""
        pixels = [self._pixel(point) for point in outline]
        if fill is not None:
            self._canvas.polygon(pixels, fill=fill)
        self._stroke([*pixels, pixels[0], pixels[1]], self.palette.line if line is None else line, 0.016)

    def patch(self, outline: Sequence[Point], fill: Colour) -> None:
        """A polygon without an outline, for shades and highlights (a fourth number: opacity)."""
        self._canvas.polygon([self._pixel(point) for point in outline], fill=fill)

    def line(self, outline: Sequence[Point], colour: Colour, width: float = 0.016) -> None:
        """An open line with round ends, `width` in units."""
        self._stroke([self._pixel(point) for point in outline], colour, width, ends=True)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour | None) -> None:
        """An ellipse around (x, y) with an outline."""
        self.shape(ring(x, y, rx, ry), fill)

    def spot(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """An ellipse without an outline."""
        self.patch(ring(x, y, rx, ry), fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour, *, soft: float = 0.0) -> None:
        """A rectangle with an outline, its corners rounded by `soft`."""
        self.shape(rectangle(left, top, right, bottom, soft), fill)

    def _pixel(self, point: Point) -> Point:
        x, y = (point[0] - 0.5) * self._sign, point[1] - 0.5
        # Tilting turns with the mirror, so that a bird that climbs still climbs when it flies the other way.
        turn = self._sin * self._sign
        return (
            self._corner[0] + (x * self._cos - y * turn + 0.5) * self._size,
            self._corner[1] + (x * turn + y * self._cos + 0.5) * self._size,
        )

    def _stroke(self, pixels: Sequence[Point], colour: Colour, width: float, *, ends: bool = False) -> None:
        thick = max(1, round(width * self._size))
        self._canvas.line(list(pixels), fill=colour, width=thick, joint="curve")
        if ends and thick > 2:
            radius = thick / 2
            for x, y in (pixels[0], pixels[-1]):
                self._canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


@cache
def points(text: str) -> tuple[Point, ...]:
    """Points written as in an SVG path, `".5,.1 .6,.2"`: a drawing's numbers in a form that can be read."""
    pairs = (pair.split(",") for pair in text.split())
    return tuple((float(x), float(y)) for x, y in pairs)


def ring(x: float, y: float, rx: float, ry: float) -> list[Point]:
    """The points of an ellipse."""
    return [(x + rx * cosine, y + ry * sine) for cosine, sine in _CIRCLE]


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 14) -> list[Point]:
    """The points of an arc from `start` to `end` degrees; 0 is to the right, 90 is down."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


def rectangle(left: float, top: float, right: float, bottom: float, soft: float = 0.0) -> list[Point]:
    """The points of a rectangle, its corners rounded by `soft`."""
    if not soft:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    return [
        *arc(right - soft, top + soft, soft, soft, -90, 0, 5),
        *arc(right - soft, bottom - soft, soft, soft, 0, 90, 5),
        *arc(left + soft, bottom - soft, soft, soft, 90, 180, 5),
        *arc(left + soft, top + soft, soft, soft, 180, 270, 5),
    ]


def smooth(outline: Sequence[Point], *, closed: bool = True, steps: int = 6) -> list[Point]:
    """A rounded line through all the points (Catmull-Rom), closed into a loop or left open."""
    count = len(outline)
    rounded: list[Point] = []
    for index in range(count if closed else count - 1):
        if closed:
            a, b, c, d = (outline[(index + shift) % count] for shift in (-1, 0, 1, 2))
        else:
            a, b, c, d = (outline[min(max(index + shift, 0), count - 1)] for shift in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            rounded.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    if not closed:
        rounded.append(outline[-1])
    return rounded


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
