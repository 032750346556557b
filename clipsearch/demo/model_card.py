"""Writes and reads the model card beside a demo model; it alone knows how measured figures stand in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from clipsearch.demo.evaluation import DEMANDED
from clipsearch.demo.scenes import COLOURS, HELD_OUT, OBJECTS, PLACES, TIMES, all_triples

_BLOCK: Final = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
_FAMILIES: Final = {
    "softmax": "softmax (contrastive) loss, no bias: probabilities are a softmax over labels",
    "sigmoid": "sigmoid loss with a bias: every label's probability stands on its own",
}
_ORIGINS: Final = {"softmax": "from nothing", "sigmoid": "on the trunk of the softmax model's picture tower"}
_MEANINGS: Final = {
    "object_accuracy": f"which of {len(OBJECTS)} objects, one thing in the picture",
    "colour_accuracy": f"which of {len(COLOURS)} colours, one thing in the picture",
    "place_accuracy": f"which of {len(PLACES)} places",
    "time_accuracy": "day or night",
    "count_accuracy": "one, two or three things of one kind, asked as `two things`",
    "named_count_accuracy": "the same, asked as `two boats` where they are boats",
    "precision_at_5": "right among the first five, over queries that name object, colour and place",
    "object_map": "mean average precision over objects, two or three kinds of thing in the picture",
    "mean_score_present": "mean score of objects that are in such a picture",
    "mean_score_absent": "mean score of objects that are not",
}


def read(folder: Path) -> dict[str, Any]:
    """The block of facts in a folder's card: `family`, `training` and `figures`, as far as they were written."""
    path = folder / "README.md"
    found = _BLOCK.search(path.read_text(encoding="utf-8")) if path.exists() else None
    facts: dict[str, Any] = json.loads(found[1]) if found else {}
    return facts


def write(
    folder: Path, family: str, *, facts: dict[str, Any] | None = None, figures: dict[str, float] | None = None
) -> None:
    """Write the card anew; what is not given is kept from the card that stands there."""
    known = read(folder)
    known["family"] = family
    if facts is not None:
        known |= {"training": facts, "figures": {}}
    if figures is not None:
        known["figures"] = {name: round(value, 4) for name, value in figures.items()}
    (folder / "README.md").write_text(_card(known, _made_of(folder)), encoding="utf-8")


def _made_of(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    model: dict[str, Any] = config["model_cfg"]
    return model


def _card(known: dict[str, Any], model: dict[str, Any]) -> str:
    training, figures = known.get("training", {}), known.get("figures", {})
    rows = [
        f"| {_MEANINGS[name]} | `{name}` | {value:.3f} | {f'≥ {DEMANDED[name]:.2f}' if name in DEMANDED else ''} |"
        for name, value in figures.items()
    ]
    side = model["vision_cfg"]["image_size"]
    weights = "model" if known["family"] == "softmax" else "model_sigmoid"
    return f"""# The demo model ({known["family"]})

A two-tower CLIP in an open_clip architecture (ModifiedResNet and a two-layer text transformer, {side} × {side} pixels,
{model["embed_dim"]} dimensions), trained {_ORIGINS[known["family"]]} on pictures that this project draws itself.
Family: {_FAMILIES[known["family"]]}.

It loads as any local checkpoint: `local-dir:clipsearch/demo/{weights}`.

## What it knows

{len(OBJECTS)} objects: {", ".join(OBJECTS)}.
{len(COLOURS)} colours: {", ".join(COLOURS)}. {len(PLACES)} places: {", ".join(PLACES)}. {" and ".join(TIMES)}; sizes;
one to three things in a picture, of one kind or several.
`vocabulary.txt` holds every word of its training captions, one on a line. To look a query up in it: put the text in
lower case and split it at everything that is not a letter from a to z; digits are passed over.

## What it does not

It has seen nothing but drawings. On photographs its scores mean little; words outside `vocabulary.txt` mean nothing
to it; "not" and "without" it has never read. It is here to try the software, and to test it.

## Measured

On combinations of object, colour and place that training never saw ({len(HELD_OUT)} of {len(all_triples())}, chosen by
hash), by `python scripts/train_demo_model.py --family {known["family"]} --measure`:

| figure | name | measured | demanded |
|---|---|---|---|
{chr(10).join(rows)}

Prompts are means over four openings (`clipsearch/demo/evaluation.py`); precision@5 is over 200 queries with five right
pictures each among 1,600.

## Facts

Script: `{training.get("command", "?")}`. Training took {training.get("minutes", "?")} minutes on
{training.get("machine", "?")}, with torch {training.get("torch", "?")}; weights in fp16.
{training.get("note", "")}

```json
{json.dumps(known, indent=2)}
```
"""
