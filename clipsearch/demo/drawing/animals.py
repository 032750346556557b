"""Draws what lives: bird, butterfly, cat, dog, fish; knows nothing of where they stand."""

from __future__ import annotations

from clipsearch.demo.drawing.brush import Brush, arc, points, smooth
from clipsearch.demo.drawing.palette import GLOSS, SHADE


def bird(brush: Brush) -> None:
    """A round songbird in flight, one wing raised."""
    paint = brush.palette
    brush.shape(points(".27,.55 .01,.47 .05,.58 .01,.68 .27,.68"), paint.dark)
    body = points(".2,.6 .34,.47 .56,.44 .66,.3 .8,.26 .9,.35 .89,.5")
    brush.shape(smooth([*body, (0.78, 0.70), (0.56, 0.80), (0.34, 0.75)]), paint.base)
    brush.patch(smooth(points(".48,.7 .72,.6 .82,.48 .8,.64 .66,.76 .5,.77")), paint.light)
    brush.shape([(0.885, 0.36), (0.995, 0.41), (0.885, 0.455)], (246, 170, 50))
    brush.oval(0.79, 0.365, 0.038, 0.042, (255, 255, 255))
    brush.spot(0.80, 0.37, 0.022, 0.026, (20, 18, 26))
    wing = points(".64,.56 .56,.3 .36,.1 .22,.05 .25,.17 .2,.2 .28,.29 .26,.34")
    brush.shape(smooth([*wing, (0.38, 0.52), (0.50, 0.62)], steps=4), paint.dark)
    for start, end in (((0.34, 0.17), (0.53, 0.50)), ((0.32, 0.29), (0.50, 0.54))):
        brush.line([start, end], paint.line, 0.010)
    for x in (0.52, 0.60):
        brush.line([(x, 0.79), (x - 0.05, 0.90)], (240, 160, 60), 0.022)


def butterfly(brush: Brush) -> None:
    """A butterfly with open wings."""
    paint = brush.palette
    for side in (-1, 1):
        upper = points(".02,.48 .12,.22 .32,.06 .46,.11 .46,.3 .34,.47 .14,.54")
        lower = points(".02,.52 .2,.53 .36,.63 .37,.8 .25,.92 .12,.83 .04,.66")
        brush.shape(smooth([(0.5 + side * x, y) for x, y in lower]), paint.dark)
        brush.shape(smooth([(0.5 + side * x, y) for x, y in upper]), paint.base)
        inner = points(".07,.44 .16,.27 .31,.15 .38,.22 .32,.36 .18,.46")
        brush.patch(smooth([(0.5 + side * x, y) for x, y in inner]), paint.light)
        brush.oval(0.5 + side * 0.30, 0.24, 0.055, 0.055, paint.cream)
        brush.oval(0.5 + side * 0.23, 0.76, 0.050, 0.055, paint.light)
        feeler = [(0.5 + side * 0.015, 0.26), (0.5 + side * 0.06, 0.12), (0.5 + side * 0.13, 0.07)]
        brush.line(smooth(feeler, closed=False), paint.line, 0.016)
        brush.spot(0.5 + side * 0.135, 0.065, 0.022, 0.022, paint.line)
    brush.shape(smooth(points(".5,.22 .545,.34 .54,.6 .5,.82 .46,.6 .455,.34")), (84, 62, 58))
    brush.oval(0.5, 0.24, 0.052, 0.055, (84, 62, 58))


def cat(brush: Brush) -> None:
    """A sitting cat that looks at you, its tail curled up beside it."""
    paint = brush.palette
    tail = smooth(points(".66,.9 .86,.9 .95,.76 .88,.62 .92,.5"), closed=False)
    brush.line(tail, paint.line, 0.112)
    brush.line(tail, paint.base, 0.082)
    brush.shape(smooth(points(".4,.42 .58,.44 .71,.66 .75,.9 .62,.985 .26,.985 .22,.84 .27,.6")), paint.base)
    brush.patch(smooth(points(".4,.54 .5,.56 .53,.74 .44,.84 .36,.74")), paint.light)
    brush.patch(smooth(points(".62,.58 .71,.72 .73,.9 .62,.96 .66,.78")), SHADE)
    for x in (0.37, 0.51):
        brush.shape(
            smooth([(x - 0.06, 0.80), (x + 0.05, 0.80), (x + 0.065, 0.97), (x - 0.075, 0.97)], steps=4),
            paint.base,
        )
    for side in (-1, 1):
        brush.shape([(0.44 + side * 0.26, 0.02), (0.44 + side * 0.275, 0.30), (0.44 + side * 0.06, 0.14)], paint.base)
        brush.patch(
            [(0.44 + side * 0.235, 0.085), (0.44 + side * 0.235, 0.23), (0.44 + side * 0.12, 0.15)],
            (240, 160, 170),
        )
    brush.shape(smooth(points(".44,.115 .66,.16 .735,.32 .64,.47 .44,.525 .24,.47 .145,.32 .22,.16")), paint.base)
    for x in (0.335, 0.545):
        brush.oval(x, 0.30, 0.062, 0.068, (214, 236, 120))
        brush.spot(x, 0.30, 0.020, 0.056, (20, 18, 26))
        brush.spot(x + 0.018, 0.275, 0.012, 0.014, (255, 255, 255))
    brush.spot(0.44, 0.44, 0.13, 0.065, paint.light)
    brush.patch([(0.405, 0.385), (0.475, 0.385), (0.44, 0.425)], (226, 110, 130))
    for side in (-1, 1):
        brush.line(arc(0.44 + side * 0.038, 0.425, 0.038, 0.04, 0, 180, 6), paint.line, 0.012)
        for rise in (-0.03, 0.02):
            brush.line(
                [(0.44 + side * 0.14, 0.42 + rise * 0.3), (0.44 + side * 0.36, 0.41 + rise)],
                paint.line,
                0.008,
            )


