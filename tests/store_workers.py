"""What the fault tests do to a library in processes of their own, with an encoder that needs no torch.

The encoder stands in for the model only: the store, the index and the runs are the real ones.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from clipsearch import browsing, images
from clipsearch.config import Settings
from clipsearch.encoder import Encoded
from clipsearch.indexing import IndexingOptions, Progress, committing, index_source
from clipsearch.library import Library
from clipsearch.model import Model

BATCH = 8
NAME = "/stands/in/for/a/model"


class PixelEncoder:
    """A fixed random projection of a picture's pixels: equal pictures equal, others far apart."""

    device, dtype, runtime, batch_size, vocabulary = "cpu", "float32", "torch", BATCH, None

    def __init__(self, dimension: int) -> None:
        self.model = Model(NAME, dimension, 100.0, fingerprint="f" * 64, image_size=8)
        self._projection = np.random.default_rng(0).standard_normal((192, dimension)).astype(np.float32)

    def prepare(self, picture: PIL.Image.Image) -> NDArray[np.float32]:
        pixels = np.asarray(picture.resize((8, 8), PIL.Image.Resampling.NEAREST), dtype=np.float32)
        return pixels / 127.5 - 1.0

    def encode_prepared(self, pixels: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> Encoded:
        rows = np.stack(list(pixels)).reshape(len(pixels), -1) @ self._projection
        norms = np.linalg.norm(rows, axis=1)
        return Encoded(rows / norms[:, None], norms)

    def encode_images(self, pictures: Sequence[PIL.Image.Image]) -> Encoded:
        return self.encode_prepared([self.prepare(picture) for picture in pictures])

    def encode_texts(self, texts: Sequence[str]) -> Encoded:
        raise NotImplementedError

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def unknown_words(self, text: str) -> list[str]:
        del text
        return []


def open_library(data_dir: Path, dimension: int = 32) -> Library:
    """The library of ``data_dir``, which needs no model to be loaded."""
    library = Library.open(Settings(data_dir=data_dir, model=NAME, decode_threads=2, lease_seconds=5))
    library._encoders[NAME] = PixelEncoder(dimension)
    return library


def work(data_dir: str, photos: str, action: str, names: list[str]) -> None:
    """One action, whose parts are said on standard output as soon as they are committed."""
    with open_library(Path(data_dir)) as library:
        if action == "index":
            acknowledge_commits()
            index_source(library, Path(photos))
        elif action == "remove":
            for name in names:
                say(removed=[one.uri for one in browsing.remove_images(library, [name])])
        else:
            while True:
                library.rebuild_index(library.collection())
    say(done=True)


def index_slowly(data_dir: str, photos: str) -> None:
    """Index, and rest after each batch once it is committed and said."""

    def tell(progress: Progress) -> None:
        sys.stdout.write(f"{progress.step} {progress.done}\n")
        sys.stdout.flush()
        time.sleep(0.1 if progress.done else 0)

    with open_library(Path(data_dir)) as library:
        index_source(library, Path(photos), on_progress=tell)


def acknowledge_commits() -> None:
    """Say what each batch of a run brought, when its transaction is committed and not before."""
    for name in ("commit", "finish"):
        setattr(committing.Committer, name, _telling(getattr(committing.Committer, name)))


def _telling(step: Any) -> Any:
    def told(committer: committing.Committer, argument: Any) -> None:
        step(committer, argument)
        groups = committer.groups
        say(stored=[*groups.added, *groups.changed, *groups.moved], removed=groups.removed)

    return told


def say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def index_with_bad_decoders(data_dir: str, photos: str, bad_decoders: str, retry_failed: bool = False) -> None:
    """Index with decoders that may crash, in this process and in those that it starts."""
    os.environ["PYTHONPATH"] = bad_decoders
    spec = importlib.util.spec_from_file_location("bad_decoders", Path(bad_decoders) / "sitecustomize.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    logging.basicConfig(level=logging.WARNING)
    with open_library(Path(data_dir)) as library:
        index_source(library, Path(photos), options=IndexingOptions(retry_failed=retry_failed))


def index_and_stop_in_a_decoder(data_dir: str, photos: str, name: str) -> None:
    """Index, and never come back from the decoder that is given the file of this name."""
    open_picture, wanted = images.open_picture, Path(photos, name).read_bytes()

    def stop(source: Any, **options: Any) -> Any:
        if source == wanted:
            say(state="in hand")
            time.sleep(600)
        return open_picture(source, **options)

    images.open_picture = stop
    with open_library(Path(data_dir)) as library:
        index_source(library, Path(photos))


def open_apart_and_wait(path: str) -> None:
    """Open a picture in a process apart, and wait for whoever ends this one."""
    images.DecodingProcess().open_picture(Path(path))
    say(state="waiting")
    time.sleep(600)
