"""Mixes the colours of the picture-book; it alone knows what "red" or "night" look like in numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Rgb = tuple[int, int, int]

PAINTS: Final[dict[str, Rgb]] = {
    "red": (216, 38, 44),
    "orange": (247, 133, 24),
    "yellow": (253, 216, 48),
    "green": (48, 160, 72),
    "blue": (38, 98, 214),
    "purple": (130, 62, 184),
    "pink": (250, 140, 190),
    "brown": (132, 82, 46),
    "black": (36, 36, 42),
    "white": (250, 249, 244),
}
INK: Final[Rgb] = (38, 32, 44)
CREAM: Final[Rgb] = (250, 240, 214)
WOOD: Final[Rgb] = (160, 112, 70)
STEEL: Final[Rgb] = (176, 184, 196)
GLASS: Final[Rgb] = (190, 226, 240)
NAVY: Final[Rgb] = (16, 22, 58)
GLOSS: Final[Colour] = (255, 255, 255, 110)
SHADE: Final[Colour] = (20, 14, 40, 60)


@dataclass(frozen=True, slots=True)
class Palette:
    """The paints for one object: its own colour in three tones, its outline, and neutral materials."""

    base: Rgb
    light: Rgb
    dark: Rgb
    line: Rgb
    cream: Rgb
    wood: Rgb
    steel: Rgb
    glass: Rgb
    ink: Rgb
    night: bool


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Blend two colours; `share` is how much of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def vary(colour: Rgb, rng: random.Random, reach: int = 8) -> Rgb:
    """The colour, nudged a little, so that no two pictures share one paint pot."""
    red, green, blue = (min(255, max(0, part + rng.randint(-reach, reach))) for part in colour)
    return red, green, blue


def lit(colour: Rgb, time: str, depth: float = 0.62) -> Rgb:
    """The colour of the land at this time of day."""
    return colour if time == "day" else mix(colour, NAVY, depth)


def fade(colour: Rgb, opacity: int) -> Colour:
    """The colour with an opacity from 0 to 255."""
    return (*colour, opacity)


def palette_for(colour: str, time: str, rng: random.Random) -> Palette:
    """The paints of an object of this colour at this time."""
    base = vary(PAINTS[colour], rng, 7)
    night = time == "night"
    if night:
        # Things keep most of their colour at night, as if a lantern stood near: they are the subject.
        base = mix(base, NAVY, 0.10)
    dim = 0.16 if night else 0.0
    return Palette(
        base=base,
        light=mix(base, (255, 255, 255), 0.22 if colour == "black" else 0.38),
        dark=mix(base, (96, 104, 130), 0.28) if colour == "white" else mix(base, (24, 10, 36), 0.30),
        line=_outline(colour, base, night),
        cream=mix(CREAM, NAVY, dim),
        wood=mix(WOOD, NAVY, dim),
        steel=mix(STEEL, NAVY, dim),
        glass=(255, 226, 130) if night else GLASS,
        ink=INK,
        night=night,
    )


def _outline(colour: str, base: Rgb, night: bool) -> Rgb:
    if colour == "black":
        # A dark line around a black thing would drown it in the night, so it gets a rim of light.
        return (150, 156, 178) if night else (12, 12, 16)
    if colour == "white":
        return (84, 90, 118)
    return mix(base, INK, 0.74)
