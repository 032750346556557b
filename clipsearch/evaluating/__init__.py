"""Measure labels, captions and vector indexes on one's own pictures, and reproduce published figures.

Leaves out how a figure is computed (``metrics``) and how a report looks (``reports``).
"""

from __future__ import annotations

from clipsearch.evaluating.contenders import Side
from clipsearch.evaluating.evaluate import EvaluationOptions, evaluate
from clipsearch.evaluating.index_recall import index_recall
from clipsearch.evaluating.report import check_report, write_report
from clipsearch.evaluating.reproducing import reproduce
from clipsearch.evaluating.reviewed import read_reviews
from clipsearch.evaluating.samples import Material, Sample, read_samples
from clipsearch.evaluating.sweeping import templates_from

__all__ = [
    "EvaluationOptions",
    "Material",
    "Sample",
    "Side",
    "check_report",
    "evaluate",
    "index_recall",
    "read_reviews",
    "read_samples",
    "reproduce",
    "templates_from",
    "write_report",
]
