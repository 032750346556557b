"""What a report shows, as plain values: the room that draws it is given these and asks nothing further.

A report has one side, or two that are shown next to each other (two models, two label sets). Everything that is empty
is left out of the report. Shares and probabilities go from 0 to 1; None and NaN are shown as having no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import InvalidInput

JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Figure:
    """One number with the interval it lies in. A ``share`` is shown in per cent, on a bar from 0 to 100 %; any other
    number (a log loss) as it is. ``meaning`` says in a few words what it is."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    share: bool = True
    meaning: str = ""


@dataclass(frozen=True)
class LabelLine:
    """What was measured of one label: images that show it, images that got it, and its figures."""

    label: str
    images: int
    predicted: int
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None
    average_precision: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one label that got another; ``share`` is that of the true label's images."""

    truth: str
    predicted: str
    images: int
    share: float


@dataclass(frozen=True, eq=False)
class Confusion:
    """Images by true label (row) and given label (column), whole numbers [c, c].

    ``counts`` may have one row and one column more than there are labels: then the last ones are "none of these".
    """

    labels: Sequence[str]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        side = self.counts.shape[0] if self.counts.ndim == 2 else -1
        if self.counts.shape != (side, side) or side - len(self.labels) not in (0, 1):
            raise InvalidInput(
                f"a confusion matrix of {len(self.labels)} labels needs as many rows and columns, or one more for "
                f"none of them; this one has the shape {list(self.counts.shape)}"
            )


@dataclass(frozen=True)
class ReliabilityBin:
    """Images whose answer had a probability from ``low`` to ``high``: how many, the mean probability that was said,
    and the share that was right."""

    low: float
    high: float
    images: int
    probability: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Curve:
    """Precision, recall and F1 of one label at thresholds that rise, and the threshold that was chosen, if any."""

    label: str
    thresholds: Sequence[float]
    precision: Sequence[float]
    recall: Sequence[float]
    f1: Sequence[float]
    chosen: float | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.thresholds), len(self.precision), len(self.recall), len(self.f1)}
        if lengths == {0} or len(lengths) != 1:
            raise InvalidInput(f"the threshold curve of {self.label!r} needs as many values in each of its four rows")


@dataclass(frozen=True)
class Mistake:
    """An image that got a wrong label or lacks one, with its thumbnail as JPEG bytes where there is one.

    ``truth`` and ``predicted`` may hold several labels, or none.
    """

    name: str
    truth: Sequence[str]
    predicted: Sequence[str]
    probability: float | None = None
    truth_probability: float | None = None
    jpeg: bytes | None = None

    def __post_init__(self) -> None:
        if self.jpeg is not None and not self.jpeg.startswith(JPEG_START):
            raise InvalidInput(f"the thumbnail of {self.name!r} is no JPEG")


@dataclass(frozen=True)
class Table:
    """A plain table: a line of columns, and rows of as many cells. The first cell of a row names it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise InvalidInput(f"each row of the table {self.title!r} needs {len(self.columns)} cells")


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one model made of the images with one label set. ``facts`` are names and values in the order shown."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    labels: Sequence[LabelLine] = ()
    confusion: Confusion | None = None
    most_confused: Sequence[ConfusedPair] = ()
    reliability: Sequence[ReliabilityBin] = ()
    curves: Sequence[Curve] = ()
    mistakes: Sequence[Mistake] = ()


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """A whole report. ``differences`` are of the second side from the first, by the names of the figures."""

    title: str
    sides: Sequence[Side]
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    differences: Sequence[Figure] = ()
    tables: Sequence[Table] = ()

    def __post_init__(self) -> None:
        if len(self.sides) not in (1, 2):
            raise InvalidInput(f"a report shows one side or two next to each other, not {len(self.sides)}")
