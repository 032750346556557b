"""A confusion matrix as a picture, and of a large one the block in which most is confused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.reports.content import Confusion
from clipsearch.reports.markup import Markup, element, joined, rounded
from clipsearch.reports.wording import NONE_OF_THESE, count, share

MOST_LABELS = 30  # so many fit on a screen with names that can be read
CELL = 28
_LETTER = 6.6  # the width of a letter of 12 pixels, about
_LONGEST = 18


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows and the same columns of a matrix, and how much of the whole it shows.

    ``shares`` are of each true label's images, in the whole matrix.
    """

    labels: list[str]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]
    all_labels: int
    mistakes: int
    all_mistakes: int

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return len(self.labels) == self.all_labels


def most_confused_block(confusion: Confusion, most: int = MOST_LABELS) -> Block:
    """The whole matrix where it is small, else the labels of its most confused pairs, in the set's order.

    "None of these" is left out where nothing of it is true or given.
    """
    labels, counts = list(confusion.labels), confusion.counts
    if len(counts) > len(labels):
        if counts[-1].any() or counts[:, -1].any():
            labels.append(NONE_OF_THESE)
        else:
            counts = counts[:-1, :-1]
    rows, columns = np.nonzero(counts)
    beside = rows != columns
    rows, columns = rows[beside], columns[beside]
    images = counts[rows, columns]
    whole = list(range(len(labels)))
    chosen = whole if len(labels) <= most else _of_most_confused(rows, columns, images, whole, most)
    inside = counts[np.ix_(chosen, chosen)]
    totals = counts[chosen].sum(axis=1, keepdims=True)
    return Block(
        labels=[labels[place] for place in chosen],
        counts=inside,
        shares=np.divide(inside, totals, out=np.zeros(inside.shape), where=totals > 0),
        all_labels=len(labels),
        mistakes=int(inside.sum() - np.trace(inside)),
        all_mistakes=int(images.sum()),
    )


def _of_most_confused(
    rows: NDArray[np.int64], columns: NDArray[np.int64], images: NDArray[np.int64], whole: list[int], most: int
) -> list[int]:
    """The places of the labels of the pairs with the most images, as many pairs as find room, in order."""
    chosen: set[int] = set()
    for pair in np.argsort(-images, kind="stable").tolist():
        both = {int(rows[pair]), int(columns[pair])}
        if len(chosen | both) <= most:
            chosen |= both
        if len(chosen) == most:
            break
    # Labels that are never mistaken fill what is left.
    spare = [place for place in whole if place not in chosen]
    return sorted([*chosen, *spare[: most - len(chosen)]])


def confusion_chart(block: Block) -> Markup:
    """The block as a picture: rows true, columns given, shaded by the share of the row."""
    names = [shortened(label) for label in block.labels]
    margin = 24 + _LETTER * max(len(name) for name in names)
    side = CELL * len(names)
    drawn = []
    for place, name in enumerate(names):
        middle = margin + CELL * (place + 0.5)
        label = element("title", block.labels[place])
        drawn.append(element("text", label, name, x=margin - 6, y=middle + 4, text_anchor="end"))
        turned = f"translate({middle + 4:.1f} {margin - 6:.1f}) rotate(-90)"
        drawn.append(element("text", label, name, transform=turned))
    for row, column in np.ndindex(block.counts.shape):
        drawn.append(_cell(block, row, column, margin))
    drawn.append(element("text", "given", class_="axis-name", x=margin + side / 2, y=12, text_anchor="middle"))
    turned = f"translate(12 {margin + side / 2:.1f}) rotate(-90)"
    drawn.append(element("text", "true", class_="axis-name", transform=turned, text_anchor="middle"))
    edge = margin + side + 2
    right = int(np.trace(block.counts))
    return element(
        "svg",
        element("title", "Confusion matrix"),
        element(
            "desc",
            f"{len(names)} labels; rows are true, columns were given. {count(right)} images on the diagonal are "
            f"right, {count(block.mistakes)} beside it are mistakes.",
        ),
        joined(*drawn),
        class_="matrix",
        width=edge,
        height=edge,
        viewBox=f"0 0 {rounded(edge)} {rounded(edge)}",
        role="img",
    )


def _cell(block: Block, row: int, column: int, margin: float) -> Markup:
    number, part = int(block.counts[row, column]), float(block.shares[row, column])
    x, y = margin + CELL * column, margin + CELL * row
    words = f"{block.labels[row]} given as {block.labels[column]}: {count(number)} images, {share(part)} of its own"
    kind = "right" if row == column else "wrong"
    square = element(
        "rect", element("title", words), class_=f"cell {kind}", x=x, y=y, width=CELL, height=CELL, fill_opacity=part
    )
    if not number:
        return square
    shown = str(number) if number < 10_000 else f"{number // 1000}k"
    return joined(
        square, element("text", shown, class_="in-cell", x=x + CELL / 2, y=y + CELL / 2 + 4, text_anchor="middle")
    )


def shortened(label: str) -> str:
    """A label that fits beside a picture; whole it stands in the picture's titles and in the tables."""
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
