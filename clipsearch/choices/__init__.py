"""What is chosen from: label sets with the rows that stand for their labels by one model, kept in memory."""

from __future__ import annotations

from clipsearch.choices.choice import Choice, choice_of
from clipsearch.choices.sets import label_set_of

__all__ = ["Choice", "choice_of", "label_set_of"]
