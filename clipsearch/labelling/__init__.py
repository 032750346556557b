"""Make, show, change and delete label sets: their words, thresholds and example images."""

from __future__ import annotations

from clipsearch.labelling.describing import describe, describe_draft
from clipsearch.labelling.editing import change_labels, edit_label, set_thresholds
from clipsearch.labelling.examples import ExampleSource, add_examples, keep_as_examples
from clipsearch.labelling.sets import (
    as_saved,
    check_label_set,
    delete_label_set,
    install_built_in,
    label_set_history,
    list_built_in,
    list_label_sets,
    lost_with_label_set,
    save_label_set,
    show_label_set,
    stored_label_set,
)

__all__ = [
    "ExampleSource",
    "add_examples",
    "as_saved",
    "change_labels",
    "check_label_set",
    "delete_label_set",
    "describe",
    "describe_draft",
    "edit_label",
    "install_built_in",
    "keep_as_examples",
    "label_set_history",
    "list_built_in",
    "list_label_sets",
    "lost_with_label_set",
    "save_label_set",
    "set_thresholds",
    "show_label_set",
    "stored_label_set",
]
