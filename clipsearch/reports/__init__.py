"""An evaluation as one self-contained page: plain values in, one HTML file out, nothing fetched from anywhere.

It computes no figure and opens no image: ``ReportContent`` brings both.
"""

from __future__ import annotations

from clipsearch.reports.content import (
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
from clipsearch.reports.page import render_report, write_report

__all__ = [
    "ConfusedPair",
    "Confusion",
    "Curve",
    "Figure",
    "LabelLine",
    "Mistake",
    "ReliabilityBin",
    "ReportContent",
    "Side",
    "Table",
    "render_report",
    "write_report",
]
