"""Search a collection by text, image, stored image, vector or a weighted mix; knows how terms become one direction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Hit, SearchAnswer
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import ImageRow, get_image, image_rows
from clipsearch.errors import InvalidInput, InvalidVector
from clipsearch.images import open_picture, pixel_hash_distance
from clipsearch.indexes import IndexView
from clipsearch.library import Library
from clipsearch.prompts import clean_text
from clipsearch.queries import Query, Term

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

# Below this share of the weights a sum has no direction left: cat - cat is rounding, not a query.
LEAST_LENGTH = 1e-3
# Two pictures are near-duplicates when their embeddings and their pixels both say so: either alone also
# fires on bursts, dark frames and series (measured by others: issue threads of photo managers).
DUPLICATE_SCORE = 0.95
DUPLICATE_BITS = 6

# Words that carry no direction of their own in any caption.
_FILLERS = frozenset(
    "a an the of in on at by with without and or some this that is are it its to from for one no not "
    "photo picture image drawing photograph pic".split()
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass
class _Direction:
    """What a query's terms came to."""

    vector: NDArray[np.float32]
    truncated: bool = False
    unknown_words: list[str] = field(default_factory=list)
    meaningless: str | None = None
    excluded: list[int] = field(default_factory=list)


@dataclass
class _Found:
    """An image on its way to a hit."""

    image: ImageRow
    score: float
    duplicates: list[int] = field(default_factory=list)


def search(library: Library, query: Query, *, collection: str | None = None, wait: bool = True) -> SearchAnswer:
    """The images nearest to the query, best first.

    With ``wait`` false the answer may come from an index that another thread is bringing up to date; it says so.
    Raises CollectionNotFound, ImageNotFound, UnreadableImage, EmptyText, InvalidVector, ModelUnavailable.
    """
    row = library.collection(collection)
    for term in query.terms:
        if term.text is not None:
            clean_text(term.text)  # what is no query is none of an empty collection either
    view = library.index(row, wait=wait)
    if view is None or len(view.index) == 0:
        return _answer(row, view, [], notice=f"the collection {row.name!r} holds no images yet")
    direction = _direction(library, row, view, query.terms)
    if direction.meaningless is not None:
        words = ", ".join(direction.unknown_words)
        why = f"the model {row.model_name} never saw the words of {direction.meaningless!r} ({words})"
        return _answer(row, view, [], direction, notice=why)
    among = None
    if not query.filters.empty:
        with library.database.read() as connection:
            among = filtered_ids(connection, row.id, query.filters)
        if among.size == 0:
            return _answer(row, view, [], direction, notice="no image of the collection passes the filters")
    hits = _hits(library, view, direction, query, among)
    return _answer(row, view, hits, direction, notice=None if hits else _why_nothing(query))


def _direction(library: Library, row: CollectionRow, view: IndexView, terms: Sequence[Term]) -> _Direction:
    """The unit vector that the terms add up to. Raises InvalidVector when they cancel each other out."""
    dimension = view.model.model.dimension
    direction = _Direction(np.zeros(dimension, dtype=np.float32))
    encoder = None
    if any(term.kind in {"text", "image"} for term in terms):
        encoder, _ = library.encoder_for(row)
    # Only the weights' ratios count; by the largest first, so that squares of tiny ones do not vanish.
    largest = max(abs(term.weight) for term in terms) or 1.0
    weights = [term.weight / largest for term in terms]
    for term, weight in zip(terms, weights, strict=True):
        direction.vector += np.float32(weight) * _embed(library, row, view, term, encoder, direction)
    length = float(np.linalg.norm(direction.vector))
    if length <= LEAST_LENGTH * sum(map(abs, weights)):
        raise InvalidVector("the terms of the query cancel each other out; nothing is left to look for")
    direction.vector /= np.float32(length)
    return direction


def _embed(
    library: Library, row: CollectionRow, view: IndexView, term: Term, encoder: Encoder | None, into: _Direction
) -> NDArray[np.float32]:
    dimension = view.model.model.dimension
    if term.text is not None and encoder is not None:
        return _embed_text(encoder, term.text, into)
    if term.image is not None and encoder is not None:
        source = term.image if isinstance(term.image, bytes) else Path(term.image)
        opened = open_picture(source, max_pixels=library.settings.max_pixels, reduced_to=encoder.model.image_size)
        picture: NDArray[np.float32] = encoder.encode_images([opened.picture]).vectors[0]
        return picture
    if term.image_id is not None:
        with library.database.read() as connection:
            image = get_image(connection, row.id, number=term.image_id)
            vectors = vectors_of(connection, view.model.id, dimension, [image.id])
        if image.id not in vectors:
            raise InvalidInput(f"image {image.id} has no embedding by {row.model_name}; index it again")
        into.excluded.append(image.id)
        stored: NDArray[np.float32] = vectors[image.id]
        return stored
    return _given_vector(term.vector or (), dimension)


