"""Bytes to what a model makes of them; knows that what is wrong with one picture costs that one only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers.additions import Reason
from clipsearch.database.images import NewImage
from clipsearch.errors import ClipSearchError, InvalidVector, UnreadableImage
from clipsearch.images import content_hash, safe_name

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder
    from clipsearch.images import Opened

NO_EMBEDDING = Reason(code="no_embedding", reason="the model made no usable embedding of it (not a number, or zero)")


@dataclass(frozen=True)
class NewPicture:
    """A picture to add: an image file's bytes, what its sender calls it, and what is said of it.

    ``error`` says why the bytes are not there: of a URL, say, that could not be fetched.
    """

    name: str
    data: bytes = field(default=b"", repr=False)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    error: ClipSearchError | None = None


@dataclass(frozen=True)
class Read:
    """What became of a picture before anything is kept: ``image`` without its uri, or ``error``."""

    picture: NewPicture
    name: str
    content_hash: str | None
    image: NewImage | None = None
    error: Reason | None = None


def read_pictures(
    pictures: Sequence[NewPicture],
    contents: Mapping[str, NewImage],
    encoder: Callable[[], Encoder],
    max_pixels: int,
) -> list[Read]:
    """Decode and encode pictures, in order; ``contents`` are those that the library knows by content hash.

    ``encoder`` is asked for only where there is content that nobody knows.
    """
    found = [_named(one) for one in pictures]
    known = dict(contents)
    new = {one.content_hash: one.picture.data for one in found
           if one.content_hash is not None and one.content_hash not in known}  # fmt: skip
    errors: dict[str, Reason] = {}
    if new:
        _encode(new, encoder(), max_pixels, known, errors)
    return [
        one
        if one.content_hash is None
        else replace(one, image=known.get(one.content_hash), error=errors.get(one.content_hash))
        for one in found
    ]


def hash_of(picture: NewPicture) -> str | None:
    """The content hash of a picture whose bytes are there."""
    return None if picture.error is not None else content_hash(picture.data)


def _named(picture: NewPicture) -> Read:
    error = picture.error
    reason = Reason(code=error.code, reason=error.message) if error is not None else None
    return Read(picture, safe_name(picture.name), hash_of(picture), error=reason)


def _encode(
    new: Mapping[str, bytes],
    encoder: Encoder,
    max_pixels: int,
    known: dict[str, NewImage],
    errors: dict[str, Reason],
) -> None:
    waiting: list[tuple[str, Opened, NDArray[np.float32]]] = []
    for digest, data in new.items():
        try:
            opened, pixels = _decode(data, encoder, max_pixels)
        except UnreadableImage as error:
            errors[digest] = Reason(code=error.code, reason=error.message)
            continue
        waiting.append((digest, opened, pixels))
        if len(waiting) >= encoder.batch_size:
            _flush(waiting, encoder, known, errors)
            waiting = []
    _flush(waiting, encoder, known, errors)


def _decode(data: bytes, encoder: Encoder, max_pixels: int) -> tuple[Opened, NDArray[np.float32]]:
    from clipsearch.images import open_picture

    opened = open_picture(data, max_pixels=max_pixels, reduced_to=encoder.model.image_size)
    try:
        pixels = encoder.prepare(opened.picture)
    except ClipSearchError:
        raise
    except Exception as error:  # what a transform raises costs one picture
        raise UnreadableImage(f"{type(error).__name__}: {error}") from error
    # The picture itself is let go of: a batch of large ones would fill the memory.
    return replace(opened, picture=opened.picture.resize((1, 1))), pixels


def _flush(
    waiting: Sequence[tuple[str, Opened, NDArray[np.float32]]],
    encoder: Encoder,
    known: dict[str, NewImage],
    errors: dict[str, Reason],
) -> None:
    if not waiting:
        return
    try:
        encoded = encoder.encode_prepared([pixels for *_, pixels in waiting])
    except InvalidVector as error:
        faulty = set(error.details.get("positions", [])) or set(range(len(waiting)))
        errors.update((waiting[place][0], NO_EMBEDDING) for place in faulty)
        _flush([one for place, one in enumerate(waiting) if place not in faulty], encoder, known, errors)
        return
    for (digest, opened, _), vector, norm in zip(waiting, encoded.vectors, encoded.norms, strict=True):
        known[digest] = NewImage(
            uri="", vector=vector, content_hash=digest, width=opened.width, height=opened.height,
            format=opened.format, taken_at=opened.taken_at, pixel_hash=opened.pixel_hash, norm=float(norm),
            dtype=encoder.dtype,
        )  # fmt: skip
