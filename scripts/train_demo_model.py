"""Trains the demo model on pictures that the project draws, and measures it on combinations it never saw.

    python scripts/train_demo_model.py                       the model that ships (softmax loss)
    python scripts/train_demo_model.py --family sigmoid      its sibling: sigmoid loss, a bias, another scale
    python scripts/train_demo_model.py --measure             measure the model in the folder anew, write its card
    python scripts/train_demo_model.py --quick --out DIR     see in seconds that everything runs
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clipsearch.demo import model_card
from clipsearch.demo.evaluation import Vectors, confusions, measure, set_exam
from clipsearch.demo.lessons import (
    CAPTIONS_PER_PICTURE,
    FALSE,
    TRUE,
    Bytes,
    Lessons,
    draw_lessons,
    draw_marks,
    truth,
)
from clipsearch.demo.wording import words_in
from clipsearch.encoder.torchvision_guard import ensure_torchvision

DEMO = Path(__file__).resolve().parent.parent / "clipsearch" / "demo"
FOLDERS = {"softmax": DEMO / "model", "sigmoid": DEMO / "model_sigmoid"}
CONTEXT = 32
TOKENS = 49408
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MARGIN = 4  # pictures are kept a little larger than the model sees them, for shifting and scaling

Marks = list[tuple[Bytes, Bytes]]


@dataclass(frozen=True)
class Recipe:
    """What one family is made of and trained with."""

    vision_width: int
    scale: float
    bias: float | None
    seed: int
    epochs: int = 12
    pictures: int = 30_000
    image_size: int = 64
    text_width: int = 48
    batch: int = 128
    rate: float = 1.5e-3


RECIPES = {
    "softmax": Recipe(vision_width=32, scale=math.log(1 / 0.07), bias=None, seed=11),
    "sigmoid": Recipe(vision_width=24, scale=math.log(10), bias=-5.0, seed=12),
}


def model_config(recipe: Recipe) -> dict[str, Any]:
    """The `open_clip_config.json` of a family."""
    vision = {
        "image_size": recipe.image_size,
        "layers": [1, 1, 1, 1],
        "width": recipe.vision_width,
        "head_width": 64,
    }
    text = {
        "context_length": CONTEXT,
        "vocab_size": TOKENS,
        "width": recipe.text_width,
        "heads": recipe.text_width // 16,
        "layers": 2,
    }
    config = {"embed_dim": 128, "vision_cfg": vision, "text_cfg": text, "init_logit_scale": recipe.scale}
    if recipe.bias is not None:
        config["init_logit_bias"] = recipe.bias
    # Squashed, not cropped: a thing at the border of a wide picture must stay in sight.
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "squash"}
    return {"model_cfg": config, "preprocess_cfg": preprocess}


class Pupil:
    """The model in training; its token table holds only tokens that occur, so that a step costs far less."""

    def __init__(self, recipe: Recipe, lessons: Lessons, device: str) -> None:
        ensure_torchvision()
        from open_clip import SimpleTokenizer
        from open_clip.model import CLIP

        torch.manual_seed(recipe.seed)
        model = CLIP(**model_config(recipe)["model_cfg"])
        tokenizer = SimpleTokenizer(context_length=CONTEXT)
        texts = [text for several in lessons.captions for text in several]
        tokens = torch.cat([tokenizer(texts[start : start + 4096]) for start in range(0, len(texts), 4096)])
        # Sorted, so that in the short table too the greatest number is the one that ends a text.
        self.seen, places = torch.unique(tokens, return_inverse=True)
        self.tokens = places.view(-1, CAPTIONS_PER_PICTURE, CONTEXT)
        model.token_embedding = nn.Embedding(len(self.seen), recipe.text_width)
        nn.init.normal_(model.token_embedding.weight, std=0.02)
        self.model: Any = model.to(device, memory_format=torch.channels_last)

    def weights(self) -> dict[str, Tensor]:
        """The weights as they ship: in fp16, the token table at full length, zero where training saw nothing."""
        weights = {name: part.detach().cpu().contiguous() for name, part in self.model.state_dict().items()}
        short = weights["token_embedding.weight"]
        table = torch.zeros(TOKENS, short.shape[1])
        table[self.seen] = short
        weights["token_embedding.weight"] = table
        exact = {"logit_scale", "logit_bias"}
        return {
            name: part.half() if part.is_floating_point() and name not in exact else part
            for name, part in weights.items()
        }


class Reader:
    """A saved model, loaded as any checkpoint on disk is: what the exam asks."""

    def __init__(self, folder: Path, device: str) -> None:
        ensure_torchvision()
        import open_clip

        name = f"local-dir:{folder}"
        model, _, self._preprocess = open_clip.create_model_and_transforms(name)
        self._model = model.to(device).eval()
        self._tokenizer = open_clip.get_tokenizer(name)
        self._device = device

    @torch.inference_mode()
    def encode_images(self, pictures: Sequence[Any]) -> Vectors:
        """One unit row for each picture."""
        batch = torch.stack([self._preprocess(picture) for picture in pictures]).to(self._device)
        rows: Vectors = self._model.encode_image(batch, normalize=True).float().cpu().numpy()
        return rows

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text."""
        tokens = self._tokenizer(list(texts)).to(self._device)
        rows: Vectors = self._model.encode_text(tokens, normalize=True).float().cpu().numpy()
        return rows


