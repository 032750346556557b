"""Embeds a folder with clip-retrieval's own inference command; the checkpoint is a local file, which it takes."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarking.runners.guard import mend_torchvision
from benchmarking.runners.stopwatch import Stopwatch, told

mend_torchvision()  # here, for the processes that clip-retrieval starts import this file again


def main() -> None:
    """Told: folder, output, architecture, checkpoint, batch_size, workers, result."""
    asked = told()
    watch = Stopwatch()
    writer: Any = importlib.import_module("clip_retrieval.clip_inference.writer").NumpyWriter
    write, done = writer.__call__, 0

    def noted(self: Any, batch: dict[str, Any]) -> None:
        nonlocal done
        write(self, batch)
        done += len(batch["image_filename"])
        watch.batch(done)

    writer.__call__ = noted
    inference: Any = importlib.import_module("clip_retrieval.clip_inference.main")
    inference.main(
        input_dataset=asked["folder"],
        output_folder=asked["output"],
        enable_text=False,
        clip_model=f"open_clip:{asked['architecture']}/{asked['checkpoint']}",
        batch_size=asked["batch_size"],
        num_prepro_workers=asked["workers"],
    )
    watch.tell(asked["result"])


if __name__ == "__main__":
    main()
