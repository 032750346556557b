"""A batch of texts cut at its longest gives the rows of the whole one, for every kind of text tower."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from encoder_fixtures import Checkpoints, make_checkpoints
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from clipsearch.encoder import OpenClipEncoder, open_encoder
from clipsearch.encoder.factory import open_clip
from clipsearch.encoder.text_cut import WHOLE, TextCut
from clipsearch.encoder.text_tower import CutTextTower, cuttable, text_tower

_START, _END, _CONTEXT = 49406, 49407, 77
_TEXT: dict[str, Any] = {"context_length": _CONTEXT, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
_VISION: dict[str, Any] = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
_POOLS = ("argmax", "eos", "first", "last")
_FAMILIES = ("bert", "m2m_100", "mt5", "roberta", "xlm-roberta")
_POOLERS = ("mean_pooler", "cls_pooler", "cls_last_hidden_state_pooler")
_BLOCKS = ("qk_norm", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")


def _config(*, custom: bool = True, coca: bool = False, **text: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"embed_dim": 24, "vision_cfg": _VISION, "text_cfg": {**_TEXT, "eos_id": _END, **text}}
    if coca:
        config["multimodal_cfg"] = {**_TEXT, "attn_pooler_heads": 2}
        config["vision_cfg"] = {**_VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
        config["text_cfg"] |= {"output_tokens": True}
    return {**config, "custom_text": custom or coca}


def _own_towers() -> dict[str, dict[str, Any]]:
    towers = {
        f"{'text' if custom else 'clip'}-{pool}-{'open' if no_mask else 'causal'}": _config(
            custom=custom, pool_type=pool, no_causal_mask=no_mask
        )
        for custom in (False, True)
        for pool in _POOLS
        for no_mask in (False, True)
    }
    towers |= {f"blocks-{option}": _config(**{option: True}) for option in _BLOCKS}
    for no_mask in (False, True):
        name = "open" if no_mask else "causal"
        towers[f"coca-{name}"] = _config(coca=True, embed_cls=True, no_causal_mask=no_mask)
        towers[f"class-token-{name}"] = _config(embed_cls=True, no_causal_mask=no_mask)
    towers["layer-scale"] = _config(ls_init_value=0.1)
    towers["siglip"] = _config(no_causal_mask=True, pool_type="last", proj_bias=True)
    towers["unprojected"] = {**_config(proj_type="none"), "embed_dim": 32}
    return towers


OWN = _own_towers()
WHOLE_TOWERS = {name for name in OWN if ("open" in name and "coca" not in name and "class" not in name)} | {
    "siglip",
    *(name for name in OWN if "-last-" in name),
}
HUGGING_FACE = [f"{family}-{pooler}" for family in _FAMILIES for pooler in _POOLERS]


def _family_config(family: str) -> Any:
    import transformers

    small: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    small |= {"max_position_embeddings": 120, "vocab_size": 49408}
    if family == "mt5":
        return transformers.MT5Config(vocab_size=49408, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)
    if family == "m2m_100":
        sizes = {"layers": 2, "attention_heads": 2, "ffn_dim": 64}
        both: dict[str, Any] = {
            f"{half}_{name}": size for half in ("encoder", "decoder") for name, size in sizes.items()
        }
        return transformers.M2M100Config(vocab_size=49408, d_model=32, max_position_embeddings=120, **both)
    kinds = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "xlm-roberta": transformers.XLMRobertaConfig,
    }
    return kinds[family](**small)


@pytest.fixture(scope="module")
def network_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], nn.Module]:
    """The network of a tower's name above, with random weights."""
    folder = tmp_path_factory.mktemp("towers")
    configs = dict(OWN)
    for family in _FAMILIES:
        _family_config(family).save_pretrained(folder / "families" / family)
    for name in HUGGING_FACE:
        family, _, pooler = name.rpartition("-")
        hugging: dict[str, Any] = {"hf_model_name": str(folder / "families" / family), "hf_proj_type": "linear"}
        configs[name] = _config(**hugging, hf_pooler_type=pooler)
    for name, config in configs.items():
        (folder / f"cut-{name}.json").write_text(json.dumps(config))
    open_clip().add_model_config(folder)
    made: dict[str, nn.Module] = {}

    def network(name: str) -> nn.Module:
        if name not in made:
            torch.manual_seed(len(made))
            made[name] = open_clip().create_model(f"cut-{name}", pretrained_hf=False).eval()
        return made[name]

    return network


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


# Short and long ones, some with the padding's number or a second end inside, as a text can bring them about.
_words = st.one_of(st.integers(2, 49405), st.sampled_from([0, 1, 256, _END]))
_texts = st.lists(st.lists(_words, max_size=_CONTEXT - 2), min_size=1, max_size=4)


def _tokens(texts: list[list[int]], padding: int) -> torch.Tensor:
    rows = [[_START, *words, _END] for words in texts]
    return torch.tensor([row + [padding] * (_CONTEXT - len(row)) for row in rows])


def _padding_of(network: Any) -> int:
    config = getattr(getattr(network, "text", None), "config", None)
    return 0 if config is None else int(config.pad_token_id)


def _largest_error(network: Any, tokens: torch.Tensor) -> float:
    """Between rows of the whole batch and of the one cut at its longest, alone and together, over the rows' size."""
    tower = text_tower(network).eval()
    lengths = tower.cut.lengths(tokens.numpy())
    with torch.inference_mode():
        whole = network.encode_text(tokens, normalize=False)
        together = tower(tokens[:, : lengths.max()])
        alone = torch.cat([tower(row[None, :length]) for row, length in zip(tokens, lengths, strict=True)])
    assert together.shape == whole.shape
    return float(max((together - whole).abs().max(), (alone - whole).abs().max()) / whole.abs().max())


