"""Given pictures to embeddings; knows that what is wrong with one of them costs that one only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile
from clipsearch.errors import InvalidVector, UnreadableImage
from clipsearch.images import open_picture
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

Prepared = tuple[str, NDArray[np.float32]]


@dataclass(frozen=True)
class PictureSource:
    """A picture to classify: ``data`` is a file's bytes or its path, ``name`` what the answer calls it."""

    name: str
    data: bytes | Path


def open_pictures(
    library: Library, batch: Sequence[PictureSource], encoder: Encoder, failed: list[FailedFile]
) -> list[Prepared]:
    """The names of the pictures and what the model reads of them; those that cannot be read go to ``failed``."""
    prepared: list[Prepared] = []
    for source in batch:
        try:
            opened = open_picture(
                source.data, max_pixels=library.settings.max_pixels, reduced_to=encoder.model.image_size
            )
            prepared.append((source.name, encoder.prepare(opened.picture)))
        except UnreadableImage as error:
            failed.append(FailedFile(uri=source.name, code=error.code, reason=error.message))
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror or error}"
            failed.append(FailedFile(uri=source.name, code="unreadable_file", reason=reason))
        except Exception as error:  # noqa: BLE001  what a decoder or a transform raises costs one picture
            reason = f"{type(error).__name__}: {error}"
            failed.append(FailedFile(uri=source.name, code="unreadable_image", reason=reason))
    return prepared


def encode_pictures(
    encoder: Encoder, prepared: Sequence[Prepared], failed: list[FailedFile]
) -> tuple[list[str], NDArray[np.float32]]:
    """Names and unit rows [n, d], in order; a picture that the model makes nothing of goes to ``failed``."""
    if not prepared:
        return [], np.empty((0, encoder.model.dimension), dtype=np.float32)
    try:
        vectors: NDArray[np.float32] = encoder.encode_prepared([pixels for _, pixels in prepared]).vectors
    except InvalidVector as error:
        faulty = set(error.details.get("positions", []))
        if not faulty:
            raise
        reason = "the model made no usable embedding of it (not a number, or zero)"
        failed += [FailedFile(uri=prepared[place][0], code="no_embedding", reason=reason) for place in sorted(faulty)]
        return encode_pictures(encoder, [one for place, one in enumerate(prepared) if place not in faulty], failed)
    return [name for name, _ in prepared], vectors