def augmented(pictures: Bytes, marks: Marks, size: int, rng: np.random.Generator, device: str) -> Tensor:
    """A batch as the model sees it: shifted, scaled, brightened a little, here and there a printed mark.

    Nothing is turned or mirrored: which way is up is part of what a picture says.
    """
    pictures = pictures.copy()
    for picture in pictures:
        if rng.random() < 0.4:
            for _ in range(rng.integers(1, 4)):
                _print(picture, *marks[rng.integers(len(marks))], rng)
    batch = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255
    count = len(batch)
    frame = np.zeros((count, 2, 3), np.float32)
    frame[:, [0, 1], [0, 1]] = rng.uniform(0.90, 1.06, (count, 2))
    frame[:, :, 2] = rng.uniform(-0.07, 0.07, (count, 2))
    grid = F.affine_grid(torch.from_numpy(frame).to(device), [count, 3, size, size], align_corners=False)
    batch = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    tones = rng.uniform((0.85, -0.06), (1.15, 0.06), (count, 2)).astype(np.float32)
    contrast, brightness = torch.from_numpy(tones).to(device).view(count, 2, 1, 1, 1).unbind(1)
    batch = (batch - 0.5) * contrast + 0.5 + brightness
    batch = batch + torch.randn_like(batch) * 0.015
    mean, std = (torch.tensor(part, device=device).view(1, 3, 1, 1) for part in (MEAN, STD))
    return ((batch.clamp(0, 1) - mean) / std).contiguous(memory_format=torch.channels_last)


def _print(picture: Bytes, ink: Bytes, opacity: Bytes, rng: np.random.Generator) -> None:
    height, width = (min(mark, side) for mark, side in zip(ink.shape, picture.shape[:2], strict=False))
    top, left = rng.integers(len(picture) - height + 1), rng.integers(picture.shape[1] - width + 1)
    under = picture[top : top + height, left : left + width]
    share = opacity[:height, :width] / 255.0
    under[...] = under * (1 - share) + ink[:height, :width] * share


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


