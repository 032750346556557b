"""Draws JPEGs of a fixed seed, from shared photographs where there are some; knows what real ones cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter

SEED = 20_261_121
QUALITY = 85
SMALL = (640, 480)
CAMERA = (4000, 3000)  # 12 megapixels


def photographs() -> list[Path]:
    """The shared photographs, where CLIPSEARCH_REFERENCE_DATA names a folder with some."""
    folder = os.environ.get("CLIPSEARCH_REFERENCE_DATA")
    return sorted((Path(folder) / "photos").rglob("*.jpg")) if folder else []


def write_jpegs(folder: Path, count: int, size: tuple[int, int] = SMALL) -> list[Path]:
    """``count`` JPEGs of ``size`` in ``folder``, made if they are not there; every second one of a photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    shared = photographs()

    def write(number: int) -> None:
        if not paths[number].is_file():
            photo = shared[number // 2 % len(shared)] if shared and number % 2 else None
            paths[number].write_bytes(jpeg(number, size, photo))

    with ThreadPoolExecutor(os.cpu_count()) as executor:
        list(executor.map(write, range(count)))
    return paths


def jpeg(number: int, size: tuple[int, int], photo: Path | None = None) -> bytes:
    """One JPEG: a random cut of ``photo``, or a drawing; another for each number."""
    random = np.random.default_rng((SEED, number))
    picture = _cut(photo, size, random) if photo else _drawing(size, random)
    written = BytesIO()
    _grained(picture, random).save(written, "JPEG", quality=QUALITY)
    return written.getvalue()


def copies(data: bytes, count: int, mark: str = "") -> Iterator[bytes]:
    """The same JPEG ``count`` times, each with another comment: other bytes, so that none is known already."""
    for number in range(count):
        comment = f"{mark}{number}".encode()
        yield data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def _cut(photo: Path, size: tuple[int, int], random: np.random.Generator) -> PIL.Image.Image:
    with PIL.Image.open(photo) as opened:
        picture = opened.convert("RGB")
    share = random.uniform(0.6, 1.0)
    width, height = int(picture.width * share), int(picture.height * share)
    left = int(random.integers(0, picture.width - width + 1))
    top = int(random.integers(0, picture.height - height + 1))
    return picture.resize(size, PIL.Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _drawing(size: tuple[int, int], random: np.random.Generator) -> PIL.Image.Image:
    coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(coarse).resize(size, PIL.Image.Resampling.BICUBIC)
    drawing = PIL.ImageDraw.Draw(picture)
    for _ in range(int(random.integers(6, 24))):
        x, y = random.integers(0, size[0]), random.integers(0, size[1])
        width, height = random.integers(size[0] // 40, size[0] // 3, 2)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        shape = drawing.ellipse if random.random() < 0.5 else drawing.rectangle
        shape([int(x), int(y), int(x + width), int(y + height)], fill=colour)
    return picture


def _grained(picture: PIL.Image.Image, random: np.random.Generator) -> PIL.Image.Image:
    """With the grain of a sensor: without it a JPEG holds almost no coefficients and is decoded in no time."""
    values = np.asarray(picture, dtype=np.int16)
    # One tile of grain, repeated: drawing 36 million normals would take longer than all else.
    tile = random.normal(0, 5, (500, 500, 1)).astype(np.int16)
    rows, columns = -(-values.shape[0] // 500), -(-values.shape[1] // 500)
    grain = np.tile(tile, (rows, columns, 1))[: values.shape[0], : values.shape[1]]
    return PIL.Image.fromarray(np.clip(values + grain, 0, 255).astype(np.uint8))
