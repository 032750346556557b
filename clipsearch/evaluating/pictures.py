"""Pictures to embeddings for an evaluation: taken from the library where it holds them, else decoded ahead in threads
and encoded once; knows that what is wrong with one of them costs that one only."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile
from clipsearch.database.embeddings import contents_by_hash
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidInput, InvalidVector, UnreadableImage
from clipsearch.images import content_hash, open_picture, path_of
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

OnProgress = Callable[[int, int], None]  # pictures done and pictures in all; may raise to end the work

BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Embedded:
    """Unit rows float32 [n, d] of the pictures at these positions, in order; how many of them were encoded just now,
    and what could not be used."""

    positions: list[int]
    vectors: NDArray[np.float32]
    encoded: int
    failed: list[FailedFile] = field(default_factory=list)


def embed_pictures(
    library: Library,
    uris: Sequence[str],
    model: ModelRow,
    encoder: Callable[[], Encoder],
    on_progress: OnProgress | None = None,
) -> Embedded:
    """The embeddings of these local files by this model.

    A file whose bytes the library holds an embedding of, under whatever name, is not decoded. ``encoder`` is asked
    for only when a picture has to be encoded; equal bytes are encoded once. Nothing is written.
    """
    found: dict[int, NDArray[np.float32]] = {}
    failed: list[FailedFile] = []
    waiting: list[tuple[int, str]] = []
    known: dict[str, NDArray[np.float32]] = {}
    encoded = 0
    for start in range(0, len(uris), 512):
        hashes, broken = _hashes(library, uris[start : start + 512])
        failed += broken
        with library.database.read() as connection:
            contents = contents_by_hash(connection, model.id, model.model.dimension, hashes.values())
        for offset, digest in hashes.items():
            if digest in contents:
                found[start + offset] = contents[digest].vector
            else:
                waiting.append((start + offset, digest))
        if on_progress is not None:
            on_progress(len(found) + len(failed), len(uris))
    unique = list({digest: position for position, digest in reversed(waiting)}.items())[::-1]
    if unique:
        done = len(found) + len(failed)

        def told(count: int) -> None:
            if on_progress is not None:
                on_progress(done + count, len(uris))

        files = [uris[position] for _, position in unique]
        rows, faults = encode_files(library, files, encoder(), told)
        known = {digest: row for (digest, _), row in zip(unique, rows, strict=True) if row is not None}
        encoded = len(known)
        reasons = {digest: faults[place] for place, (digest, _) in enumerate(unique) if place in faults}
        for position, digest in waiting:
            if digest in known:
                found[position] = known[digest]
            else:
                failed.append(reasons[digest].model_copy(update={"uri": uris[position]}))
    positions = sorted(found)
    vectors = np.zeros((len(positions), model.model.dimension), dtype=np.float32)
    for row, position in enumerate(positions):
        vectors[row] = found[position]
    return Embedded(positions, vectors, encoded, failed)


def encode_files(
    library: Library, uris: Sequence[str], encoder: Encoder, told: Callable[[int], None] = lambda _count: None
) -> tuple[list[NDArray[np.float32] | None], dict[int, FailedFile]]:
    """A unit row for each file, or None with the reason by its place."""
    rows: list[NDArray[np.float32] | None] = [None] * len(uris)
    faults: dict[int, FailedFile] = {}
    size = max(1, encoder.batch_size)
    with ThreadPoolExecutor(library.settings.decode_threads or os.cpu_count() or 1) as pool:

        def begin(start: int) -> list[tuple[int, Future[NDArray[np.float32] | FailedFile]]]:
            places = range(start, min(start + size, len(uris)))
            return [(place, pool.submit(_prepared, library, uris[place], encoder)) for place in places]

        starts = deque(range(0, len(uris), size))
        ahead = deque(begin(starts.popleft()) for _ in range(min(BATCHES_AHEAD, len(starts))))
        while ahead:
            batch = [(place, future.result()) for place, future in ahead.popleft()]
            if starts:
                ahead.append(begin(starts.popleft()))
            ready = [(place, pixels) for place, pixels in batch if not isinstance(pixels, FailedFile)]
            faults |= {place: fault for place, fault in batch if isinstance(fault, FailedFile)}
            _encode(encoder, ready, uris, rows, faults)
            told(min(len(uris), batch[-1][0] + 1))
    return rows, faults


def _encode(
    encoder: Encoder,
    ready: Sequence[tuple[int, NDArray[np.float32]]],
    uris: Sequence[str],
    rows: list[NDArray[np.float32] | None],
    faults: dict[int, FailedFile],
) -> None:
    if not ready:
        return
    try:
        vectors = encoder.encode_prepared([pixels for _, pixels in ready]).vectors
    except InvalidVector as error:
        bad = set(error.details.get("positions", []))
        if not bad:
            raise
        reason = "the model made no usable embedding of it (not a number, or zero)"
        for at in bad:
            place = ready[at][0]
            faults[place] = FailedFile(uri=uris[place], code="no_embedding", reason=reason)
        _encode(encoder, [one for at, one in enumerate(ready) if at not in bad], uris, rows, faults)
        return
    for (place, _), vector in zip(ready, vectors, strict=True):
        rows[place] = vector


def _prepared(library: Library, uri: str, encoder: Encoder) -> NDArray[np.float32] | FailedFile:
    try:
        opened = open_picture(
            Path(path_of(uri)), max_pixels=library.settings.max_pixels, reduced_to=encoder.model.image_size
        )
        return encoder.prepare(opened.picture)
    except UnreadableImage as error:
        return FailedFile(uri=uri, code=error.code, reason=error.message)
    except Exception as error:  # noqa: BLE001  what a decoder or a transform raises costs one picture
        return FailedFile(uri=uri, code="unreadable_image", reason=f"{type(error).__name__}: {error}")


def _hashes(library: Library, uris: Sequence[str]) -> tuple[dict[int, str], list[FailedFile]]:
    """The content hashes of these files by position, and those that cannot be read."""

    def hashed(uri: str) -> str | FailedFile:
        try:
            return content_hash(Path(path_of(uri)))
        except InvalidInput as error:  # cannot be read, or the name of an imported embedding, which is no file's
            return FailedFile(uri=uri, code=error.code, reason=error.message)

    with ThreadPoolExecutor(library.settings.decode_threads or os.cpu_count() or 1) as pool:
        answers = list(pool.map(hashed, uris))
    failed = [answer for answer in answers if isinstance(answer, FailedFile)]
    return {place: answer for place, answer in enumerate(answers) if isinstance(answer, str)}, failed
