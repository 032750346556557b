"""Plots as SVG: an interval, a share, reliability, curves over thresholds. Alone knows where a number is drawn.

A plot is drawn for a width of 340, so that its words stay readable on a telephone, and grows with its place. Each has
a title and a description for those who do not see it, and its numbers stand in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from clipsearch.reports.content import Curve, Figure, ReliabilityBin
from clipsearch.reports.markup import Markup, element, joined, rounded
from clipsearch.reports.wording import count, probability, share

WIDTH, HEIGHT = 340, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 330, 12, 256  # the frame within which 0 to 1 is drawn, both ways
MOST_POINTS = 120
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHARES = tuple((tick, f"{tick:g}") for tick in _TICKS)


def across(value: float) -> float:
    """Where a number from 0 to 1 stands from left to right."""
    return LEFT + value * (RIGHT - LEFT)


def up(value: float) -> float:
    """Where a number from 0 to 1 stands from bottom to top."""
    return BOTTOM - value * (BOTTOM - TOP)


def interval_bar(figure: Figure) -> Markup | None:
    """A share and its interval on a line from 0 to 100 %; None for other numbers."""
    if not figure.share or figure.value is None or not 0 <= figure.value <= 1:
        return None
    drawn = [element("line", class_="axis", x1=0, x2=100, y1=6, y2=6)]
    if figure.low is not None and figure.high is not None and math.isfinite(figure.low) and math.isfinite(figure.high):
        width = max(100 * (figure.high - figure.low), 0.5)
        drawn.append(element("rect", class_="interval", x=100 * figure.low, y=3, width=width, height=6, rx=2))
    drawn.append(element("rect", class_="dot", x=100 * figure.value - 0.75, y=0, width=1.5, height=12))
    # The numbers stand beside it as text.
    return element("svg", *drawn, class_="bar", viewBox="-1 0 102 12", preserveAspectRatio="none", aria_hidden="true")


def share_bar(part: int, whole: int, kind: str) -> Markup:
    """A count as a bar against the largest; the number stands beside it as text."""
    width = 100 * part / whole if whole else 0.0
    bar = element("rect", class_=kind, x=0, y=0, width=width, height=8)
    return element("svg", bar, class_="bar", viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Markup:
    """The share that was right over the probability that was said; what means what it says lies on the diagonal."""
    bars, points = [], []
    for one in bins:
        if not one.images or one.probability is None or one.accuracy is None:
            continue
        words = (
            f"{share(one.low)} to {share(one.high)}: {count(one.images)} images, {share(one.probability)} said, "
            f"{share(one.accuracy)} right"
        )
        bars.append(
            element(
                "rect",
                element("title", words),
                class_="right",
                x=across(one.low),
                y=up(one.accuracy),
                width=max(across(one.high) - across(one.low), 1.0),
                height=BOTTOM - up(one.accuracy),
            )
        )
        points.append(element("circle", class_="dot", cx=across(one.probability), cy=up(one.accuracy), r=3))
    diagonal = element("line", class_="diagonal", x1=across(0), y1=up(0), x2=across(1), y2=up(1))
    images = sum(one.images for one in bins)
    return _chart(
        "Reliability",
        f"The share of answers that were right, for {count(images)} images in {len(bins)} bins of probability. "
        "Bars below the diagonal are answers that were too sure.",
        joined(*bars, diagonal, *points),
        x_name="probability said",
        y_name="share right",
    )


def curve_chart(curve: Curve) -> Markup:
    """Precision, recall and F1 of one label over thresholds; the chosen threshold as an upright line."""
    thinned = thinned_places(len(curve.thresholds))
    lowest, highest = curve.thresholds[0], curve.thresholds[-1]
    inside = lowest >= 0 and highest <= 1
    start, span = (0.0, 1.0) if inside else (lowest, (highest - lowest) or 1.0)
    drawn = []
    for name, values in (("precision", curve.precision), ("recall", curve.recall), ("f1", curve.f1)):
        points = " ".join(
            f"{rounded(across((curve.thresholds[place] - start) / span))},{rounded(up(values[place]))}"
            for place in thinned
            if math.isfinite(values[place])
        )
        drawn.append(element("polyline", class_=f"curve {name}", points=points))
    words = f"{curve.label}: precision, recall and F1 over thresholds"
    if curve.chosen is not None:
        place = across(min(max((curve.chosen - start) / span, 0.0), 1.0))
        drawn.append(element("line", class_="chosen", x1=place, x2=place, y1=up(0), y2=up(1)))
        words += f"; the chosen threshold is {probability(curve.chosen)}"
    ticks = [(tick, f"{start + tick * span:.2g}") for tick in _TICKS]
    return _chart(curve.label, words + ".", joined(*drawn), x_name="threshold", y_name="", x_ticks=ticks)


def curve_legend() -> Markup:
    """Which line is which, for all curves together."""
    lines = (("curve precision", "precision"), ("curve recall", "recall"), ("curve f1", "F1"), ("chosen", "threshold"))
    swatches = [
        element(
            "li",
            element(
                "svg",
                element("line", class_=kind, x1=0, x2=32, y1=6, y2=6),
                viewBox="0 0 32 12",
                aria_hidden="true",
            ),
            name,
        )
        for kind, name in lines
    ]
    return element("ul", *swatches, class_="legend")


def thinned_places(length: int, most: int = MOST_POINTS) -> list[int]:
    """At most ``most`` places of a row, evenly apart, the first and the last among them."""
    if length <= most:
        return list(range(length))
    return [round(step * (length - 1) / (most - 1)) for step in range(most)]


def _chart(
    title: str,
    description: str,
    drawn: Markup,
    *,
    x_name: str,
    y_name: str,
    x_ticks: Sequence[tuple[float, str]] = _SHARES,
) -> Markup:
    axes = []
    for tick, words in x_ticks:
        axes.append(element("line", class_="axis", x1=across(tick), x2=across(tick), y1=up(0), y2=up(1)))
        axes.append(element("text", words, x=across(tick), y=BOTTOM + 16, text_anchor="middle"))
    for tick in _TICKS:
        axes.append(element("line", class_="axis", x1=LEFT, x2=RIGHT, y1=up(tick), y2=up(tick)))
        axes.append(element("text", f"{tick:g}", x=LEFT - 6, y=up(tick) + 4, text_anchor="end"))
    axes.append(element("text", x_name, x=(LEFT + RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle"))
    if y_name:
        axes.append(element("text", y_name, x=0, y=0, text_anchor="middle", transform=_upright(12)))
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *axes,
        drawn,
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
    )


def _upright(left: float) -> str:
    return f"translate({rounded(left)} {rounded((TOP + BOTTOM) / 2)}) rotate(-90)"
