"""Embeds a folder with transformers' CLIPModel as its documentation shows it: processor, model, batch after batch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from benchmarking.runners.guard import mend_torchvision
from benchmarking.runners.stopwatch import Stopwatch, told


def main() -> None:
    """Told: folder, dtype, batch_size, threads, result."""
    asked = told()
    watch = Stopwatch()
    mend_torchvision()
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    pillow: Any = importlib.import_module("PIL.Image")
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    # The defaults of its configuration are those of openai/clip-vit-base-patch32.
    model = transformers.CLIPModel(transformers.CLIPConfig()).eval().to(getattr(torch, asked["dtype"]))
    processor = transformers.CLIPImageProcessor()
    paths = sorted(Path(asked["folder"]).glob("*.jpg"))
    rows = []
    for start in range(0, len(paths), asked["batch_size"]):
        chosen = paths[start : start + asked["batch_size"]]
        pictures = [pillow.open(path).convert("RGB") for path in chosen]
        pixels = processor(images=pictures, return_tensors="pt")["pixel_values"].to(model.dtype)
        with torch.inference_mode():
            features = model.get_image_features(pixel_values=pixels)
            features = getattr(features, "pooler_output", features)  # since version 5 it is an output object
            rows.append(torch.nn.functional.normalize(features.float(), dim=-1))
        watch.batch(start + len(chosen))
    torch.save(torch.cat(rows), Path(asked["output"]))
    watch.tell(asked["result"])


if __name__ == "__main__":
    main()
