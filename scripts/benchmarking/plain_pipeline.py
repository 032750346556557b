"""open_clip's own transform on the whole picture, with decoding ahead in threads: what reduced decoding is held to."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray


def plain_transform(size: int) -> Callable[[Path], NDArray[np.float32]]:
    """From a file to the model's input by open_clip's published evaluation transform: float32 [3, size, size]."""
    from open_clip.transform import image_transform

    transform: Any = image_transform(size, is_train=False)

    def prepared(path: Path) -> NDArray[np.float32]:
        with PIL.Image.open(path) as picture:
            pixels: NDArray[np.float32] = transform(picture).numpy()
        return pixels

    return prepared


def embed(encoder: Any, paths: Sequence[Path], prepare: Callable[[Path], Any]) -> NDArray[np.float32]:
    """Embed files, two batches being decoded ahead by a thread for each core; rows in order, float32 [n, d]."""
    size = encoder.batch_size
    rows: list[NDArray[np.float32]] = []
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        waiting: deque[Future[Any]] = deque()
        coming = iter(paths)
        done = 0
        while done < len(paths):
            for path in coming:
                waiting.append(executor.submit(prepare, path))
                if len(waiting) >= 2 * size:
                    break
            batch = [waiting.popleft().result() for _ in range(min(size, len(waiting)))]
            rows.append(encoder.encode_prepared(batch).vectors)
            done += len(batch)
    return np.concatenate(rows)