@pytest.mark.parametrize("name", [*OWN, *HUGGING_FACE])
def test_a_cut_batch_gives_the_rows_of_the_whole_one(network_of: Callable[[str], nn.Module], name: str) -> None:
    network = network_of(name)

    @settings(max_examples=6)
    @given(_texts)
    def law(texts: list[list[int]]) -> None:
        assert _largest_error(network, _tokens(texts, _padding_of(network))) < 3e-6

    law()


@pytest.mark.parametrize("name", [*OWN, *HUGGING_FACE])
def test_a_short_text_is_cut_where_the_tower_allows_it_and_nowhere_else(
    network_of: Callable[[str], nn.Module], name: str
) -> None:
    network = network_of(name)
    lengths = text_tower(network).cut.lengths(_tokens([[5, 6, 7]], _padding_of(network)).numpy())
    assert cuttable(network) == (name not in WHOLE_TOWERS)
    assert (lengths[0] == _CONTEXT) == (name in WHOLE_TOWERS)
    assert lengths[0] in (1, 5, 6, _CONTEXT)  # six: the place that CoCa's mask is too far


@pytest.mark.parametrize("name", ["clip-argmax-causal", "coca-causal", "roberta-mean_pooler"])
def test_in_bfloat16_a_cut_batch_points_the_same_way(network_of: Callable[[str], nn.Module], name: str) -> None:
    import copy

    network: Any = copy.deepcopy(network_of(name)).to(torch.bfloat16)
    tokens = _tokens([[5, 6, 7], list(range(2, 60))], _padding_of(network))
    tower = text_tower(network).eval()
    with torch.inference_mode():
        whole = network.encode_text(tokens, normalize=False).float()
        cut = tower(tokens[:, : tower.cut.lengths(tokens.numpy()).max()]).float()
        short = tower(tokens[:1, : tower.cut.lengths(tokens[:1].numpy()).max()]).float()
    assert torch.cosine_similarity(cut, whole).min() >= 0.9999
    assert torch.cosine_similarity(short, whole[:1]).min() >= 0.9999


def test_a_tower_that_is_not_known_is_left_whole(network_of: Callable[[str], nn.Module]) -> None:
    import copy

    looking_ahead: Any = copy.deepcopy(network_of("clip-argmax-causal"))
    looking_ahead.attn_mask[0, 1] = 0.0
    own_block: Any = copy.deepcopy(network_of("text-argmax-causal"))
    own_block.text.transformer.resblocks[0] = type("Block", (type(own_block.text.transformer.resblocks[0]),), {})(32, 2)
    masked: Any = copy.deepcopy(network_of("text-argmax-causal"))
    masked.text.use_pad_mask = True
    own_family: Any = copy.deepcopy(network_of("roberta-mean_pooler"))
    own_family.text.config.model_type = "longformer"
    own_network: Any = copy.deepcopy(network_of("clip-argmax-causal"))
    own_network.__class__ = type("Network", (type(own_network),), {})
    for network in (looking_ahead, own_block, masked, own_family, own_network, nn.Identity()):
        assert not cuttable(network)
        assert type(text_tower(network)) is not CutTextTower
        assert text_tower(network).cut == WHOLE


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=1, max_size=5),
    st.sampled_from(["whole", "first", "largest", "token", "padding"]),
    st.integers(0, 2),
)
def test_lengths_follow_the_rule_of_the_pooling(rows: list[list[int]], kind: Any, spared: int) -> None:
    cut = TextCut(kind, token=0 if kind == "padding" else 5, spared=spared)

    def needed(row: list[int]) -> int:
        if kind == "first":
            return 1
        if kind == "largest":
            return row.index(max(row)) + 1
        if kind == "token":
            return row.index(5) + 1 if 5 in row else 1
        if kind == "whole" or not any(row):
            return len(row)
        return min(len(row), max(place for place, word in enumerate(row) if word) + 1 + spared)

    assert cut.lengths(np.array(rows)).tolist() == [needed(row) for row in rows]


def test_many_texts_of_many_lengths_keep_their_order(checkpoints: Checkpoints) -> None:
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
    texts = [f"{number} " + "boat " * (number * 7 % 80) for number in range(150)]
    together = encoder.encode_texts(texts)
    alone = [encoder.encode_texts([text]) for text in texts]
    np.testing.assert_allclose(together.vectors, np.concatenate([one.vectors for one in alone]), atol=1e-6)
    np.testing.assert_allclose(together.norms, np.concatenate([one.norms for one in alone]), rtol=1e-5)


def test_a_short_text_costs_no_more_tokens_than_it_has(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32", batch_size=4)
    assert isinstance(encoder, OpenClipEncoder)
    seen: list[tuple[int, ...]] = []
    before: Any = encoder._text_tower.forward

    def watched(tokens: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(tokens.shape))
        rows: torch.Tensor = before(tokens)
        return rows

    monkeypatch.setattr(encoder._text_tower, "forward", watched)
    encoder.encode_texts(["a boat"])
    encoder.encode_texts(["a boat", "boat " * 70, "a dog", "a cat", "a red boat"])
    # The short ones together, and the long one for itself.
    assert seen == [(1, 4), (4, 5), (1, 72)]


def test_the_tower_of_a_loaded_model_follows_its_weights(checkpoints: Checkpoints) -> None:
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
    assert isinstance(encoder, OpenClipEncoder)
    before = encoder.encode_texts(["a boat"]).vectors
    with torch.no_grad():
        encoder._network.text_projection.mul_(-1)
    np.testing.assert_allclose(encoder.encode_texts(["a boat"]).vectors, -before, atol=1e-6)
