"""Paints the six places under a sky; it alone knows where in each of them a thing can stand, float or fly."""

from __future__ import annotations

from collections.abc import Callable

from clipsearch.demo.drawing.palette import fade, mix
from clipsearch.demo.drawing.scenery import cactus, fir, grit, peak, street_light, tower, tufts
from clipsearch.demo.drawing.sky import Landscape, paint_sky


def paint_place(view: Landscape, place: str) -> None:
    """Paint the sky and the ground of a place over the whole canvas."""
    _PAINTERS[place](view)


def sea(view: Landscape) -> None:
    """Open water with a strip of beach in front."""
    horizon = view.rng.uniform(0.42, 0.50)
    paint_sky(view, horizon)
    shore = view.rng.uniform(0.75, 0.80)
    far, near = view.paint((38, 128, 190), 0.66), view.paint((70, 184, 206), 0.62)
    view.gradient(horizon, shore + 0.06, far, near)
    if view.rng.random() < 0.5:
        at, wide = view.rng.uniform(0.1, 0.9), view.rng.uniform(0.10, 0.2)
        island = [
            (at - wide, horizon),
            (at - wide * 0.5, horizon - 0.035),
            (at, horizon - 0.055),
            (at + wide * 0.6, horizon - 0.03),
        ]
        view.land([*island, (at + wide, horizon)], view.paint((96, 140, 130), 0.6))
    foam = (235, 248, 252) if view.time == "day" else (150, 170, 220)
    for _ in range(26):
        y = horizon + 0.02 + view.rng.random() ** 0.8 * (shore - horizon - 0.05)
        x, reach = view.rng.uniform(-0.05, 1.0), 0.02 + 0.07 * (y - horizon) / (shore - horizon)
        crest = [(x, y), (x + reach * 0.3, y - 0.008), (x + reach * 0.7, y - 0.008), (x + reach, y)]
        view.streak(crest, fade(foam, view.rng.randint(90, 190)), 0.006)
    view.hills(shore - 0.012, 0.012, fade(foam, 220), waves=0.9)
    sand = view.paint((240, 214, 156), 0.55)
    view.hills(shore + 0.008, 0.012, sand, waves=0.9)
    grit(view, shore + 0.04, mix(sand, (120, 90, 60), 0.4), 40)
    for _ in range(view.rng.randint(1, 3)):
        x, y = view.rng.random(), view.rng.uniform(shore + 0.06, 0.98)
        view.disc(x, y, 0.014, view.paint((250, 226, 206), 0.4), flat=0.7)


def forest(view: Landscape) -> None:
    """Dark firs in two rows behind a mossy clearing."""
    horizon = view.rng.uniform(0.52, 0.60)
    paint_sky(view, horizon)
    view.hills(horizon - 0.20, 0.03, view.paint((104, 150, 128), 0.6))
    far, near = view.paint((60, 116, 92), 0.66), view.paint((32, 84, 62), 0.68)
    for row, (colour, base, tall, gap) in enumerate(
        ((far, horizon + 0.01, 0.36, 0.075), (near, horizon + 0.05, 0.46, 0.125))
    ):
        x = view.rng.uniform(-0.1, 0.0)
        while x < 1.08:
            fir(view, x, base + view.rng.uniform(-0.01, 0.02), tall * view.rng.uniform(0.7, 1.08), colour)
            x += gap * view.rng.uniform(0.65, 1.3) * (1 + row * 0.2)
    moss = view.paint((84, 124, 62), 0.6)
    view.gradient(horizon + 0.045, 1, mix(moss, (20, 60, 36), 0.35), moss)
    tufts(view, horizon + 0.07, mix(moss, (16, 50, 30), 0.45), 46)
    for _ in range(5):
        view.disc(
            view.rng.random(),
            view.rng.uniform(horizon + 0.10, 0.98),
            view.rng.uniform(0.008, 0.016),
            view.paint((126, 92, 60), 0.5),
            flat=0.5,
        )


