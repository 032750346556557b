"""Indexes a folder with rclip as its command line does; its models lie in RCLIP_DATADIR, so it downloads nothing."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from benchmarking.runners.stopwatch import Stopwatch, told


def main() -> None:
    """Told: folder, result."""
    asked = told()
    watch = Stopwatch()
    program: Any = importlib.import_module("rclip.main")
    store, done = program.RClip._store_image_features, 0

    def noted(self: Any, paths: list[str], *others: Any) -> None:
        nonlocal done
        count = len(paths)
        store(self, paths, *others)
        done += count
        watch.batch(done)

    program.RClip._store_image_features = noted
    # init_rclip is what the command runs before a search; 8 is its own batch size.
    with contextlib.chdir(asked["folder"]):
        rclip, model, database = program.init_rclip(asked["folder"], 8)
    database.close()
    watch.tell(asked["result"])
    rclip.close()
    model.close()


if __name__ == "__main__":
    main()
