"""Draws what carries people: airplane, balloon, bicycle, boat, car, rocket, train; not where they stand."""

from __future__ import annotations

import math

from clipsearch.demo.drawing.brush import Brush, arc, points, ring, smooth
from clipsearch.demo.drawing.palette import GLOSS, SHADE, Colour


def airplane(brush: Brush) -> None:
    """A small airliner, nose to the right and up."""
    paint = brush.palette
    brush.shape(points(".42,.47 .3,.2 .38,.2 .6,.46"), paint.dark)
    brush.shape(points(".1,.46 .01,.22 .11,.22 .24,.42"), paint.dark)
    body = points(".03,.46 .12,.41 .75,.4 .9,.43 .985,.51 .93,.57 .7,.61")
    brush.shape(smooth([*body, (0.30, 0.59)]), paint.base)
    brush.patch(smooth(points(".16,.44 .74,.425 .86,.45 .74,.46 .16,.47")), GLOSS)
    brush.shape(points(".82,.43 .9,.445 .935,.48 .84,.48"), paint.glass)
    for step in range(6):
        brush.oval(0.29 + step * 0.085, 0.495, 0.021, 0.026, paint.glass)
    brush.shape(points(".4,.55 .63,.55 .4,.88 .28,.88"), paint.light)
    brush.shape(points(".1,.5 .22,.5 .1,.63 .03,.63"), paint.light)
    brush.box(0.38, 0.67, 0.52, 0.73, paint.steel, soft=0.025)


def balloon(brush: Brush) -> None:
    """A hot-air balloon with gores and a basket."""
    paint = brush.palette
    for x in (0.40, 0.47, 0.53, 0.60):
        brush.line([(0.5 + (x - 0.5) * 1.6, 0.66), (x, 0.85)], paint.ink, 0.010)
    brush.box(0.40, 0.84, 0.60, 0.985, paint.wood, soft=0.02)
    for y in (0.89, 0.935):
        brush.line([(0.41, y), (0.59, y)], paint.ink, 0.007)
    outline = points(".5,.01 .7,.05 .845,.17 .88,.33 .81,.49 .66,.62 .6,.71")
    hull = smooth([*outline, (0.40, 0.71), *[(1 - x, y) for x, y in reversed(outline[1:-1])]], steps=5)
    brush.shape(hull, paint.base)
    gore = points(".5,.02 .63,.12 .68,.32 .62,.52 .545,.7")
    brush.patch(smooth([*gore, *[(1 - x, y) for x, y in reversed(gore)]], steps=4), paint.light)
    inner = points(".5,.02 .545,.16 .56,.32 .54,.52 .515,.7")
    brush.patch(smooth([*inner, *[(1 - x, y) for x, y in reversed(inner)]], steps=4), paint.base)
    brush.patch(smooth(points(".7,.07 .83,.19 .865,.34 .78,.5 .62,.69 .74,.44")), SHADE)
    brush.patch(smooth(points(".26,.15 .33,.12 .27,.26 .23,.36 .21,.26")), GLOSS)
    brush.shape(hull, None)


def bicycle(brush: Brush) -> None:
    """A town bicycle seen from the side."""
    paint = brush.palette
    tyre = (196, 200, 214) if paint.night else paint.ink
    for x in (0.235, 0.765):
        for spoke in range(5):
            angle = math.pi * spoke / 5 + 0.2
            dx, dy = 0.19 * math.cos(angle), 0.19 * math.sin(angle)
            brush.line([(x - dx, 0.74 - dy), (x + dx, 0.74 + dy)], paint.steel, 0.009)
        brush.line(ring(x, 0.74, 0.205, 0.205) + ring(x, 0.74, 0.205, 0.205)[:2], tyre, 0.042)
        brush.line(ring(x, 0.74, 0.172, 0.172) + ring(x, 0.74, 0.172, 0.172)[:2], paint.base, 0.022)
    frame = points(".235,.74 .39,.42 .68,.4 .49,.76 .235,.74")
    for width, colour in ((0.082, paint.line), (0.056, paint.base)):
        brush.line(frame, colour, width)
        brush.line([(0.49, 0.76), (0.365, 0.34)], colour, width)
        brush.line([(0.765, 0.74), (0.655, 0.29)], colour, width)
    brush.line([(0.41, 0.405), (0.66, 0.388)], paint.light, 0.014)
    brush.line([(0.655, 0.29), (0.72, 0.235), (0.80, 0.25)], tyre, 0.038)
    brush.shape(smooth(points(".25,.31 .36,.275 .48,.3 .4,.355 .29,.35")), paint.wood)
    brush.oval(0.49, 0.76, 0.052, 0.052, paint.steel)
    brush.line([(0.49, 0.76), (0.55, 0.85), (0.60, 0.85)], tyre, 0.026)


