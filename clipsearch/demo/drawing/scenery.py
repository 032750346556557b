"""Draws what fills a place: firs, cacti, towers, peaks, grass; all muted, lest they pass for things."""

from __future__ import annotations

from clipsearch.demo.drawing.palette import Rgb, fade, mix
from clipsearch.demo.drawing.sky import Landscape

WINDOW_LIGHT: Rgb = (255, 220, 120)


def fir(view: Landscape, x: float, base: float, tall: float, colour: Rgb) -> None:
    """A fir in three tiers."""
    wide = tall * 0.21 * view.height / view.width
    view.land(
        [
            (x - wide * 0.13, base),
            (x + wide * 0.13, base),
            (x + wide * 0.13, base - tall * 0.2),
            (x - wide * 0.13, base - tall * 0.2),
        ],
        mix(colour, (70, 44, 30), 0.6),
    )
    for tier in range(3):
        foot, reach = base - tall * (0.10 + tier * 0.26), wide * (1 - tier * 0.25)
        view.land([(x - reach, foot), (x, foot - tall * 0.42), (x + reach, foot)], colour)
        view.land(
            [(x, foot - tall * 0.42), (x + reach, foot), (x + reach * 0.2, foot)],
            mix(colour, (8, 24, 34), 0.25),
        )


def cactus(view: Landscape, x: float, base: float, tall: float) -> None:
    """A cactus with two arms."""
    colour = view.paint((82, 136, 92), 0.6)
    arm = tall * 0.3 * view.height / view.width
    view.streak([(x, base), (x, base - tall)], colour, tall * 0.2)
    for side, foot, tip in ((-1, 0.40, 0.78), (1, 0.52, 0.92)):
        view.streak(
            [
                (x, base - tall * foot),
                (x + side * arm, base - tall * foot),
                (x + side * arm, base - tall * tip),
            ],
            colour,
            tall * 0.14,
        )


def tower(view: Landscape, x: float, wide: float, top: float, foot: float, colour: Rgb) -> None:
    """A tower block, some of its windows lit at night."""
    view.land([(x, foot), (x, top), (x + wide, top), (x + wide, foot)], colour)
    view.land(
        [(x + wide * 0.86, foot), (x + wide * 0.86, top), (x + wide, top), (x + wide, foot)],
        mix(colour, (16, 18, 50), 0.25),
    )
    if view.rng.random() < 0.35:
        view.streak([(x + wide * 0.45, top), (x + wide * 0.45, top - 0.045)], colour, 0.007)
    night = view.time == "night"
    columns, y = 3 if wide < 0.13 else 4, top + 0.03
    while y < foot - 0.06:
        for column in range(columns):
            left = x + wide * (0.10 + column * 0.76 / columns)
            bright = night and view.rng.random() < 0.55
            pane = WINDOW_LIGHT if bright else mix(colour, (20, 24, 60) if night else (226, 240, 250), 0.45)
            view.land(
                [
                    (left, y),
                    (left + wide * 0.46 / columns, y),
                    (left + wide * 0.46 / columns, y + 0.022),
                    (left, y + 0.022),
                ],
                pane,
            )
        y += 0.042


def street_light(view: Landscape, x: float, horizon: float) -> None:
    """A street light, on at night."""
    pole = view.paint((74, 78, 92), 0.5)
    view.streak([(x, horizon + 0.07), (x, horizon - 0.15)], pole, 0.010)
    if view.time == "night":
        view.glow(x, horizon - 0.155, 0.09, WINDOW_LIGHT, 0.55)
    view.disc(x, horizon - 0.155, 0.017, WINDOW_LIGHT if view.time == "night" else (246, 246, 236))


def peak(view: Landscape, x: float, wide: float, base: float, tall: float, colour: Rgb) -> None:
    """A mountain with a shaded side and a cap of snow."""
    top = (x + wide * view.rng.uniform(0.42, 0.58), base - tall)
    view.land([(x, base), top, (x + wide, base)], colour)
    view.land(
        [top, (x + wide, base), (top[0] + wide * 0.08, base), (top[0] - wide * 0.03, base - tall * 0.5)],
        mix(colour, (30, 34, 80), 0.28),
    )
    left, right, snow = top[0] - x, x + wide - top[0], view.paint((248, 251, 255), 0.45)
    cap = [
        top,
        (top[0] + right * 0.36, base - tall * 0.64),
        (top[0] + right * 0.20, base - tall * 0.70),
        (top[0] + right * 0.08, base - tall * 0.56),
    ]
    view.land(
        [
            *cap,
            (top[0] - left * 0.10, base - tall * 0.68),
            (top[0] - left * 0.24, base - tall * 0.58),
            (top[0] - left * 0.36, base - tall * 0.64),
        ],
        snow,
    )


def tufts(view: Landscape, top: float, colour: Rgb, number: int) -> None:
    """Tufts of grass, larger towards the viewer."""
    for _ in range(number):
        x, y = view.rng.random(), view.rng.uniform(top, 0.995)
        tall = 0.010 + 0.022 * (y - top) / (1 - top)
        for lean in (-0.5, 0.0, 0.5):
            view.streak([(x, y), (x + lean * tall, y - tall)], colour, 0.005)


def grit(view: Landscape, top: float, colour: Rgb, number: int) -> None:
    """Grains and pebbles in the sand."""
    for _ in range(number):
        view.disc(view.rng.random(), view.rng.uniform(top, 0.995), view.rng.uniform(0.002, 0.004), fade(colour, 150))
