"""Draws what one plays with, wears or lives in: ball, guitar, hat, house, kite; not where they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clipsearch.demo.drawing.brush import Brush, Point, arc, points, smooth
from clipsearch.demo.drawing.palette import GLOSS, SHADE, mix


def ball(brush: Brush) -> None:
    """A beach ball with alternating panels."""
    paint = brush.palette
    brush.oval(0.5, 0.52, 0.455, 0.455, paint.base)
    pale = (214, 220, 232) if min(paint.base) > 200 else paint.cream
    brush.shape(smooth(points(".42,.38 .28,.3 .24,.16 .4,.08 .56,.08 .52,.24"), steps=4), pale)
    brush.shape(smooth(points(".6,.4 .74,.26 .88,.3 .95,.44 .94,.6 .78,.56"), steps=4), pale)
    brush.shape(smooth(points(".56,.55 .7,.68 .72,.9 .58,.96 .46,.96 .48,.76"), steps=4), pale)
    brush.shape(smooth(points(".4,.5 .28,.62 .12,.74 .06,.6 .06,.46 .22,.44"), steps=4), pale)
    brush.patch([*arc(0.5, 0.52, 0.45, 0.45, -20, 120), *reversed(arc(0.42, 0.44, 0.42, 0.42, -10, 105))], SHADE)
    brush.oval(0.49, 0.455, 0.105, 0.10, paint.dark)
    brush.spot(0.30, 0.27, 0.075, 0.055, GLOSS)
    circle = arc(0.5, 0.52, 0.455, 0.455, 0, 350, 35)
    brush.shape(circle, None)


def guitar(brush: Brush) -> None:
    """An acoustic guitar leaning to the right."""
    turn = math.radians(24)
    cosine, sine = math.cos(turn), math.sin(turn)

    def lean(outline: Sequence[Point]) -> list[Point]:
        return [
            (0.46 + (x - 0.5) * cosine - (y - 0.5) * sine, 0.5 + (x - 0.5) * sine + (y - 0.5) * cosine)
            for x, y in outline
        ]

    paint = brush.palette
    neck = mix(paint.wood, (60, 34, 22), 0.4)
    brush.shape(lean(points(".462,.02 .538,.02 .532,.56 .468,.56")), neck)
    brush.shape(lean(points(".44,-.06 .56,-.06 .545,.07 .455,.07")), paint.dark)
    for y in (-0.03, 0.03):
        for x in (0.42, 0.58):
            brush.spot(*lean([(x, y)])[0], 0.022, 0.022, paint.steel)
    half = points(".5,.465 .6,.455 .675,.5 .675,.585 .63,.65 .68,.71 .765,.8 .765,.93 .68,1.02 .5,1.05")
    body = smooth(lean([*half, *[(1 - x, y) for x, y in reversed(half[1:-1])]]), steps=4)
    brush.shape(body, paint.base)
    shade = lean(points(".66,.72 .74,.81 .74,.92 .66,1 .52,1.03 .64,.9"))
    brush.patch(smooth(shade), SHADE)
    brush.patch(smooth(lean(points(".36,.51 .43,.485 .37,.57 .35,.6"))), GLOSS)
    brush.shape(
        smooth(lean(points(".5,.59 .565,.615 .585,.67 .565,.725 .5,.75 .435,.725 .415,.67 .435,.615"))),
        (58, 36, 30),
    )
    brush.shape(lean(points(".39,.86 .61,.86 .61,.9 .39,.9")), neck)
    for x in (0.482, 0.5, 0.518):
        brush.line(lean([(x, 0.0), (x, 0.87)]), (236, 230, 214), 0.008)


def hat(brush: Brush) -> None:
    """A wide-brimmed hat with a ribbon."""
    paint = brush.palette
    brush.shape(smooth(points(".01,.74 .2,.64 .5,.62 .8,.64 .99,.74 .82,.87 .5,.915 .18,.87")), paint.base)
    brush.patch(smooth(points(".08,.78 .5,.84 .92,.78 .8,.85 .5,.895 .2,.85")), paint.dark)
    crown = points(".235,.72 .26,.42 .34,.22 .43,.2 .5,.245 .57,.2 .66,.22 .74,.42 .765,.72")
    brush.shape([*smooth(crown, closed=False), *arc(0.5, 0.72, 0.265, 0.075, 0, 180, 10)], paint.base)
    brush.patch(smooth(points(".66,.26 .73,.44 .75,.7 .6,.76 .65,.5")), SHADE)
    brush.patch(smooth(points(".33,.29 .38,.24 .36,.42 .31,.5")), GLOSS)
    ribbon = mix(paint.base, (255, 250, 236), 0.8) if sum(paint.base) < 600 else (110, 100, 130)
    band = [
        (0.248, 0.56),
        *arc(0.5, 0.56, 0.252, 0.07, 180, 0, 10),
        (0.765, 0.70),
        *arc(0.5, 0.70, 0.265, 0.075, 0, 180, 10),
    ]
    brush.shape(band, ribbon)


def house(brush: Brush) -> None:
    """A cottage with a gabled roof, a door, two windows and a chimney."""
    paint = brush.palette
    brush.box(0.70, 0.08, 0.82, 0.34, paint.dark)
    brush.box(0.68, 0.05, 0.84, 0.10, paint.steel)
    brush.box(0.11, 0.44, 0.89, 0.985, paint.base)
    brush.patch(points(".72,.46 .88,.46 .88,.98 .72,.98"), SHADE)
    for row in range(3):
        y = 0.60 + row * 0.12
        brush.line([(0.13, y), (0.20, y)], paint.dark, 0.012)
        brush.line([(0.80, y + 0.05), (0.87, y + 0.05)], paint.dark, 0.012)
    brush.shape(points(".01,.48 .5,.05 .99,.48 .88,.505 .5,.18 .12,.505"), paint.dark)
    brush.shape([(0.14, 0.49), (0.5, 0.18), (0.86, 0.49)], paint.light)
    brush.oval(0.5, 0.375, 0.062, 0.062, paint.glass)
    brush.box(0.42, 0.67, 0.58, 0.985, mix(paint.wood, (60, 34, 22), 0.45), soft=0.02)
    brush.spot(0.555, 0.84, 0.016, 0.016, (255, 220, 110))
    for left in (0.20, 0.655):
        brush.box(left, 0.60, left + 0.15, 0.78, paint.glass)
        brush.line([(left + 0.075, 0.61), (left + 0.075, 0.77)], paint.ink, 0.012)
        brush.line([(left + 0.01, 0.69), (left + 0.14, 0.69)], paint.ink, 0.012)
        brush.box(left - 0.02, 0.78, left + 0.17, 0.81, paint.cream)


def kite(brush: Brush) -> None:
    """A diamond kite with a tail of bows."""
    paint = brush.palette
    tail = smooth(points(".4,.68 .28,.76 .4,.86 .24,.93 .14,.985"), closed=False)
    brush.line(tail, paint.line, 0.018)
    for x, y in ((0.29, 0.77), (0.385, 0.855), (0.235, 0.935)):
        brush.shape([(x - 0.065, y - 0.04), (x, y), (x - 0.06, y + 0.045)], paint.base)
        brush.shape([(x + 0.065, y - 0.04), (x, y), (x + 0.06, y + 0.045)], paint.base)
    top, right, foot, left, heart = (0.72, 0.01), (0.92, 0.42), (0.40, 0.69), (0.36, 0.17), (0.60, 0.31)
    brush.shape([top, right, foot, left], paint.base)
    brush.patch([top, right, heart], paint.light)
    brush.patch([left, foot, heart], paint.dark)
    brush.line([top, foot], paint.line, 0.016)
    brush.line([left, right], paint.line, 0.016)
    brush.shape([top, right, foot, left], None)
