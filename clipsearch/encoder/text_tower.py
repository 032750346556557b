"""The text half of a network as a module of its own; alone knows which towers may be handed a cut batch.

A causal tower's row hangs on the tokens up to the one that is pooled, and a tower that masks its padding on the
tokens before the padding: a batch cut there gives the same rows for less work. A tower that is neither, SigLIP's
say, is handed whole batches. What a tower is, is read from its structure, and one that is not known is left whole.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from clipsearch.encoder.factory import open_clip
from clipsearch.encoder.text_cut import WHOLE, TextCut

# Hugging Face's families that open_clip takes towers from; in each padding is seen by no one, and a token's
# place is counted from the text's start.
_MASKED_FAMILIES = {"bert", "m2m_100", "mt5", "roberta", "xlm-roberta"}


class TextTower(nn.Module):
    """Texts to rows by the network's own way; ``cut`` tells how many tokens of a batch it has to be handed.

    ``forward`` takes tokens int64 [n, l], l from the longest that ``cut.lengths`` gives up to the context
    length, and gives rows [n, d] as they come, not normalised, in the network's own number format.
    """

    def __init__(self, network: nn.Module, cut: TextCut) -> None:
        super().__init__()
        self.network = network
        self.cut = cut

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Rows [n, d], not normalised."""
        rows: torch.Tensor = cast(Any, self.network).encode_text(tokens, normalize=False)
        return rows


class CutTextTower(TextTower):
    """A tower of open_clip's own that takes batches cut at any length from ``cut.lengths`` up.

    Positions and the causal mask are sliced to the batch as it comes, so that an export keeps the length open.
    """

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Rows [n, d], not normalised."""
        tower = cast(Any, getattr(self.network, "text", self.network))
        places = tower.positional_embedding.to(tower.transformer.get_cast_dtype())
        length = tokens.shape[1]
        x = tower.token_embedding(tokens).to(places.dtype) + places[:length]
        if getattr(tower, "cls_emb", None) is None:
            x = _through(tower.transformer, x, tower.attn_mask[:length, :length])
            pooled = x[torch.arange(x.shape[0], device=x.device), self._pooled(tokens)]
        else:
            # CoCa's class token stands behind the text, and its place is the last of all, not the next.
            last = (tower.cls_emb.to(places.dtype) + places[-1]).expand(tokens.shape[0], 1, -1)
            mask = tower._build_additive_mask(tokens, length + 1, x.dtype)
            if tower.attn_mask is not None:
                mask = mask + tower.attn_mask[: length + 1, : length + 1]
            pooled = _through(tower.transformer, torch.cat([x, last], dim=1), mask)[:, -1]
        pooled = tower.ln_final(pooled)  # token by token, so that pooling first changes nothing
        projection = tower.text_projection
        if projection is None:
            return cast(torch.Tensor, pooled)
        return cast(torch.Tensor, projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection)

    def _pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """For each text the place of the token whose row is taken: int64 [n]."""
        if self.cut.kind == "first":
            return torch.zeros_like(tokens[:, 0])
        sought = tokens.amax(dim=1, keepdim=True) if self.cut.kind == "largest" else self.cut.token
        # The first of equals, which argmax promises neither for every runtime nor for every device.
        places = torch.arange(tokens.shape[1], device=tokens.device)
        found = torch.where(tokens == sought, places, tokens.shape[1]).amin(dim=1)
        return torch.where(found < tokens.shape[1], found, 0)


def _through(transformer: Any, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    for block in transformer.resblocks:
        if isinstance(block.attn, nn.MultiheadAttention):
            x = x + block.ls_1(_attention(block.attn, block.ln_1(x), mask))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
        else:
            x = block(x, attn_mask=mask)
    return x


def _attention(attention: nn.MultiheadAttention, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """torch's own self-attention, whose export to ONNX would hold on to the length it was traced with."""
    count, length, width = x.shape
    heads = attention.num_heads
    projected = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    query, key, value = (part.reshape(count, length, heads, -1).transpose(1, 2) for part in projected)
    mask = mask.to(x.dtype) if mask.ndim == 2 else mask.to(x.dtype).reshape(count, heads, length, length)
    seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    out: torch.Tensor = attention.out_proj(seen.transpose(1, 2).reshape(count, length, width))
    return out


def text_tower(network: nn.Module) -> TextTower:
    """The text half of ``network``, sharing its weights: one that takes cut batches where that is exact."""
    cut = _cut_of(network)
    if cut is None:
        return TextTower(network, WHOLE)
    # transformers' own code reads the length off the batch.
    return TextTower(network, cut) if _is_hugging_face(network) else CutTextTower(network, cut)


def cuttable(network: nn.Module) -> bool:
    """Whether a cut batch gives the same rows."""
    return _cut_of(network) is not None


def _cut_of(network: nn.Module) -> TextCut | None:
    library = open_clip()
    from open_clip.transformer import TextTransformer

    if type(network) is library.CLIP:
        return _causal_cut(network, cast(Any, network).text_pool_type, cast(Any, network).text_eos_id)
    tower = cast(Any, getattr(network, "text", None))
    if type(network) not in (library.CustomTextCLIP, library.CoCa):
        return None
    # A tower that hands out its tokens too is understood by CoCa alone.
    if getattr(tower, "output_tokens", None) != (type(network) is library.CoCa):
        return None
    if _is_hugging_face(network):
        return _masked_cut(tower)
    if type(tower) is not TextTransformer or tower.use_pad_mask:
        return None
    if tower.cls_emb is None:
        return _causal_cut(tower, tower.pool_type, tower.eos_id)
    if not _known_blocks(tower) or not (tower.attn_mask is None or _is_causal(tower)):
        return None
    # The mask of CoCa's published weights stands one place too far: the first padding is seen too.
    return TextCut("padding", tower.pad_id, spared=0 if tower.correct_cls_mask else 1)


def _causal_cut(tower: Any, pool_type: str, eos_id: int) -> TextCut | None:
    if tower.attn_mask is None or not _known_blocks(tower) or not _is_causal(tower):
        return None
    return {"first": TextCut("first"), "argmax": TextCut("largest"), "eos": TextCut("token", eos_id)}.get(pool_type)


def _masked_cut(tower: Any) -> TextCut | None:
    from open_clip.hf_model import ClsLastHiddenStatePooler, ClsPooler, MeanPooler

    if type(tower.pooler) not in (ClsLastHiddenStatePooler, ClsPooler, MeanPooler):
        return None
    if tower.config.model_type not in _MASKED_FAMILIES or not isinstance(tower.config.pad_token_id, int):
        return None
    return TextCut("padding", tower.config.pad_token_id)


def _is_hugging_face(network: nn.Module) -> bool:
    from open_clip.hf_model import HFTextEncoder

    return type(getattr(network, "text", None)) is HFTextEncoder


def _known_blocks(tower: Any) -> bool:
    from open_clip.transformer import (
        CustomResidualAttentionBlock,
        CustomTransformer,
        ResidualAttentionBlock,
        Transformer,
    )

    known = (ResidualAttentionBlock, CustomResidualAttentionBlock)
    return type(tower.transformer) in (Transformer, CustomTransformer) and all(
        type(block) in known for block in tower.transformer.resblocks
    )


def _is_causal(tower: Any) -> bool:
    mask = tower.attn_mask
    return mask.ndim == 2 and torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1))
