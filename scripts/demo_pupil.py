"""The demo model while it learns; it alone knows what of it starts anew, what stands still and what ships."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clipsearch.demo.grading import TRAIT_GROUPS
from clipsearch.demo.lessons import Lessons
from clipsearch.demo.recipe import CONTEXT, FOLDERS, TOKENS, Recipe, model_config
from clipsearch.encoder.torchvision_guard import ensure_torchvision

FRESH = ("logit_scale",)
EXACT = ("logit_scale", "logit_bias")  # these two stay in fp32
LOWEST = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "layer1")  # see edges and tints, whatever the size
WORDS_OUT, PICTURES_OUT = "text_projection", "visual.attnpool.c_proj"
PLACES_SEEN = "visual.attnpool.positional_embedding"


class Pupil:
    """The model in training; its token table holds only tokens that occur, so that a step costs far less."""

    def __init__(
        self, recipe: Recipe, lessons: Lessons, device: str, resumed: Path | None = None, begun: Path | None = None
    ) -> None:
        ensure_torchvision()
        from open_clip import SimpleTokenizer
        from open_clip.model import CLIP

        torch.manual_seed(recipe.seed)
        model = CLIP(**model_config(recipe)["model_cfg"])
        tokenizer = SimpleTokenizer(context_length=CONTEXT)
        books = (lessons.captions, lessons.foils, lessons.labels)
        texts = [text for book in books for several in book for text in several]
        tokens = torch.cat([tokenizer(texts[start : start + 4096]) for start in range(0, len(texts), 4096)])
        # Sorted, so that in the short table too the greatest number is the one that ends a text.
        self.seen, places = torch.unique(tokens, return_inverse=True)
        self.tokens, self.foils, self.labels = (
            part.view(len(book), -1, CONTEXT)
            for book, part in zip(books, places.split([len(book) * len(book[0]) for book in books]), strict=True)
        )
        model.token_embedding = nn.Embedding(len(self.seen), recipe.text_width)
        nn.init.normal_(model.token_embedding.weight, std=0.02)
        if known := resumed or begun:
            self._take(model, known, ())
        elif recipe.trunk_of:
            self._take(model, FOLDERS[recipe.trunk_of], FRESH)
        self.still: list[Any] = []
        if recipe.trunk_of:
            self.still = [part for name, part in model.visual.named_children() if name != "attnpool"]
        elif begun:
            self.still = [getattr(model.visual, name) for name in LOWEST]
        for part in self.still:
            part.requires_grad_(False)
        # Points in the shared space, one for each trait, that both towers are drawn to: they teach shapes long
        # before pairs of pictures and captions do, and do not ship.
        self.anchors = nn.Parameter(torch.randn(TRAIT_GROUPS[-1][1], recipe.dimension, device=device))
        # Likewise two heads that name what the last maps of the picture tower show, place by place.
        depths = (16 * recipe.vision_width, 32 * recipe.vision_width)
        self.heads = nn.ModuleList(nn.Conv2d(depth, TRAIT_GROUPS[-1][1], 1) for depth in depths).to(device)
        # How sharply, and from which score on, a label is taken to be true where the model has no bias of its own.
        self.belief = nn.Parameter(torch.tensor([3.0, -6.0], device=device))
        self.model: Any = model.to(device, memory_format=torch.channels_last)
        self.average: Any = copy.deepcopy(self.model)
        self.maps: dict[int, Tensor] = {}
        for index, layer in enumerate((self.model.visual.layer3, self.model.visual.layer4)):
            layer.register_forward_hook(lambda _layer, _given, made, index=index: self.maps.update({index: made}))

    def parameters(self) -> list[nn.Parameter]:
        """Everything that learns."""
        parts = [*self.model.parameters(), *self.heads.parameters(), self.anchors, self.belief]
        return [part for part in parts if part.requires_grad]

    def attend(self) -> None:
        """Set all to learning, except parts that stand still: those keep their batch statistics as well."""
        self.model.train()
        for part in self.still:
            part.eval()

    def follow(self, step: int) -> None:
        """Let the average of the weights, which is what ships, follow the weights."""
        share = 1 - min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
                mean.lerp_(now, share) if mean.is_floating_point() else mean.copy_(now)

    def _take(self, model: nn.Module, folder: Path, fresh: Sequence[str]) -> None:
        from safetensors.torch import load_file

        known = load_file(folder / "open_clip_model.safetensors")
        known["token_embedding.weight"] = known["token_embedding.weight"][self.seen]
        own = model.state_dict()
        known[PLACES_SEEN] = stretched(known[PLACES_SEEN], len(own[PLACES_SEEN]))
        known = narrowed(known, own[WORDS_OUT].shape[1])
        own.update({name: part for name, part in known.items() if name not in fresh})
        model.load_state_dict(own)

    def weights(self) -> dict[str, Tensor]:
        """The weights as they ship: in fp16, the token table at full length, zero where training saw nothing."""
        weights = {name: part.detach().cpu().contiguous() for name, part in self.average.state_dict().items()}
        table = torch.zeros(TOKENS, weights["token_embedding.weight"].shape[1])
        table[self.seen] = weights["token_embedding.weight"]
        weights["token_embedding.weight"] = table
        halved = [name for name, part in weights.items() if part.is_floating_point() and name not in EXACT]
        return weights | {name: weights[name].half() for name in halved}


def stretched(table: Tensor, length: int) -> Tensor:
    """A table of positions (the first for the whole, then a square grid) for pictures with more positions."""
    old, new = math.isqrt(len(table) - 1), math.isqrt(length - 1)
    if old == new:
        return table
    grid = table[1:].float().T.view(1, -1, old, old)
    grid = F.interpolate(grid, (new, new), mode="bilinear", align_corners=False)
    return torch.cat([table[:1].float(), grid.flatten(2)[0].T])


def narrowed(known: dict[str, Tensor], dimension: int) -> dict[str, Tensor]:
    """The same weights for a space of fewer dimensions, in which every text keeps its products with every picture.

    Texts fill no more directions than their tower is wide. Those come first, then the strongest others of pictures.
    """
    words, pictures = known[WORDS_OUT].float(), known[f"{PICTURES_OUT}.weight"].float()
    if words.shape[1] == dimension:
        return known
    basis = torch.linalg.svd(words, full_matrices=False).Vh[:dimension]
    others = torch.linalg.svd(pictures - basis.T @ (basis @ pictures), full_matrices=False).U
    turn = torch.cat([basis, others[:, : dimension - len(basis)].T])
    return known | {
        WORDS_OUT: words @ turn.T,
        f"{PICTURES_OUT}.weight": turn @ pictures,
        f"{PICTURES_OUT}.bias": turn @ known[f"{PICTURES_OUT}.bias"].float(),
    }
