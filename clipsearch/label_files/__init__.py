"""Label sets as people write them down: YAML, JSON, CSV, or one label a line, both ways; knows no database."""

from __future__ import annotations

from clipsearch.label_files.checking import MAX_PROMPTS, MAX_STORED_LABELS, checked, checked_number, draft_of
from clipsearch.label_files.reading import parse_labels, read_label_file
from clipsearch.label_files.writing import Form, write_labels

__all__ = [
    "MAX_PROMPTS",
    "MAX_STORED_LABELS",
    "Form",
    "checked",
    "checked_number",
    "draft_of",
    "parse_labels",
    "read_label_file",
    "write_labels",
]
