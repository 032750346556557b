"""Draws what grows: apple, flower, mushroom, tree; knows nothing of where they stand."""

from __future__ import annotations

import math

from clipsearch.demo.drawing.brush import Brush, points, smooth
from clipsearch.demo.drawing.palette import GLOSS, SHADE, mix

LEAF = (86, 158, 74)


def apple(brush: Brush) -> None:
    """An apple with a stalk and one leaf."""
    paint = brush.palette
    half = points(".5,.3 .62,.22 .8,.23 .93,.38 .93,.6 .82,.83 .66,.975 .5,.94")
    brush.shape(smooth([*half, *[(1 - x, y) for x, y in reversed(half[1:-1])]], steps=5), paint.base)
    brush.patch(smooth(points(".8,.3 .9,.42 .9,.6 .78,.82 .62,.945 .74,.7")), SHADE)
    brush.patch(smooth(points(".24,.34 .36,.3 .27,.44 .2,.58 .16,.46")), GLOSS)
    brush.patch(smooth(points(".38,.28 .5,.33 .62,.28 .5,.37")), paint.dark)
    brush.line(smooth([(0.5, 0.33), (0.49, 0.18), (0.56, 0.06)], closed=False), (92, 62, 40), 0.045)
    brush.shape(smooth(points(".53,.19 .64,.06 .84,.06 .74,.19 .6,.225")), LEAF)
    brush.line([(0.56, 0.19), (0.78, 0.09)], (56, 110, 56), 0.012)


def flower(brush: Brush) -> None:
    """A daisy with six broad petals on a leafy stem."""
    paint = brush.palette
    stem = smooth([(0.5, 0.40), (0.515, 0.70), (0.49, 0.985)], closed=False)
    brush.line(stem, (40, 86, 44), 0.058)
    brush.line(stem, LEAF, 0.036)
    brush.shape(smooth(points(".5,.88 .62,.7 .82,.66 .74,.82")), LEAF)
    brush.shape(smooth(points(".5,.95 .38,.78 .18,.76 .28,.9")), mix(LEAF, (20, 60, 40), 0.25))
    for petal in range(6):
        angle = math.radians(petal * 60 + 30)
        along, across = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
        outline = points(".06,.05 .2,.125 .325,.09 .355,0 .325,-.09 .2,-.125 .06,-.05")
        place = [(0.5 + along[0] * u + across[0] * v, 0.365 + along[1] * u + across[1] * v) for u, v in outline]
        brush.shape(smooth(place, steps=4), paint.base)
        inner = points(".08,.02 .2,.055 .29,0 .2,-.055 .08,-.02")
        place = [(0.5 + along[0] * u + across[0] * v, 0.365 + along[1] * u + across[1] * v) for u, v in inner]
        brush.patch(smooth(place, steps=3), paint.light)
    middle = (240, 170, 40) if paint.base[2] < 90 and paint.base[0] > 200 else (252, 206, 62)
    brush.oval(0.5, 0.365, 0.105, 0.105, mix(middle, (120, 70, 30), 0.35) if middle[1] == 170 else middle)
    brush.spot(0.475, 0.335, 0.035, 0.03, (255, 244, 190))


def mushroom(brush: Brush) -> None:
    """A toadstool with a spotted cap."""
    paint = brush.palette
    brush.shape(smooth(points(".4,.5 .6,.5 .62,.8 .69,.96 .5,.99 .31,.96 .38,.8")), paint.cream)
    brush.patch(smooth(points(".54,.56 .6,.56 .61,.8 .66,.94 .56,.965")), SHADE)
    cap = points(".02,.52 .09,.3 .27,.12 .5,.06 .73,.12 .91,.3 .98,.52 .8,.6 .5,.625 .2,.6")
    brush.shape(smooth(cap), paint.base)
    brush.patch(smooth(points(".04,.535 .5,.555 .96,.535 .79,.59 .5,.61 .21,.59")), paint.dark)
    brush.patch(smooth(points(".17,.28 .33,.14 .48,.1 .34,.2")), GLOSS)
    dots = paint.cream if sum(paint.base) < 690 else (190, 194, 210)
    for x, y, rx, ry in (
        (0.50, 0.235, 0.085, 0.065),
        (0.27, 0.37, 0.07, 0.062),
        (0.74, 0.36, 0.075, 0.065),
        (0.51, 0.445, 0.06, 0.045),
        (0.90, 0.475, 0.038, 0.04),
        (0.115, 0.485, 0.036, 0.034),
    ):
        brush.oval(x, y, rx, ry, dots)


def tree(brush: Brush) -> None:
    """A broad tree with a round, cloudy crown."""
    paint = brush.palette
    trunk = points(".44,.55 .56,.55 .57,.82 .66,.985 .34,.985 .43,.82")
    brush.shape(trunk, paint.wood)
    brush.line([(0.50, 0.62), (0.50, 0.92)], mix(paint.wood, (40, 20, 20), 0.5), 0.012)
    crown = points(".18,.62 .05,.52 .06,.36 .18,.28 .22,.12 .4,.04 .58,.03")
    crown += points(".76,.1 .82,.25 .94,.34 .95,.52 .84,.62 .66,.66 .5,.63 .34,.67")
    brush.shape(smooth(crown), paint.base)
    brush.patch(smooth(points(".9,.38 .91,.52 .8,.59 .62,.625 .44,.6 .7,.52")), paint.dark)
    for x, y, radius in ((0.34, 0.20, 0.10), (0.54, 0.14, 0.085), (0.22, 0.42, 0.085)):
        brush.spot(x, y, radius, radius * 0.8, paint.light)
    for x, y in ((0.50, 0.36), (0.68, 0.28), (0.38, 0.50), (0.66, 0.48)):
        brush.line(
            smooth(
                [(x - 0.06, y), (x - 0.03, y + 0.035), (x, y + 0.01), (x + 0.03, y + 0.035), (x + 0.06, y)],
                closed=False,
                steps=3,
            ),
            paint.line,
            0.011,
        )
