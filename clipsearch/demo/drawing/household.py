"""Draws what a home holds: book, chair, clock, cup, lamp, teapot, umbrella; knows nothing of the scene."""

from __future__ import annotations

import math

from clipsearch.demo.drawing.brush import Brush, arc, points, ring, smooth
from clipsearch.demo.drawing.palette import GLOSS, SHADE, mix


def book(brush: Brush) -> None:
    """An open book lying towards you, its cover showing around the pages."""
    paint = brush.palette
    cover = points(".01,.3 .47,.36 .53,.36 .99,.3 .99,.84 .54,.93 .46,.93 .01,.84")
    brush.shape(cover, paint.base)
    for side in (-1, 1):
        page = points("0,.34 .14,.255 .32,.235 .425,.265 .425,.755 .3,.74 .14,.76 0,.84")
        brush.shape([(0.5 + side * x, y) for x, y in page], paint.cream)
        brush.patch([(0.5, 0.36), (0.5 + side * 0.07, 0.30), (0.5 + side * 0.07, 0.79), (0.5, 0.83)], SHADE)
        for row in range(4):
            y = 0.36 + row * 0.095
            start, end = (0.5 + side * 0.11, y + 0.005), (0.5 + side * 0.37, y - 0.025)
            brush.line([start, end], (150, 140, 134), 0.014)
    brush.patch(points(".02,.775 .075,.765 .075,.835 .02,.825"), paint.dark)
    brush.patch(points(".98,.775 .925,.765 .925,.835 .98,.825"), paint.dark)
    brush.patch(points(".04,.8 .46,.875 .54,.875 .96,.8 .96,.83 .54,.91 .46,.91 .04,.83"), paint.base)
    brush.shape(points(".58,.27 .65,.255 .65,.99 .615,.93 .58,.99"), paint.base)


def chair(brush: Brush) -> None:
    """A wooden chair with a slatted back, seen from the side front."""
    paint = brush.palette
    for left, top in ((0.27, 0.56), (0.72, 0.54)):
        brush.box(left, top, left + 0.07, 0.90, paint.dark)
    brush.box(0.16, 0.03, 0.245, 0.985, paint.base, soft=0.02)
    brush.box(0.62, 0.03, 0.705, 0.60, paint.base, soft=0.02)
    for top in (0.08, 0.22, 0.36):
        brush.box(0.22, top, 0.64, top + 0.085, paint.light, soft=0.02)
    brush.shape(points(".16,.53 .7,.53 .9,.63 .34,.63"), paint.light)
    brush.shape(points(".34,.63 .9,.63 .9,.7 .34,.7"), paint.base)
    brush.shape(points(".16,.53 .34,.63 .34,.7 .16,.6"), paint.dark)
    for left in (0.345, 0.815):
        brush.box(left, 0.70, left + 0.08, 0.985, paint.base)
    brush.box(0.425, 0.80, 0.815, 0.84, paint.dark)


def clock(brush: Brush) -> None:
    """An alarm clock with two bells."""
    paint = brush.palette
    for side in (-1, 1):
        brush.line([(0.5 + side * 0.20, 0.82), (0.5 + side * 0.31, 0.97)], paint.line, 0.085)
        brush.line([(0.5 + side * 0.20, 0.82), (0.5 + side * 0.305, 0.965)], paint.base, 0.055)
        bell = [
            (
                0.5 + side * (0.25 + 0.15 * math.cos(math.radians(angle)) * 0.95),
                0.175 - 0.125 * math.sin(math.radians(angle)),
            )
            for angle in range(-25, 206, 21)
        ]
        brush.shape(bell, paint.dark)
    brush.line([(0.5, 0.20), (0.5, 0.07)], paint.steel, 0.03)
    brush.spot(0.5, 0.055, 0.045, 0.032, paint.steel)
    brush.oval(0.5, 0.555, 0.385, 0.385, paint.base)
    brush.patch([*arc(0.5, 0.555, 0.365, 0.365, 20, 130), *reversed(arc(0.5, 0.555, 0.31, 0.31, 20, 130))], paint.dark)
    brush.patch([*arc(0.5, 0.555, 0.365, 0.365, 190, 280), *reversed(arc(0.5, 0.555, 0.33, 0.33, 190, 280))], GLOSS)
    brush.oval(0.5, 0.555, 0.275, 0.275, (255, 252, 240))
    for hour in range(12):
        angle = math.radians(hour * 30)
        x, y = math.cos(angle), math.sin(angle)
        inner = 0.205 if hour % 3 == 0 else 0.228
        brush.line([(0.5 + x * inner, 0.555 + y * inner), (0.5 + x * 0.248, 0.555 + y * 0.248)], (60, 54, 66), 0.018)
    brush.line([(0.5, 0.555), (0.5, 0.365)], (40, 36, 48), 0.028)
    brush.line([(0.5, 0.555), (0.635, 0.62)], (40, 36, 48), 0.034)
    brush.spot(0.5, 0.555, 0.03, 0.03, paint.base)