def _embed_text(encoder: Encoder, text: str, into: _Direction) -> NDArray[np.float32]:
    text = clean_text(text)
    into.truncated |= encoder.truncated([text])[0]
    unknown = encoder.unknown_words(text)
    into.unknown_words += [word for word in unknown if word not in into.unknown_words]
    meaning = [word for word in _WORD.findall(text.lower()) if word not in _FILLERS]
    if unknown and all(word in unknown for word in meaning):
        into.meaningless = text
    vector: NDArray[np.float32] = encoder.encode_texts([text]).vectors[0]
    return vector


def _given_vector(values: Sequence[float], dimension: int) -> NDArray[np.float32]:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (dimension,):
        raise InvalidVector(f"the vector has {vector.size} dimensions; the collection's model has {dimension}")
    with np.errstate(over="ignore"):  # a length beyond a float is told below
        length = np.linalg.norm(vector)
    if not np.isfinite(length) or length < 1e-6:
        raise InvalidVector("the vector is zero or not finite")
    unit: NDArray[np.float32] = (vector / length).astype(np.float32)
    return unit


def _hits(
    library: Library, view: IndexView, direction: _Direction, query: Query, among: NDArray[np.int64] | None
) -> list[Hit]:
    found = _gather(library, view, direction, query, among)
    return [
        Hit(rank=rank, score=one.score, image=one.image.info(), duplicates=one.duplicates)
        for rank, one in enumerate(found, start=1)
    ][query.offset :]


def _gather(
    library: Library, view: IndexView, direction: _Direction, query: Query, among: NDArray[np.int64] | None
) -> list[_Found]:
    """What was wanted, from the best on. The search goes deeper only when the first neighbours do not suffice."""
    excluded = np.array(direction.excluded, dtype=np.int64)
    depth, exact = query.offset + query.k + 1, query.exact
    rows: dict[int, ImageRow] = {}
    while True:
        neighbours = view.index.search(direction.vector, depth, among=among, excluding=excluded, exact=exact)[0]
        with library.database.read() as connection:
            # The index may stand a moment behind: what left the collection since is not an answer.
            rows |= image_rows(connection, [number for number, _ in neighbours if number not in rows])
        found, enough = _leaders(view, [(rows[number], score) for number, score in neighbours if number in rows], query)
        if enough or len(neighbours) < depth:
            return found
        # From the start again, and exactly: what cells give is no beginning of a deeper search.
        depth, exact = depth * 4, True


def _leaders(view: IndexView, ranked: Sequence[tuple[ImageRow, float]], query: Query) -> tuple[list[_Found], bool]:
    """The hits among these images, best first, and whether no later image could change them."""
    wanted = query.offset + query.k
    found: list[_Found] = []
    for image, score in ranked:
        if query.min_score is not None and score < query.min_score:
            return found, True
        leader = _leader(view, found, image) if query.collapse_duplicates else None
        if leader is not None:
            leader.duplicates.append(image.id)
        elif len(found) == wanted:
            return found, True
        else:
            found.append(_Found(image, score))
    return found, False


def _leader(view: IndexView, found: Sequence[_Found], image: ImageRow) -> _Found | None:
    """The hit that this image repeats. Compared with leaders only, so that chains do not join unlike images."""
    for one in found:
        if image.content_hash is not None and one.image.content_hash == image.content_hash:
            return one
    near = [one for one in found if _looks_alike(one.image, image)]
    if not near:
        return None
    vectors = view.index.vectors(np.array([image.id, *(one.image.id for one in near)], dtype=np.int64))
    scores = vectors[1:] @ vectors[0]
    return near[int(scores.argmax())] if scores.max() >= DUPLICATE_SCORE else None


def _looks_alike(one: ImageRow, other: ImageRow) -> bool:
    if one.pixel_hash is None or other.pixel_hash is None:
        return False
    return pixel_hash_distance(one.pixel_hash, other.pixel_hash) <= DUPLICATE_BITS


def _why_nothing(query: Query) -> str:
    if query.min_score is not None:
        return f"no image reaches the score {query.min_score:g}"
    return "there are no more images" if query.offset else "no image was found"


def _answer(
    row: CollectionRow,
    view: IndexView | None,
    hits: list[Hit],
    direction: _Direction | None = None,
    notice: str | None = None,
) -> SearchAnswer:
    return SearchAnswer(
        collection=row.name,
        model=row.model_name,
        hits=hits,
        revision=view.revision if view else row.revision,
        stale=view.stale if view else False,
        truncated=direction.truncated if direction else False,
        unknown_words=direction.unknown_words if direction else [],
        notice=notice,
    )