def desert(view: Landscape) -> None:
    """Dunes, cacti far off, and rippled sand."""
    horizon = view.rng.uniform(0.50, 0.58)
    paint_sky(view, horizon)
    rock = view.paint((198, 122, 84), 0.6)
    at = view.rng.uniform(0.05, 0.75)
    mesa = [
        (at, horizon + 0.03),
        (at + 0.03, horizon - 0.12),
        (at + 0.19, horizon - 0.12),
        (at + 0.23, horizon + 0.03),
    ]
    view.land(mesa, rock)
    view.land(
        [
            (at + 0.14, horizon - 0.12),
            (at + 0.19, horizon - 0.12),
            (at + 0.23, horizon + 0.03),
            (at + 0.17, horizon + 0.03),
        ],
        mix(rock, (90, 40, 40), 0.3),
    )
    view.land([(0, horizon), (1, horizon), (1, 1), (0, 1)], view.paint((236, 186, 116), 0.58))
    view.hills(horizon - 0.005, 0.035, view.paint((236, 186, 116), 0.58), waves=0.8)
    for _ in range(view.rng.randint(2, 3)):
        cactus(
            view,
            view.rng.uniform(0.03, 0.97),
            horizon + view.rng.uniform(0.02, 0.06),
            view.rng.uniform(0.09, 0.14),
        )
    sand = view.paint((244, 200, 130), 0.56)
    view.hills(horizon + 0.06, 0.03, sand, waves=0.6)
    view.hills(
        horizon + 0.20,
        0.03,
        mix(sand, (214, 150, 84) if view.time == "day" else (10, 10, 40), 0.22),
        waves=0.7,
    )
    ripple = fade(mix(sand, (170, 106, 60) if view.time == "day" else (16, 14, 40), 0.45), 150)
    for _ in range(24):
        x, y, reach = view.rng.random(), view.rng.uniform(horizon + 0.13, 0.99), view.rng.uniform(0.04, 0.10)
        view.streak([(x, y), (x + reach * 0.5, y - 0.007), (x + reach, y + 0.002)], ripple, 0.005)


def city(view: Landscape) -> None:
    """Towers with windows behind a street with a kerb and lane marks."""
    horizon = view.rng.uniform(0.62, 0.67)
    paint_sky(view, horizon)
    for tones, top, wide in (
        (((150, 170, 196), (166, 178, 204)), 0.30, 0.11),
        (((112, 124, 150), (138, 128, 144), (124, 140, 156)), 0.16, 0.15),
    ):
        x = view.rng.uniform(-0.08, 0.0)
        while x < 1:
            reach = wide * view.rng.uniform(0.75, 1.3)
            colour = view.paint(view.rng.choice(tones), 0.66)
            tower(view, x, reach, horizon - view.rng.uniform(top * 0.8, top * 1.55), horizon + 0.02, colour)
            x += reach + view.rng.choice((0.0, 0.0, 0.012, 0.03))
    view.gradient(horizon, horizon + 0.07, view.paint((196, 196, 200), 0.55), view.paint((178, 178, 186), 0.58))
    view.land(
        [(0, horizon + 0.065), (1, horizon + 0.065), (1, horizon + 0.085), (0, horizon + 0.085)],
        view.paint((226, 226, 226), 0.5),
    )
    view.gradient(horizon + 0.085, 1, view.paint((96, 98, 110), 0.6), view.paint((122, 124, 136), 0.6))
    start = view.rng.uniform(-0.12, 0.0)
    for step in range(7):
        left = start + step * 0.19
        view.land(
            [(left + 0.012, 0.885), (left + 0.105, 0.885), (left + 0.095, 0.908), (left, 0.908)],
            view.paint((240, 236, 220), 0.35),
        )
    for x in (view.rng.uniform(0.02, 0.12), view.rng.uniform(0.88, 0.98)):
        street_light(view, x, horizon)


