"""What the demo model is punished for; it alone holds the losses of its training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from clipsearch.demo.grading import FALSE, TRAIT_GROUPS, TRUE


def softmax_loss(logits: Tensor, verdict: Tensor) -> Tensor:
    """Every true pair against the false ones of its row and of its column; true pairs never compete."""
    false, right = verdict == FALSE, verdict == TRUE
    loss = logits.new_zeros(())
    for scores, wrong, good in ((logits, false, right), (logits.T, false.T, right.T)):
        against = scores.masked_fill(~wrong, -1e4).logsumexp(1, keepdim=True)
        each = F.softplus(against - scores) * good
        loss = loss + (each.sum(1) / good.sum(1).clamp(min=1)).mean() / 2
    return loss


def sigmoid_loss(logits: Tensor, verdict: Tensor) -> Tensor:
    """Every pair for itself, true or false; pairs in doubt are left out."""
    right = verdict == TRUE
    each = F.softplus(torch.where(right, -logits, logits)) * (right | (verdict == FALSE))
    return each.sum() / len(logits)


def naming_loss(scores: Tensor, named: Any) -> Tensor:
    """What rows name against the rest of each group of traits: objects, colours, places and so on."""
    right = torch.from_numpy(named).to(scores.device)
    loss = scores.new_zeros(())
    for first, end in TRAIT_GROUPS:
        group, good = scores[:, first:end], right[:, first:end]
        against = group.masked_fill(good, -1e4).logsumexp(1, keepdim=True)
        each = (F.softplus(against - group) * good).sum(1) / good.sum(1).clamp(min=1)
        loss = loss + each.sum() / good.any(1).sum().clamp(min=1)
    return loss


def label_loss(logits: Tensor, named: Any) -> Tensor:
    """Every label for itself over all pictures: right or wrong, and before or after pictures that lack the object.

    A mean average precision asks for the second; it makes scores of one label comparable from picture to picture.
    """
    right = torch.from_numpy(named).to(logits.device)
    each = F.softplus(torch.where(right, -logits, logits))
    against = logits.masked_fill(right, -1e4).logsumexp(0, keepdim=True)
    ranked = F.softplus(against - logits)[right]
    return each.sum() / len(logits) + ranked.sum() / max(1, len(ranked))
