"""A report with something in every section, for the tests that read it and those that look at it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from clipsearch.reports import (
    ConfusedPair,
    Confusion,
    Curve,
    Figure,
    LabelLine,
    Mistake,
    ReliabilityBin,
    ReportContent,
    Side,
    Table,
)

PLAIN = "plain"
BINS = ((0.0, 0.25, 4, 0.2, 0.5), (0.25, 0.5, 0, None, None), (0.5, 0.75, 10, 0.6, 0.55), (0.75, 1.0, 100, 0.95, 0.91))


def jpeg(colour: tuple[int, int, int]) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (160, 120), colour).save(written, "JPEG")
    return written.getvalue()


def confusion(labels: Sequence[str], *, none: bool) -> Confusion:
    """Mostly right, with a mistake in every fifth cell."""
    side = len(labels) + 1
    counts = np.arange(side * side).reshape(side, side) % 5 == 0
    matrix = counts.astype(np.int64) + 40 * np.eye(side, dtype=np.int64)
    if not none:
        matrix[-1] = matrix[:, -1] = 0
    return Confusion(labels, matrix)


def one_side(title: str, text: str, labels: int, *, mistakes: int = 4) -> Side:
    names = [f"{text} {number}" for number in range(labels)]
    thresholds = np.linspace(0, 1, 500)
    return Side(
        title=title,
        facts=[("model", text), ("label set", text)],
        warnings=[text],
        figures=[
            Figure("accuracy at 1", 0.934, 0.912, 0.953, meaning=text),
            Figure("log loss", 0.2312, 0.21, 0.26, share=False),
            Figure("mAP", None),
        ],
        labels=[
            LabelLine(name, 40 + place, 38 + place, 0.9, 0.8, 0.85, None, 0.5) for place, name in enumerate(names)
        ],
        confusion=confusion(names, none=True),
        most_confused=[ConfusedPair(names[0], text, 12, 0.3)],
        reliability=[ReliabilityBin(*one) for one in BINS],
        curves=[
            Curve(name, thresholds.tolist(), thresholds.tolist(), (1 - thresholds).tolist(), thresholds.tolist(), 0.52)
            for name in names[:3]
        ],
        mistakes=[
            Mistake(f"{text} {number}", (names[0],), () if number else (text, names[1]), 0.98, 0.01,
                    jpeg((40 * number, 90, 200)) if number else None)
            for number in range(mistakes)
        ],
    )  # fmt: skip


def whole_report(text: str = PLAIN, *, sides: int = 2, labels: int = 6) -> ReportContent:
    """Everything a report can show, with ``text`` wherever a text of others can stand."""
    return ReportContent(
        title=text,
        facts=[("source", text), ("images", "1,234")],
        warnings=[text, text],
        sides=[one_side(f"{text} {'AB'[side]}", text, labels) for side in range(sides)],
        differences=[Figure("accuracy at 1", -0.012, -0.03, 0.002)] if sides == 2 else [],
        tables=[Table("Templates", ["template", text], [[text, "91.0 %"]])],
    )