def mountain(view: Landscape) -> None:
    """Snowy peaks above a field of snow."""
    horizon = view.rng.uniform(0.56, 0.62)
    paint_sky(view, horizon)
    view.land([(0, horizon), (1, horizon), (1, 1), (0, 1)], view.paint((170, 188, 214), 0.62))
    for base, tall, colour in (
        (horizon + 0.02, 0.30, (150, 168, 200)),
        (horizon + 0.06, 0.40, (108, 126, 162)),
    ):
        at = view.rng.uniform(-0.12, 0.05)
        while at < 1.0:
            wide = view.rng.uniform(0.36, 0.52)
            peak(view, at, wide, base, tall * view.rng.uniform(0.7, 1.05), view.paint(colour, 0.62))
            at += wide * view.rng.uniform(0.55, 0.8)
    for _ in range(view.rng.randint(4, 8)):
        fir(
            view,
            view.rng.random(),
            horizon + 0.075,
            view.rng.uniform(0.06, 0.10),
            view.paint((58, 96, 96), 0.64),
        )
    snow = view.paint((240, 246, 252), 0.52)
    view.hills(horizon + 0.06, 0.018, snow, waves=0.8)
    view.hills(
        horizon + 0.18,
        0.03,
        mix(snow, (150, 180, 224) if view.time == "day" else (20, 30, 80), 0.2),
        waves=0.6,
    )
    view.hills(
        horizon + 0.29,
        0.02,
        mix(snow, (255, 255, 255) if view.time == "day" else (40, 50, 110), 0.2),
        waves=0.9,
    )
    sparkle = (255, 255, 255) if view.time == "day" else (190, 204, 246)
    for _ in range(42):
        view.disc(view.rng.random(), view.rng.random(), view.rng.uniform(0.003, 0.007), fade(sparkle, 220))


def meadow(view: Landscape) -> None:
    """Rolling green hills with a fence and tiny blossoms."""
    horizon = view.rng.uniform(0.50, 0.58)
    paint_sky(view, horizon)
    view.land([(0, horizon), (1, horizon), (1, 1), (0, 1)], view.paint((150, 204, 140), 0.6))
    view.hills(horizon - 0.03, 0.05, view.paint((150, 204, 140), 0.6), waves=0.9)
    view.hills(horizon + 0.015, 0.035, view.paint((124, 192, 100), 0.6), waves=1.1)
    wood = view.paint((214, 190, 150), 0.5)
    if view.rng.random() < 0.6:
        for y in (horizon + 0.035, horizon + 0.065):
            view.streak([(0, y), (1, y)], wood, 0.008)
        for step in range(12):
            x = 0.04 + step * 0.085
            view.streak([(x, horizon + 0.012), (x, horizon + 0.10)], wood, 0.012)
    grass = view.paint((128, 202, 82), 0.58)
    view.hills(horizon + 0.09, 0.02, grass, waves=0.8)
    view.hills(
        horizon + 0.21,
        0.025,
        mix(grass, (60, 150, 60) if view.time == "day" else (8, 20, 40), 0.22),
        waves=0.7,
    )
    tufts(view, horizon + 0.12, mix(grass, (40, 120, 50) if view.time == "day" else (10, 24, 44), 0.5), 54)
    for _ in range(26):
        x, y = view.rng.random(), view.rng.uniform(horizon + 0.13, 0.99)
        petal = view.paint(view.rng.choice(((255, 255, 250), (255, 240, 170))), 0.35)
        view.disc(x, y, 0.0075, petal)
        view.disc(x, y, 0.003, view.paint((240, 190, 70), 0.35))


_PAINTERS: dict[str, Callable[[Landscape], None]] = {
    "sea": sea,
    "forest": forest,
    "desert": desert,
    "city": city,
    "mountain": mountain,
    "meadow": meadow,
}
