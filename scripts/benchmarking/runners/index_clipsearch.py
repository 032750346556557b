"""Indexes a folder with clipsearch, and measures model and decoder apart in the same process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarking.runners.stopwatch import Stopwatch, told
from clipsearch.config import read_settings
from clipsearch.indexing import index_source
from clipsearch.library import Library


def main() -> None:
    """Told: folder, data_dir, model, settings, bound (whether to measure it afterwards), result."""
    asked = told()
    watch = Stopwatch()
    settings = read_settings(data_dir=Path(asked["data_dir"]), model=asked["model"], **asked.get("settings", {}))
    with Library.open(settings) as library:

        def note(progress: Any) -> None:
            if progress.encoded and (not watch.batches or progress.encoded > watch.batches[-1][1]):
                watch.batch(progress.encoded)

        report = index_source(library, Path(asked["folder"]), on_progress=note)
        watch.tell(asked["result"], counts=report.model_dump(mode="json").get("counts"))
        if asked.get("bound"):
            from benchmarking.runners.bound import measure_bound

            encoder: Any = library.encoder(asked["model"])
            measured = measure_bound(encoder, sorted(Path(asked["folder"]).iterdir()), settings.max_pixels)
            result = Path(asked["result"])
            told_before = json.loads(result.read_text(encoding="utf-8"))
            result.write_text(json.dumps(told_before | {"bound": measured}), encoding="utf-8")


if __name__ == "__main__":
    main()