def dog(brush: Brush) -> None:
    """A dog standing sideways, ear hanging, tail up."""
    paint = brush.palette
    tail = smooth([(0.14, 0.52), (0.05, 0.38), (0.07, 0.22)], closed=False)
    brush.line(tail, paint.line, 0.100)
    brush.line(tail, paint.base, 0.070)
    for x in (0.27, 0.62):
        brush.box(x - 0.055, 0.66, x + 0.055, 0.97, paint.dark, soft=0.03)
    body = points(".11,.5 .26,.43 .56,.45 .72,.42 .77,.6 .7,.75 .44,.74 .22,.78 .11,.68")
    brush.shape(smooth(body), paint.base)
    for x in (0.175, 0.70):
        brush.shape(
            smooth(
                [
                    (x - 0.065, 0.64),
                    (x + 0.065, 0.64),
                    (x + 0.055, 0.90),
                    (x + 0.085, 0.985),
                    (x - 0.06, 0.985),
                ],
                steps=4,
            ),
            paint.base,
        )
    brush.patch(smooth(points(".24,.7 .46,.67 .66,.69 .6,.735 .42,.73")), SHADE)
    head = points(".56,.3 .62,.17 .75,.14 .84,.22 .965,.31 .965,.41 .84,.46 .7,.5 .6,.44")
    brush.shape(smooth(head), paint.base)
    brush.patch(smooth(points(".82,.36 .95,.33 .955,.405 .84,.44")), paint.light)
    brush.oval(0.95, 0.305, 0.040, 0.034, (28, 24, 32))
    brush.oval(0.785, 0.255, 0.034, 0.038, (255, 255, 255))
    brush.spot(0.795, 0.258, 0.020, 0.024, (20, 18, 26))
    brush.line([(0.95, 0.345), (0.90, 0.405), (0.82, 0.395)], paint.line, 0.012)
    brush.shape(smooth(points(".85,.425 .89,.42 .895,.5 .86,.5"), steps=3), (236, 110, 130))
    brush.shape(smooth(points(".62,.17 .69,.19 .7,.36 .64,.5 .54,.44 .55,.28")), paint.dark)
    brush.line([(0.64, 0.515), (0.75, 0.50)], (226, 60, 70) if paint.night else (206, 44, 58), 0.034)
    brush.oval(0.705, 0.54, 0.027, 0.027, (255, 214, 90))


def fish(brush: Brush) -> None:
    """A fish with a fanned tail, fins, and scales."""
    paint = brush.palette
    brush.shape(smooth(points(".3,.5 .14,.34 .015,.22 .085,.5 .015,.78 .14,.66"), steps=4), paint.dark)
    brush.shape(smooth(points(".42,.32 .46,.12 .64,.14 .76,.32"), steps=4), paint.dark)
    brush.shape(smooth(points(".46,.7 .44,.87 .56,.86 .64,.7"), steps=4), paint.dark)
    brush.shape(smooth(points(".22,.5 .4,.32 .66,.25 .88,.36 .985,.5 .88,.64 .66,.75 .4,.68")), paint.base)
    brush.patch(smooth(points(".36,.62 .66,.62 .92,.58 .82,.67 .66,.735 .44,.69")), paint.light)
    brush.patch(smooth(points(".44,.345 .66,.28 .82,.345 .64,.345")), GLOSS)
    for x, y in (
        (0.40, 0.44),
        (0.40, 0.56),
        (0.50, 0.38),
        (0.50, 0.50),
        (0.50, 0.62),
        (0.60, 0.43),
        (0.60, 0.55),
    ):
        brush.line(arc(x, y, 0.045, 0.055, -80, 80, 6), paint.line, 0.011)
    brush.line(arc(0.80, 0.50, 0.085, 0.19, 110, 250, 8), paint.line, 0.014)
    brush.oval(0.85, 0.445, 0.046, 0.050, (255, 255, 255))
    brush.spot(0.862, 0.45, 0.026, 0.030, (20, 18, 26))
    brush.line([(0.97, 0.545), (0.90, 0.565)], paint.line, 0.014)
    brush.shape(smooth(points(".62,.5 .54,.56 .52,.66 .66,.6"), steps=4), paint.dark)
    for x, y, radius in ((0.98, 0.28, 0.022), (0.93, 0.17, 0.030), (0.985, 0.07, 0.018)):
        brush.line(arc(x - 0.02, y, radius, radius, 0, 360, 10), (225, 242, 250), 0.012)
