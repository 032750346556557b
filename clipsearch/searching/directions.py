"""The terms of queries to one direction each; knows how terms add up and which words say nothing to a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.images import get_image
from clipsearch.errors import ClipSearchError, InvalidInput, InvalidVector
from clipsearch.library import Library
from clipsearch.prompts import clean_text
from clipsearch.queries import Query, Term

if TYPE_CHECKING:
    from clipsearch.database.models import ModelRow
    from clipsearch.encoder import Encoder, TextEncoder

# Below this share of the weights a sum has no direction left: cat - cat is rounding, not a query.
LEAST_LENGTH = 1e-3

# Words that carry no direction of their own in any caption.
_FILLERS = frozenset(
    "a an the of in on at by with without and or some this that is are it its to from for one no not "
    "photo picture image drawing photograph pic".split()
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass
class Direction:
    """What a query's terms came to: a unit vector, and what is to be said of them."""

    vector: NDArray[np.float32]
    truncated: bool = False
    unknown_words: list[str] = field(default_factory=list)
    meaningless: str | None = None
    excluded: list[int] = field(default_factory=list)
    # What the vector is the sum of: each term's unit vector, and the share of it that went into the sum.
    parts: list[NDArray[np.float32]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


@contextmanager
def of_query(position: int, queries: Sequence[Query]) -> Iterator[None]:
    """Where there are several queries, an error inside the block tells the place of its query."""
    try:
        yield
    except ClipSearchError as error:
        if len(queries) > 1:
            error.message = f"queries[{position}]: {error.message}"
            error.args = (error.message,)
            error.details["query"] = position
        raise


def check_texts(queries: Sequence[Query]) -> None:
    """Raises EmptyText, TextTooLong: what is no query is none of an empty collection either."""
    for position, query in enumerate(queries):
        with of_query(position, queries):
            for term in query.terms:
                if term.text is not None:
                    clean_text(term.text)


def directions(library: Library, row: CollectionRow, model: ModelRow, queries: Sequence[Query]) -> list[Direction]:
    """The unit vector of each query. All texts are encoded together.

    Raises ImageNotFound, UnreadableImage, InvalidVector, also for terms that cancel each other out,
    ModelUnavailable.
    """
    return _Directions(library, row, model, queries).made()


class _Directions:
    """One conversion: the queries, and what encodes their texts and pictures where there are any."""

    def __init__(self, library: Library, row: CollectionRow, model: ModelRow, queries: Sequence[Query]) -> None:
        self.library = library
        self.row = row
        self.model = model
        self.queries = queries
        kinds = {term.kind for query in queries for term in query.terms}
        self.encoder: Encoder | None = library.encoder_for(row)[0] if "image" in kinds else None
        self.text_encoder: TextEncoder | None = self.encoder
        if "text" in kinds and self.encoder is None:
            self.text_encoder = library.text_encoder_for(row)[0]

    def made(self) -> list[Direction]:
        vectors = self._text_vectors()
        found = []
        for position, query in enumerate(self.queries):
            with of_query(position, self.queries):
                found.append(self._direction(query, vectors))
        return found

    def _text_vectors(self) -> Iterator[NDArray[np.float32]]:
        """The rows of all texts, in order."""
        texts = [
            (position, clean_text(term.text))
            for position, query in enumerate(self.queries)
            for term in query.terms
            if term.text is not None
        ]
        if not texts or self.text_encoder is None:
            return iter(())
        try:
            return iter(self.text_encoder.encode_texts([text for _, text in texts]).vectors)
        except InvalidVector as error:
            faulty = error.details.get("positions") or [0]
            with of_query(texts[faulty[0]][0], self.queries):
                raise

    def _direction(self, query: Query, text_vectors: Iterator[NDArray[np.float32]]) -> Direction:
        direction = Direction(np.zeros(self.model.model.dimension, dtype=np.float32))
        # Only the weights' ratios count; by the largest first, so that squares of tiny ones do not vanish.
        largest = max(abs(term.weight) for term in query.terms) or 1.0
        weights = [term.weight / largest for term in query.terms]
        for term, weight in zip(query.terms, weights, strict=True):
            direction.parts.append(self._embedded(term, direction, text_vectors))
            direction.vector += np.float32(weight) * direction.parts[-1]
        length = float(np.linalg.norm(direction.vector))
        if length <= LEAST_LENGTH * sum(map(abs, weights)):
            raise InvalidVector("the terms of the query cancel each other out; nothing is left to look for")
        direction.vector /= np.float32(length)
        direction.shares = [weight / length for weight in weights]
        return direction

    def _embedded(
        self, term: Term, into: Direction, text_vectors: Iterator[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        if term.text is not None and self.text_encoder is not None:
            _read(self.text_encoder, clean_text(term.text), into)
            return next(text_vectors)
        if term.image is not None and self.encoder is not None:
            return self._seen(self.encoder, term.image if isinstance(term.image, bytes) else Path(term.image))
        if term.image_id is not None:
            return self._stored(term.image_id, into)
        return given_vector(term.vector or (), self.model.model.dimension)

    def _seen(self, encoder: Encoder, source: bytes | Path) -> NDArray[np.float32]:
        limit = self.library.settings.max_pixels
        from clipsearch.images import open_picture  # a search by words does without the decoders

        opened = open_picture(source, max_pixels=limit, reduced_to=encoder.model.image_size)
        picture: NDArray[np.float32] = encoder.encode_images([opened.picture]).vectors[0]
        return picture

    def _stored(self, number: int, into: Direction) -> NDArray[np.float32]:
        with self.library.database.read() as connection:
            image = get_image(connection, self.row.id, number=number)
            vectors = vectors_of(connection, self.model.id, self.model.model.dimension, [image.id])
        if image.id not in vectors:
            raise InvalidInput(f"image {image.id} has no embedding by {self.row.model_name}; index it again")
        into.excluded.append(image.id)
        stored: NDArray[np.float32] = vectors[image.id]
        return stored


def given_vector(values: Sequence[float], dimension: int) -> NDArray[np.float32]:
    """A vector [dimension] that came with the question, brought to unit length. Raises InvalidVector."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (dimension,):
        raise InvalidVector(f"the vector has {vector.size} dimensions; the collection's model has {dimension}")
    with np.errstate(over="ignore"):  # a length beyond a float is told below
        length = np.linalg.norm(vector)
    if not np.isfinite(length) or length < 1e-6:
        raise InvalidVector("the vector is zero or not finite")
    unit: NDArray[np.float32] = (vector / length).astype(np.float32)
    return unit


def _read(encoder: TextEncoder, text: str, into: Direction) -> None:
    """Note what the model does not read of a text."""
    into.truncated |= encoder.truncated([text])[0]
    unknown = encoder.unknown_words(text)
    into.unknown_words += [word for word in unknown if word not in into.unknown_words]
    meaning = [word for word in _WORD.findall(text.lower()) if word not in _FILLERS]
    if unknown and all(word in unknown for word in meaning):
        into.meaningless = text
