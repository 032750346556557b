"""Numbers as a person reads them."""

from __future__ import annotations

import math

from clipsearch.reports.content import Figure

NO_VALUE = "no value"
NONE_OF_THESE = "(none of these)"
PER_CENT = "\u00a0%"  # a number and its unit stay on one line


def known(value: float | None) -> bool:
    """Whether there is a number at all."""
    return value is not None and math.isfinite(value)


def share(value: float | None) -> str:
    """0.934 as 93.4 %."""
    return NO_VALUE if value is None or not math.isfinite(value) else f"{100 * value:.1f}{PER_CENT}"


def plain(value: float | None) -> str:
    """A number with four significant digits."""
    return NO_VALUE if value is None or not math.isfinite(value) else f"{value:.4g}"


def probability(value: float | None) -> str:
    """A probability with three decimals."""
    return NO_VALUE if value is None or not math.isfinite(value) else f"{value:.3f}"


def count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def estimate(figure: Figure) -> str:
    """The number of a figure, without its interval."""
    return share(figure.value) if figure.share else plain(figure.value)


def bounds(figure: Figure) -> str | None:
    """The interval of a figure; None where it has none."""
    if figure.low is None or figure.high is None or not (known(figure.low) and known(figure.high)):
        return None
    if figure.share:
        return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}{PER_CENT}"
    return f"{plain(figure.low)} to {plain(figure.high)}"


def difference(figure: Figure) -> str:
    """How far the second side is ahead, with its interval: shares in percentage points."""
    if figure.value is None or not known(figure.value):
        return NO_VALUE
    scale = 100 if figure.share else 1
    form = "{:+.1f}" if figure.share else "{:+.4g}"

    def signed(value: float) -> str:
        return form.format(scale * value).replace("-", "\u2212")

    unit = " points" if figure.share else ""
    text = signed(figure.value) + unit
    if figure.low is None or figure.high is None or not (known(figure.low) and known(figure.high)):
        return text
    return f"{text} ({signed(figure.low)} to {signed(figure.high)})"


def labels(names: tuple[str, ...]) -> str:
    """Several labels in a row, or that there is none."""
    return ", ".join(names) if names else NONE_OF_THESE