def boat(brush: Brush) -> None:
    """A sailing boat with a mainsail and a jib."""
    paint = brush.palette
    brush.box(0.475, 0.03, 0.505, 0.76, paint.wood)
    brush.shape(smooth(points(".455,.09 .35,.34 .1,.66 .455,.67"), steps=3), paint.light)
    brush.shape([(0.53, 0.05), *arc(0.50, 0.66, 0.42, 0.56, -62, 0, 6)[1:], (0.53, 0.66)], paint.base)
    brush.patch(points(".55,.2 .7,.4 .85,.61 .55,.61"), (255, 255, 255, 46))
    brush.line([(0.535, 0.36), (0.76, 0.36)], paint.line, 0.008)
    brush.shape([(0.505, 0.01), (0.64, 0.045), (0.505, 0.085)], paint.dark)
    brush.shape(smooth(points(".02,.72 .5,.745 .98,.7 .86,.93 .7,.985 .25,.985"), steps=4), paint.base)
    brush.patch(points(".08,.87 .9,.87 .82,.955 .7,.975 .25,.975 .14,.95"), paint.dark)
    brush.line([(0.05, 0.785), (0.94, 0.775)], paint.cream, 0.026)
    for x in (0.30, 0.46, 0.62):
        brush.oval(x, 0.845, 0.028, 0.028, paint.glass)


def car(brush: Brush) -> None:
    """A rounded little car."""
    paint = brush.palette
    cabin = points(".2,.53 .28,.32 .38,.255 .6,.255 .7,.33 .81,.53")
    brush.shape(smooth([*cabin, (0.5, 0.58)], steps=4), paint.base)
    brush.shape(points(".275,.51 .335,.345 .475,.32 .475,.51"), paint.glass)
    brush.shape(points(".525,.32 .615,.33 .73,.51 .525,.51"), paint.glass)
    brush.patch(points(".33,.49 .39,.35 .43,.345 .37,.49"), GLOSS)
    body = points(".02,.72 .035,.58 .15,.515 .5,.505 .82,.515 .95,.57 .985,.7")
    brush.shape(smooth([*body, (0.95, 0.82), (0.50, 0.83), (0.05, 0.82)], steps=4), paint.base)
    brush.patch(points(".04,.735 .965,.735 .945,.8 .5,.815 .06,.8"), paint.dark)
    brush.line([(0.09, 0.575), (0.88, 0.57)], paint.light, 0.022)
    brush.line([(0.50, 0.53), (0.50, 0.72)], paint.line, 0.010)
    brush.box(0.535, 0.60, 0.60, 0.62, paint.steel)
    brush.oval(0.935, 0.635, 0.034, 0.042, (255, 240, 170))
    brush.box(0.025, 0.61, 0.06, 0.67, (220, 70, 60))
    for x in (0.245, 0.755):
        brush.oval(x, 0.815, 0.135, 0.135, (46, 46, 54))
        brush.oval(x, 0.815, 0.066, 0.066, paint.steel)
        brush.spot(x, 0.815, 0.022, 0.022, paint.ink)


