"""The arithmetic of labels: from unit rows to scores, logits, probabilities and decisions; knows arrays only."""

from __future__ import annotations

from clipsearch.scoring.deciding import CategoryDecision, Decision, Reason, decide, decide_categories
from clipsearch.scoring.presence import Presence
from clipsearch.scoring.probabilities import log_sum_exp, sigmoid, softmax
from clipsearch.scoring.ranking import Ranked, Ranker, check_choice, ranker
from clipsearch.scoring.shares import categories_of, category_shares
from clipsearch.scoring.targets import Targets

__all__ = [
    "CategoryDecision",
    "Decision",
    "Presence",
    "Ranked",
    "Ranker",
    "Reason",
    "Targets",
    "categories_of",
    "category_shares",
    "check_choice",
    "decide",
    "decide_categories",
    "log_sum_exp",
    "ranker",
    "sigmoid",
    "softmax",
]
