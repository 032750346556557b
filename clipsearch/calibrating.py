"""Calibrate a model for int8 by the images of a collection, and see what it does to those that it has not seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import CalibrationReport
from clipsearch.database import images as image_rows
from clipsearch.database import label_sets as label_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.errors import InvalidInput, UnreadableImage
from clipsearch.images import open_picture, path_of
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, fill, prompts_of

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

IMAGES = 300
LEAST_IMAGES = 60
NEIGHBOURS = 10
# Where no label set is stored: things that are in pictures, as far as the model has words for them.
LABELS = (
    "person", "group of people", "face", "dog", "cat", "bird", "horse", "fish", "flower", "tree", "forest", "mountain",
    "beach", "sea", "lake", "river", "snow", "sunset", "night", "sky", "city", "street", "house", "room", "kitchen",
    "food", "drink", "car", "bicycle", "train", "boat", "aeroplane", "book", "document", "screen", "drawing", "toy",
    "ball", "cup", "chair",
)  # fmt: skip

Rows = NDArray[np.float32]
Labels = list[list[str]]  # of each label its prompts


def calibrate(
    library: Library,
    collection: str | None = None,
    *,
    images: int = IMAGES,
    progress: Callable[[str], None] = lambda message: None,
) -> CalibrationReport:
    """Calibrate the collection's model by a third of ``images`` of its images, and check it by the others.

    The figures are kept with the model in this library; only where they pass may the dtype int8 be used. Raises
    CollectionNotFound; InvalidInput where fewer than 60 of the images can be read, or no label can be compared on;
    ConfigError where what quantises is not installed; ModelUnavailable for a model that cannot be quantised.
    """
    from clipsearch.encoder import open_encoder, parse_model_name
    from clipsearch.encoder.calibration import Calibration, keep_calibration, quantise
    from clipsearch.encoder.runtimes import check_quantisable

    row = library.collection(collection)
    source = parse_model_name(row.model_name)
    cache = library.runtimes_folder
    check_quantisable(row.model_name, cache)
    reference = open_encoder(row.model_name, device="cpu", runtime="auto", cache=cache)
    labels = [_label_rows(reference, one) for one in _labels(library, reference)]
    progress(f"Reading up to {images} images of {row.name}.")
    pixels = list(_sample(library, row, images, reference))
    if len(pixels) < LEAST_IMAGES:
        raise InvalidInput(
            f"a calibration needs at least {LEAST_IMAGES} images that can be read, and {row.name!r} has {len(pixels)}"
        )
    ours = len(pixels) // 3
    exact, dtype = reference.encode_prepared(pixels[ours:]).vectors, reference.dtype
    del reference  # its memory, and its hold on the files that are replaced
    progress(f"Calibrating by {ours} of them.")
    candidate = quantise(source, cache, pixels[:ours])
    progress(f"Checking by the other {len(pixels) - ours}.")
    whole = candidate.encode_prepared(pixels[ours:]).vectors
    calibration = Calibration(
        images=ours,
        checked=len(pixels) - ours,
        overlap=neighbours_kept(exact, whole),
        agreement=min(labels_kept(exact, whole, one) for one in labels),
        reference=dtype,
    )
    keep_calibration(source, cache, calibration)
    return CalibrationReport(
        model=source.name,
        images=calibration.images,
        checked=calibration.checked,
        overlap=calibration.overlap,
        agreement=calibration.agreement,
        reference=calibration.reference,
        passed=calibration.passed,
    )


def neighbours_kept(exact: Rows, other: Rows) -> float:
    """The mean share of each row's ten nearest others that are among its ten nearest in ``other``, 0 to 1."""
    near = [_nearest(rows) for rows in (exact, other)]
    kept = [len(set(mine) & set(theirs)) for mine, theirs in zip(near[0].tolist(), near[1].tolist(), strict=True)]
    return float(np.mean(kept) / near[0].shape[1])


def labels_kept(exact: Rows, other: Rows, labels: Rows) -> float:
    """The share of rows whose best label is the same in ``other``, 0 to 1."""
    return float(np.mean((exact @ labels.T).argmax(axis=1) == (other @ labels.T).argmax(axis=1)))


def _nearest(rows: Rows) -> NDArray[np.int64]:
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :NEIGHBOURS]


def _sample(library: Library, row: CollectionRow, count: int, encoder: Encoder) -> Iterator[Rows]:
    """Prepared pictures of images drawn by chance, the same ones each time; unreadable ones are passed over."""
    with library.database.read() as connection:
        ids = image_rows.present_ids(connection, row.id).tolist()
    drawn = random.Random(0).sample(ids, len(ids))  # noqa: S311  (no secret hangs on it)
    found = 0
    for start in range(0, len(drawn), 100):
        with library.database.read() as connection:
            rows = image_rows.image_rows(connection, drawn[start : start + 100])
        for number in drawn[start : start + 100]:
            if found == count:
                return
            pixels = _prepared(rows[number].uri, library.settings.max_pixels, encoder) if number in rows else None
            if pixels is not None:
                found += 1
                yield pixels


def _prepared(uri: str, max_pixels: int, encoder: Encoder) -> Rows | None:
    try:
        path = Path(path_of(uri))
        opened = open_picture(path, max_pixels=max_pixels, reduced_to=encoder.model.image_size)
        return encoder.prepare(opened.picture)
    except (UnreadableImage, InvalidInput):
        return None


def _labels(library: Library, encoder: Encoder) -> list[Labels]:
    """The stored label sets, else one of our own. Raises InvalidInput where the model has a word for none of it."""
    with library.database.read() as connection:
        stored = [label_rows.get_label_set(connection, name) for name in label_rows.list_label_sets(connection)]
    sets = [
        [[fill(*pair) for pair in prompts_of(label.prompts or (label.name,), one.templates)] for label in one.labels]
        for one in stored
    ]
    if sets:
        return sets
    known = [label for label in LABELS if not encoder.unknown_words(label)]
    if not known:
        raise InvalidInput(
            f"{encoder.model.name} knows no label that a calibration could be checked by: store a label set in its"
            " words first"
        )
    return [[[fill(template, label) for template in DEFAULT_TEMPLATES] for label in known]]


def _label_rows(encoder: Encoder, labels: Labels) -> Rows:
    flat = encoder.encode_texts([prompt for prompts in labels for prompt in prompts]).vectors
    ends = np.cumsum([len(prompts) for prompts in labels])
    means = np.stack([part.mean(axis=0) for part in np.split(flat, ends[:-1])])
    unit: Rows = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return unit
