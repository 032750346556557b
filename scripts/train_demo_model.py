"""Trains the demo model on pictures that the project draws, and measures it on combinations it never saw.

Without options it trains the model that ships; `--help` names its options.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from demo_losses import label_loss, naming_loss, sigmoid_loss, softmax_loss
from demo_pupil import Pupil
from torch import Tensor, nn

from clipsearch.demo import model_card
from clipsearch.demo.evaluation import Vectors, confusions, measure, set_exam
from clipsearch.demo.grading import TRAIT_GROUPS, traits, truth
from clipsearch.demo.lessons import (
    CAPTIONS_PER_PICTURE,
    LABELS_PER_OBJECT,
    Lessons,
    draw_lessons,
    paired,
    stamped,
    vocabulary,
)
from clipsearch.demo.recipe import FOLDERS, MEAN, RECIPES, STD, Recipe, model_config
from clipsearch.demo.scenes import OBJECTS
from clipsearch.encoder.torchvision_guard import ensure_torchvision

ANCHOR_SCALE, NAMING_SHARE = 30.0, 0.4
OBJECT_TRAITS = slice(*TRAIT_GROUPS[0])
MARGIN = 4  # pictures are kept a little larger than the model sees them, for shifting and scaling


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


def augmented(lessons: Lessons, rows: Any, size: int, rng: np.random.Generator, device: str) -> Tensor:
    """A batch as the model sees it: shifted, scaled, brightened, marked, but never turned: uprightness counts."""
    batch = (
        torch.from_numpy(stamped(lessons.pictures[rows], lessons.marks, rng)).to(device).permute(0, 3, 1, 2).float()
        / 255
    )
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


def train(
    recipe: Recipe, lessons: Lessons, device: str, folder: Path, done: int = 0, begun: Path | None = None
) -> None:
    """Train one family and save it after every epoch; with `done` epochs behind it, go on from the folder."""
    pupil = Pupil(recipe, lessons, device, folder if done else None, begun)
    rng = np.random.default_rng(recipe.seed)
    steps = (count := len(lessons.pictures)) // recipe.batch * recipe.epochs
    optimizer, schedule = _optimizer(pupil.parameters(), recipe, steps, steps * done // recipe.epochs)
    started = time.monotonic()
    for epoch in range(done, recipe.epochs):
        pupil.attend()
        order = paired(lessons.scenes, rng)
        losses: list[float] = []
        for start in range(0, count - recipe.batch + 1, recipe.batch):
            rows = np.sort(order[start : start + recipe.batch])
            loss = _loss(pupil, recipe, lessons, rows, rng, device)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            pupil.follow(epoch * (count // recipe.batch) + len(losses))
            with torch.no_grad():
                pupil.model.logit_scale.clamp_(0, math.log(100))
            losses.append(loss.item())
            if len(losses) % 50 == 0:
                print(f"  step {len(losses)}: loss {np.mean(losses[-50:]):.4f}", flush=True)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.monotonic() - started:.0f} s", flush=True)
        save(pupil, recipe, folder)


def _loss(pupil: Pupil, recipe: Recipe, lessons: Lessons, rows: Any, rng: np.random.Generator, device: str) -> Tensor:
    chosen = rng.integers(CAPTIONS_PER_PICTURE, size=len(rows))
    claims = np.concatenate([lessons.claims[rows, chosen], lessons.foil_claims[rows, chosen]])
    verdict = torch.from_numpy(truth(lessons.scenes[rows], claims)).to(device)
    images = augmented(lessons, rows, recipe.image_size, rng, device)
    model = pupil.model
    labels = pupil.labels[np.arange(len(OBJECTS)), rng.integers(LABELS_PER_OBJECT, size=len(OBJECTS))]
    tokens = torch.cat([pupil.tokens[rows, chosen], pupil.foils[rows, chosen], labels])
    texts, labels = model.encode_text(tokens.to(device), normalize=True).split([2 * len(rows), len(OBJECTS)])
    seen = model.encode_image(images, normalize=True)
    shown = traits(lessons.scenes[rows])
    logits = model.logit_scale.exp() * (seen @ texts.T)
    scale, bias = pupil.belief if recipe.bias is None else (model.logit_scale, model.logit_bias)
    loss = recipe.label_share * label_loss(scale.exp() * (seen @ labels.T) + bias, shown[:, OBJECT_TRAITS])
    if recipe.trunk_of is None:  # a sibling knows its traits from the first
        loss = loss + NAMING_SHARE * _naming(pupil, seen, texts, shown, traits(claims))
    if recipe.bias is None:
        return loss + softmax_loss(logits, verdict)
    return loss + sigmoid_loss(logits + model.logit_bias, verdict)


def _naming(pupil: Pupil, seen: Tensor, texts: Tensor, shown: Any, claimed: Any) -> Tensor:
    anchors = ANCHOR_SCALE * F.normalize(pupil.anchors).T
    named = naming_loss(seen @ anchors, shown) + naming_loss(texts @ anchors, claimed)
    for index, head in enumerate(pupil.heads):
        named = named + naming_loss(head(pupil.maps[index]).flatten(2).logsumexp(2), shown)
    return named


def _optimizer(parts: list[nn.Parameter], recipe: Recipe, steps: int, done: int) -> tuple[torch.optim.Optimizer, Any]:
    decayed, others = [part for part in parts if part.ndim > 1], [part for part in parts if part.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))
    warm = min(40 if done else 200, steps // 5 + 1)

    def share(step: int) -> float:
        return min((step + 1) / warm, 0.501 + 0.5 * math.cos(math.pi * min(1.0, (step + done) / max(1, steps))))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def save(pupil: Pupil, recipe: Recipe, folder: Path) -> None:
    """Write the weights and their configuration as open_clip's `local-dir:` loads them."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "open_clip_model.safetensors"
    save_file(pupil.weights(), path)
    path.chmod(0o644)
    (folder / "open_clip_config.json").write_text(json.dumps(model_config(recipe), indent=2) + "\n")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=sorted(RECIPES), default="softmax")
    parser.add_argument("--out", type=Path, help="folder of the model")
    parser.add_argument("--pictures", type=int, help="how many pictures to train on")
    parser.add_argument("--epochs", type=int, help="how many times to look at each")
    parser.add_argument("--done", type=int, default=0, help="go on after so many epochs of an interrupted training")
    parser.add_argument("--begun", type=Path, help="begin with the weights of this folder, made on smaller pictures")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/demo_training"), help="keeps drawn pictures")
    parser.add_argument("--quick", action="store_true", help="a few pictures, one epoch, a small exam")
    parser.add_argument("--measure", action="store_true", help="do not train, only measure and write the card")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Train, measure, write the card."""
    chosen = _arguments(given)
    recipe = RECIPES[chosen.family]
    pictures, epochs, workers = (400, 1, 1) if chosen.quick else (recipe.pictures, recipe.epochs, 2)
    recipe = replace(recipe, pictures=chosen.pictures or pictures, epochs=chosen.epochs or epochs)
    folder = chosen.out or FOLDERS[chosen.family]
    if not chosen.measure:
        started = time.monotonic()
        lessons = draw_lessons(
            chosen.scratch, recipe.pictures, recipe.seed, recipe.image_size + MARGIN, workers=workers
        )
        print(f"{recipe.pictures} pictures drawn in {time.monotonic() - started:.0f} s", flush=True)
        train(recipe, lessons, chosen.device, folder, chosen.done, chosen.begun)
        (folder / "vocabulary.txt").write_text("\n".join(vocabulary(lessons)) + "\n")
        facts = {
            "command": f"python scripts/train_demo_model.py --family {chosen.family}",
            "recipe": asdict(recipe),
            "minutes": round((time.monotonic() - started) / 60, 1),
            "machine": f"{chosen.device}, {torch.get_num_threads()} threads, {platform.machine()}",
            "torch": torch.__version__,
        }
        model_card.write(folder, chosen.family, facts=facts)
    reader, exam = Reader(folder, chosen.device), set_exam(**({"singles": 30, "queries": 4} if chosen.quick else {}))
    figures = measure(reader, exam, workers=workers)
    model_card.write(folder, chosen.family, figures=figures)
    print(json.dumps(figures, indent=2))
    print("most often confused:", confusions(reader, exam.singles)[:12])


if __name__ == "__main__":
    main()