def cup(brush: Brush) -> None:
    """A straight mug with a handle and a wisp of steam."""
    paint = brush.palette
    for x in (0.30, 0.45):
        steam = smooth([(x, 0.22), (x + 0.05, 0.15), (x - 0.03, 0.09), (x + 0.03, 0.01)], closed=False)
        brush.line(steam, (236, 238, 246), 0.034)
    handle = ring(0.74, 0.60, 0.175, 0.185)
    brush.line([*handle, *handle[:2]], paint.line, 0.115)
    brush.line([*handle, *handle[:2]], paint.base, 0.080)
    brush.shape(
        [(0.08, 0.32), (0.70, 0.32), (0.685, 0.88), *arc(0.39, 0.88, 0.295, 0.09, 0, 180, 10), (0.095, 0.88)],
        paint.base,
    )
    brush.patch(points(".55,.36 .69,.34 .675,.88 .6,.94 .5,.955"), SHADE)
    brush.patch(points(".135,.4 .195,.41 .205,.84 .15,.82"), GLOSS)
    brush.oval(0.39, 0.32, 0.31, 0.085, paint.light)
    brush.oval(0.39, 0.335, 0.255, 0.055, (94, 56, 36))
    brush.line(smooth(points(".105,.6 .25,.65 .4,.6 .55,.65 .68,.6"), closed=False), paint.cream, 0.032)


def lamp(brush: Brush) -> None:
    """A table lamp, its shade wide and its light on."""
    paint = brush.palette
    for reach, opacity in ((0.30, 34), (0.22, 52)):
        brush.patch(
            [(0.30, 0.46), (0.70, 0.46), (0.5 + reach * 1.5, 0.80), (0.5 - reach * 1.5, 0.80)],
            (255, 240, 150, opacity),
        )
    brush.box(0.465, 0.44, 0.535, 0.88, paint.wood)
    brush.oval(0.5, 0.70, 0.075, 0.085, paint.base)
    brush.shape([*arc(0.5, 0.95, 0.24, 0.10, 180, 360, 10), (0.74, 0.985), (0.26, 0.985)], paint.base)
    brush.spot(0.5, 0.475, 0.07, 0.05, (255, 246, 190))
    brush.shape(
        [(0.335, 0.03), (0.665, 0.03), (0.93, 0.47), *arc(0.5, 0.47, 0.43, 0.045, 0, 180, 10), (0.07, 0.47)],
        paint.base,
    )
    brush.patch(points(".6,.05 .655,.05 .9,.47 .72,.505"), SHADE)
    brush.patch(points(".37,.06 .43,.06 .3,.45 .17,.44"), GLOSS)
    brush.line([*arc(0.5, 0.415, 0.395, 0.05, 0, 180, 10)], paint.light, 0.024)
    brush.line([(0.62, 0.50), (0.64, 0.62)], paint.steel, 0.012)
    brush.spot(0.64, 0.63, 0.02, 0.02, paint.steel)


def teapot(brush: Brush) -> None:
    """A round teapot, spout to the right, handle to the left."""
    paint = brush.palette
    handle = arc(0.20, 0.56, 0.165, 0.21, 70, 290, 16)
    brush.line(handle, paint.line, 0.098)
    brush.line(handle, paint.base, 0.066)
    brush.shape(smooth(points(".68,.74 .82,.62 .86,.42 .965,.33 .99,.38 .94,.6 .8,.86"), steps=4), paint.base)
    brush.box(0.34, 0.90, 0.64, 0.985, paint.dark, soft=0.03)
    brush.oval(0.49, 0.63, 0.335, 0.31, paint.base)
    brush.patch(smooth(points(".72,.45 .8,.62 .7,.84 .54,.925 .66,.74")), SHADE)
    brush.patch(smooth(points(".24,.53 .35,.4 .42,.4 .3,.54 .24,.68")), GLOSS)
    brush.shape([*arc(0.49, 0.35, 0.225, 0.135, 180, 360, 12)], paint.light)
    brush.oval(0.49, 0.345, 0.235, 0.035, paint.dark)
    brush.oval(0.49, 0.175, 0.06, 0.055, paint.base)
    for x in (0.32, 0.49, 0.66):
        brush.spot(x, 0.66, 0.055, 0.055, paint.cream)
        brush.spot(x, 0.66, 0.022, 0.022, paint.dark)


def umbrella(brush: Brush) -> None:
    """An open umbrella with a crooked handle."""
    paint = brush.palette
    brush.line(
        [(0.5, 0.06), (0.5, 0.86), *arc(0.585, 0.87, 0.085, 0.095, 180, 20, 10)],
        mix(paint.wood, (50, 30, 20), 0.45),
        0.045,
    )
    brush.line([(0.5, 0.09), (0.5, 0.01)], paint.steel, 0.034)
    scallops: list[tuple[float, float]] = []
    for gore in range(4):
        scallops += arc(0.86 - gore * 0.24, 0.52, 0.12, 0.06, 0, -180, 8)
    dome = [*arc(0.5, 0.52, 0.48, 0.45, 180, 360, 24), *scallops]
    brush.shape(dome, paint.base)
    brush.patch(
        [(0.5, 0.075), *arc(0.5, 0.52, 0.25, 0.45, 270, 360, 10), *arc(0.62, 0.52, 0.12, 0.06, 0, -180, 8)],
        paint.light,
    )
    brush.patch(
        [
            (0.5, 0.075),
            *arc(0.5, 0.52, 0.48, 0.45, 180, 270, 10)[::-1],
            *arc(0.14, 0.52, 0.12, 0.06, -180, 0, 8),
            *arc(0.5, 0.52, 0.25, 0.45, 180, 270, 10),
        ],
        paint.dark,
    )
    for reach in (-0.24, 0.24):
        rib = [
            (0.5 + reach * math.sin(math.radians(angle)), 0.52 - 0.45 * math.cos(math.radians(angle)))
            for angle in range(0, 91, 10)
        ]
        brush.line(rib, paint.line, 0.010)
    brush.line([(0.5, 0.08), (0.5, 0.46)], paint.line, 0.010)
    brush.patch(smooth(points(".19,.28 .3,.16 .36,.14 .26,.26 .18,.38")), GLOSS)
    brush.shape(dome, None)
