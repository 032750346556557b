"""Labelled datasets out of a collection: what a person decided, what is tagged, what the model says now."""

from __future__ import annotations

from clipsearch.datasets import PLACEMENTS, Split
from clipsearch.exporting.export import export_labels, export_lines
from clipsearch.exporting.options import FORMS, TEXT_FORMS, ExportOptions, Form

__all__ = [
    "FORMS",
    "PLACEMENTS",
    "TEXT_FORMS",
    "ExportOptions",
    "Form",
    "Split",
    "export_labels",
    "export_lines",
]