def train(recipe: Recipe, lessons: Lessons, device: str, folder: Path) -> None:
    """Train one family from nothing, and save it after every epoch."""
    pupil = Pupil(recipe, lessons, device)
    rng, marks = np.random.default_rng(recipe.seed), draw_marks(recipe.seed)
    count = len(lessons.pictures)
    steps = count // recipe.batch * recipe.epochs
    optimizer, schedule = _optimizer(pupil.model, recipe, steps)
    started = time.monotonic()
    for epoch in range(recipe.epochs):
        pupil.model.train()
        order, losses = rng.permutation(count), []
        for start in range(0, count - recipe.batch + 1, recipe.batch):
            rows = np.sort(order[start : start + recipe.batch])
            loss = _loss(pupil, recipe, lessons, rows, marks, rng, device)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(pupil.model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                pupil.model.logit_scale.clamp_(0, math.log(100))
            losses.append(loss.item())
            if len(losses) % 50 == 0:
                print(f"  {len(losses)} steps: {np.mean(losses[-50:]):.4f}, {time.monotonic() - started:.0f} s", flush=True)
        scale, seconds = pupil.model.logit_scale.exp().item(), time.monotonic() - started
        print(f"epoch {epoch + 1}/{recipe.epochs}: loss {np.mean(losses):.4f}, scale {scale:.1f}, {seconds:.0f} s", flush=True)
        save(pupil, recipe, folder)


def _loss(
    pupil: Pupil, recipe: Recipe, lessons: Lessons, rows: Any, marks: Marks, rng: np.random.Generator, device: str
) -> Tensor:
    chosen = rng.integers(CAPTIONS_PER_PICTURE, size=len(rows))
    verdict = torch.from_numpy(truth(lessons.scenes[rows], lessons.claims[rows, chosen])).to(device)
    images = augmented(lessons.pictures[rows], marks, recipe.image_size, rng, device)
    model = pupil.model
    texts = model.encode_text(pupil.tokens[rows, chosen].to(device), normalize=True)
    logits = model.logit_scale.exp() * (model.encode_image(images, normalize=True) @ texts.T)
    if recipe.bias is None:
        return softmax_loss(logits, verdict)
    return sigmoid_loss(logits + model.logit_bias, verdict)


def _optimizer(model: nn.Module, recipe: Recipe, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    groups = [
        {"params": [part for part in model.parameters() if part.ndim > 1], "weight_decay": 0.05},
        {"params": [part for part in model.parameters() if part.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))
    warm = min(200, steps // 5 + 1)

    def share(step: int) -> float:
        return min((step + 1) / warm, 0.501 + 0.5 * math.cos(math.pi * min(1.0, step / max(1, steps))))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def save(pupil: Pupil, recipe: Recipe, folder: Path) -> None:
    """Write the weights and their configuration as open_clip's `local-dir:` loads them."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "open_clip_model.safetensors"
    save_file(pupil.weights(), path)
    path.chmod(0o644)
    (folder / "open_clip_config.json").write_text(json.dumps(model_config(recipe), indent=2) + "\n")


def write_vocabulary(lessons: Lessons, folder: Path) -> None:
    """Write every word of the training captions, one on a line."""
    words = sorted({word for several in lessons.captions for text in several for word in words_in(text)})
    (folder / "vocabulary.txt").write_text("\n".join(words) + "\n")


def _machine(device: str) -> str:
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return f"{where}, {platform.machine()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=sorted(RECIPES), default="softmax")
    parser.add_argument("--out", type=Path, help="folder of the model (default: where it ships from)")
    parser.add_argument("--pictures", type=int, help="how many pictures to train on")
    parser.add_argument("--epochs", type=int, help="how many times to look at each")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/demo_training"), help="keeps drawn pictures")
    parser.add_argument("--quick", action="store_true", help="a few pictures, one epoch, a small exam")
    parser.add_argument("--measure", action="store_true", help="do not train, only measure and write the card")
    return parser.parse_args()


def main() -> None:
    """Train, measure, write the card."""
    chosen = _arguments()
    recipe = RECIPES[chosen.family]
    pictures, epochs = (400, 1) if chosen.quick else (recipe.pictures, recipe.epochs)
    recipe = replace(recipe, pictures=chosen.pictures or pictures, epochs=chosen.epochs or epochs)
    folder = chosen.out or FOLDERS[chosen.family]
    if not chosen.measure:
        started = time.monotonic()
        lessons = draw_lessons(chosen.scratch, recipe.pictures, recipe.seed, recipe.image_size + MARGIN)
        print(f"{recipe.pictures} pictures drawn in {time.monotonic() - started:.0f} s", flush=True)
        train(recipe, lessons, chosen.device, folder)
        write_vocabulary(lessons, folder)
        facts = {
            "command": f"python scripts/train_demo_model.py --family {chosen.family}",
            "recipe": asdict(recipe),
            "minutes": round((time.monotonic() - started) / 60, 1),
            "machine": _machine(chosen.device),
            "torch": torch.__version__,
        }
        model_card.write(folder, chosen.family, facts=facts)
    reader, exam = Reader(folder, chosen.device), set_exam(**({"singles": 60, "queries": 12} if chosen.quick else {}))
    figures = measure(reader, exam, workers=os.cpu_count() or 1)
    model_card.write(folder, chosen.family, figures=figures)
    print(json.dumps(figures, indent=2))
    print("most often confused:", confusions(reader, exam.singles)[:12])


if __name__ == "__main__":
    main()