def rocket(brush: Brush) -> None:
    """A fat rocket with fins and a flame."""
    paint = brush.palette
    flame: list[tuple[float, Colour]] = [(0.115, (255, 150, 40)), (0.065, (255, 232, 120))]
    for reach, colour in flame:
        tip = 0.86 + reach * 1.15
        brush.patch(smooth([(0.5 - reach, 0.82), (0.5, 0.80), (0.5 + reach, 0.82), (0.5, tip)]), colour)
    for side in (-1, 1):
        fin = [
            (0.5 + side * 0.14, 0.55),
            (0.5 + side * 0.34, 0.74),
            (0.5 + side * 0.35, 0.92),
            (0.5 + side * 0.12, 0.80),
        ]
        brush.shape(fin, paint.dark)
    hull = points(".5,.01 .62,.14 .69,.34 .68,.6 .62,.8 .38,.8 .32,.6 .31,.34")
    brush.shape(smooth([*hull, (0.38, 0.14)], steps=5), paint.base)
    brush.patch(smooth(points(".6,.13 .68,.34 .67,.6 .61,.79 .58,.78 .61,.45")), SHADE)
    brush.patch(smooth(points(".41,.16 .36,.32 .355,.56 .4,.56 .41,.34")), GLOSS)
    brush.shape(smooth(points(".5,.01 .575,.075 .635,.17 .5,.2 .365,.17 .425,.075")), paint.light)
    brush.oval(0.5, 0.38, 0.095, 0.095, paint.steel)
    brush.oval(0.5, 0.38, 0.062, 0.062, paint.glass)
    brush.line([(0.345, 0.64), (0.655, 0.64)], paint.cream, 0.030)
    brush.shape(points(".475,.62 .525,.62 .525,.9 .475,.9"), paint.dark)
    brush.box(0.40, 0.79, 0.60, 0.835, paint.steel)


def train(brush: Brush) -> None:
    """A steam locomotive with a puff of smoke."""
    paint = brush.palette
    for x, y, radius, opacity in (
        (0.76, 0.16, 0.065, 235),
        (0.66, 0.09, 0.075, 205),
        (0.54, 0.06, 0.055, 165),
    ):
        brush.spot(x, y, radius, radius * 0.85, (238, 238, 244, opacity))
    brush.shape(points(".705,.4 .69,.235 .83,.235 .815,.4"), paint.dark)
    brush.box(0.665, 0.205, 0.855, 0.255, paint.base, soft=0.015)
    brush.shape(arc(0.53, 0.42, 0.075, 0.105, 180, 360), paint.steel)
    brush.box(0.33, 0.39, 0.92, 0.69, paint.base, soft=0.05)
    brush.patch(points(".34,.425 .9,.425 .9,.465 .34,.465"), GLOSS)
    for x in (0.48, 0.62, 0.76):
        brush.line([(x, 0.40), (x, 0.68)], paint.cream, 0.016)
    brush.oval(0.925, 0.535, 0.05, 0.105, paint.dark)
    brush.oval(0.945, 0.47, 0.026, 0.032, (255, 238, 160))
    brush.box(0.05, 0.25, 0.37, 0.72, paint.base, soft=0.02)
    brush.box(0.01, 0.20, 0.41, 0.265, paint.dark, soft=0.02)
    brush.box(0.11, 0.325, 0.31, 0.49, paint.glass, soft=0.015)
    brush.box(0.03, 0.69, 0.94, 0.765, paint.dark)
    brush.shape(points(".92,.72 .995,.95 .86,.95 .86,.74"), paint.steel)
    for x, radius in ((0.19, 0.135), (0.50, 0.105), (0.745, 0.105)):
        brush.oval(x, 0.975 - radius, radius, radius, (52, 52, 62))
        brush.oval(x, 0.975 - radius, radius * 0.62, radius * 0.62, paint.base)
        brush.spot(x, 0.975 - radius, radius * 0.2, radius * 0.2, paint.steel)
    brush.line([(0.19, 0.85), (0.745, 0.875)], paint.steel, 0.026)
