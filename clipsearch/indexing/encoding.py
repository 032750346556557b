"""Gathers readings in batches and has the model encode one while those before it are committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from clipsearch.database.failures import NewFailure
from clipsearch.database.images import NewImage
from clipsearch.errors import InvalidVector, ModelMismatch
from clipsearch.indexing.reading import Failed, Familiar, Prepared, Reading, Same

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

# Readings that need no model are committed at this many, so that a long run of renamed files is kept too.
COMMIT_ROWS = 1_000
# One batch in the model and one before its door: the model need not wait until a commit is over.
BATCHES_AHEAD = 2


@dataclass(frozen=True)
class EncodedBatch:
    """What one transaction brings: images with their embeddings, failures of the model, readings without it."""

    images: Sequence[NewImage]
    failures: Sequence[NewFailure]
    light: Sequence[Same | Familiar | Failed]


class Batches:
    """Readings in, commits out, in order. A batch counts from its commit on: what raises before leaves it out.

    ``encoder`` gives the encoder, once there is one; ``batch_size`` how many pictures it takes at a time; ``commit``
    is called in the thread that calls ``take`` and ``flush``, and what it raises, or what the model raised for its
    batch, is raised there, when the batches before it are committed.
    """

    def __init__(
        self,
        encoder: Callable[[], Encoder | None],
        batch_size: Callable[[], int],
        commit: Callable[[EncodedBatch], None],
    ) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._commit = commit
        self._prepared: list[Prepared] = []
        self._light: list[Same | Familiar | Failed] = []
        self._waiting: deque[Future[EncodedBatch]] = deque()
        self._model = ThreadPoolExecutor(1, thread_name_prefix="encode")

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.shutdown(cancel_futures=True)

    def take(self, reading: Reading) -> None:
        """Put a reading into the batch; hand the batch over when it is full, and commit what is encoded."""
        if isinstance(reading, Prepared):
            self._prepared.append(reading)
        else:
            self._light.append(reading)
        if len(self._prepared) >= self._batch_size() or len(self._light) >= COMMIT_ROWS:
            self._hand_over()
        while len(self._waiting) > BATCHES_AHEAD or (self._waiting and self._waiting[0].done()):
            self._commit(self._waiting.popleft().result())

    def flush(self) -> None:
        """Encode and commit all that waits."""
        if self._prepared or self._light:
            self._hand_over()
        while self._waiting:
            self._commit(self._waiting.popleft().result())

    def _hand_over(self) -> None:
        self._waiting.append(self._model.submit(_encoded, self._prepared, self._light, self._encoder()))
        self._prepared, self._light = [], []


def _encoded(
    prepared: Sequence[Prepared], light: Sequence[Same | Familiar | Failed], encoder: Encoder | None
) -> EncodedBatch:
    images, failures = _encode(prepared, encoder)
    return EncodedBatch(images, failures, light)


def _encode(prepared: Sequence[Prepared], encoder: Encoder | None) -> tuple[list[NewImage], list[NewFailure]]:
    if not prepared:
        return [], []
    if encoder is None:
        raise ModelMismatch("pictures wait for a model that was never loaded")
    try:
        encoded = encoder.encode_prepared([one.pixels for one in prepared])
    except InvalidVector as error:
        faulty = set(error.details.get("positions", []))
        if not faulty or len(prepared) == 1:
            return [], [_no_embedding(one) for one in prepared]
        rest = [one for position, one in enumerate(prepared) if position not in faulty]
        images, failures = _encode(rest, encoder)
        return images, failures + [_no_embedding(prepared[position]) for position in sorted(faulty)]
    images = [
        one.embedded(vector, float(norm), encoder.dtype)
        for one, vector, norm in zip(prepared, encoded.vectors, encoded.norms, strict=True)
    ]
    return images, []


def _no_embedding(reading: Prepared) -> NewFailure:
    reason = "the model made no usable embedding of it (not a number, or zero)"
    return NewFailure(reading.file.uri, "no_embedding", reason, reading.file.size, reading.file.mtime_ns)
