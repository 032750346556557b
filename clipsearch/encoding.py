"""Texts and pictures to embeddings, for those who compare them elsewhere; knows which model answers whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.database.collections import CollectionRow, find_collection
from clipsearch.database.embeddings import norms_of, vectors_of
from clipsearch.database.images import image_rows
from clipsearch.errors import ClipSearchError, ImageNotFound, InvalidInput
from clipsearch.library import Library
from clipsearch.model import Model
from clipsearch.prompts import clean_text

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder, TextEncoder

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Encodings:
    """Embeddings of n inputs in their order, by one model.

    ``vectors`` is float32 [n, dimension], each row of unit length; ``norms`` float32 [n], the length that each row
    had as it came from the model, NaN where nobody kept it; ``truncated`` tells of each whether it was a text that
    lost its end.
    """

    model: Model
    vectors: NDArray[np.float32]
    norms: NDArray[np.float32]
    truncated: tuple[bool, ...]

    @property
    def raw(self) -> NDArray[np.float32]:
        """The rows as they came from the model, float32 [n, dimension]; NaN where the length is not known."""
        rows: NDArray[np.float32] = self.vectors * self.norms[:, None]
        return rows

    def part(self, start: int, stop: int) -> Encodings:
        """Those from ``start`` up to ``stop``."""
        return Encodings(self.model, self.vectors[start:stop], self.norms[start:stop], self.truncated[start:stop])


@dataclass(frozen=True)
class ChosenModel:
    """The model that answers, looked up once: calls that are given it agree, whatever is switched between them.

    ``collection`` is the one whose model it was at that moment, None for a model that was named or is the settings'.
    """

    name: str
    collection: CollectionRow | None = None


def choose_model(library: Library, *, collection: str | None = None, model: str | None = None) -> ChosenModel:
    """The model of a collection, or the one that is named.

    Without either that of the settings' collection, else the settings' model. Raises CollectionNotFound,
    ModelNotFound, InvalidInput for both.
    """
    if model is not None:
        if collection is not None:
            raise InvalidInput("name a collection or a model, not both: a collection has a model of its own")
        return ChosenModel(library.model_name(model))
    if collection is not None:
        row: CollectionRow | None = library.collection(collection)
    else:
        with library.database.read() as connection:
            row = find_collection(connection, library.settings.collection)
    return ChosenModel(row.model_name, row) if row else ChosenModel(library.model_name())


def encode_texts(
    library: Library,
    texts: Sequence[str],
    *,
    collection: str | None = None,
    model: str | ChosenModel | None = None,
    called: str = "texts[{}]",
) -> Encodings:
    """The embeddings of texts, as they stand, by the model that ``choose_model`` gives, or gave.

    A text beyond the model's context is cut, and said to be. Raises CollectionNotFound, ModelNotFound,
    ModelUnavailable, ModelMismatch, Busy, and EmptyText, TextTooLong, InvalidVector, which name the text as
    ``called`` says, {} being its place.
    """
    encoder = _text_encoder(library, collection, model)
    cleaned = _each(called, texts, clean_text)
    if not cleaned:
        return _none(encoder.model)
    encoded = encoder.encode_texts(cleaned)
    return Encodings(encoder.model, encoded.vectors, encoded.norms, tuple(encoder.truncated(cleaned)))


def count_tokens(
    library: Library, texts: Sequence[str], *, collection: str | None = None, model: str | ChosenModel | None = None
) -> int:
    """How many tokens the model reads of these texts together, the marks of their beginnings and ends among them.

    The model is the one that ``encode_texts`` takes; raises as that does.
    """
    return sum(_text_encoder(library, collection, model).token_counts(texts))


def encode_pictures(
    library: Library,
    sources: Sequence[bytes | Path],
    *,
    collection: str | None = None,
    model: str | ChosenModel | None = None,
    called: str = "images[{}]",
) -> Encodings:
    """The embeddings of pictures, each a file's bytes or its path, by the model that ``encode_texts`` takes.

    Raises as it does, and UnreadableImage, which names the picture as ``called`` says: one that cannot be read fails
    all.
    """
    encoder = _encoder(library, collection, model)
    parts = [_none(encoder.model)]
    for start in range(0, len(sources), encoder.batch_size):
        batch = sources[start : start + encoder.batch_size]
        prepared = _each(called, batch, lambda source: _prepared(library, encoder, source), start)
        encoded = encoder.encode_prepared(prepared)
        parts.append(Encodings(encoder.model, encoded.vectors, encoded.norms, (False,) * len(batch)))
    return Encodings(
        encoder.model,
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.norms for part in parts]),
        (False,) * len(sources),
    )


def stored_encodings(
    library: Library, ids: Sequence[int], *, collection: str | None = None, model: ChosenModel | None = None
) -> Encodings:
    """The embeddings that a collection keeps of its images, in the order of ``ids``; no model is loaded for it.

    ``model`` is in the place of ``collection``, and names both. They rest in float16. Raises CollectionNotFound,
    ImageNotFound, InvalidInput for an image that has none.
    """
    row = (model and model.collection) or library.collection(collection)
    kept = library.model_of(row)
    if kept is None:
        raise InvalidInput(f"the collection {row.name!r} holds no embeddings yet")
    dimension = kept.model.dimension
    with library.database.read() as connection:
        known = image_rows(connection, dict.fromkeys(ids), collection_id=row.id)
        if missing := next((number for number in ids if number not in known), None):
            raise ImageNotFound(f"there is no image {missing} in this collection")
        vectors = vectors_of(connection, kept.id, dimension, list(dict.fromkeys(ids)))
        norms = norms_of(connection, kept.id, list(vectors))
    for number in ids:
        if number not in vectors:
            raise InvalidInput(f"image {number} has no embedding by {row.model_name}; index it again")
    return Encodings(
        kept.model,
        np.array([vectors[number] for number in ids], dtype=np.float32).reshape(len(ids), dimension),
        np.array([norms.get(number, np.nan) for number in ids], dtype=np.float32),
        (False,) * len(ids),
    )


def _text_encoder(library: Library, collection: str | None, model: str | ChosenModel | None) -> TextEncoder:
    chosen = _chosen(library, collection, model)
    return library.text_encoder_for(chosen.collection)[0] if chosen.collection else library.encoder(chosen.name)


def _encoder(library: Library, collection: str | None, model: str | ChosenModel | None) -> Encoder:
    chosen = _chosen(library, collection, model)
    return library.encoder_for(chosen.collection)[0] if chosen.collection else library.encoder(chosen.name)


def _chosen(library: Library, collection: str | None, model: str | ChosenModel | None) -> ChosenModel:
    return model if isinstance(model, ChosenModel) else choose_model(library, collection=collection, model=model)


def _prepared(library: Library, encoder: Encoder, source: bytes | Path) -> NDArray[np.float32]:
    from clipsearch.images import open_picture  # texts do without the decoders

    opened = open_picture(source, max_pixels=library.settings.max_pixels, reduced_to=encoder.model.image_size)
    return encoder.prepare(opened.picture)


def _each(called: str, given: Sequence[Given], make: Callable[[Given], Made], first: int = 0) -> list[Made]:
    made = []
    for place, one in enumerate(given, start=first):
        with _at(called, place):
            made.append(make(one))
    return made


@contextmanager
def _at(called: str, place: int) -> Iterator[None]:
    """An error inside the block tells the place of its input."""
    try:
        yield
    except ClipSearchError as error:
        error.message = f"{called.format(place)}: {error.message}"
        error.args = (error.message,)
        error.details["position"] = place
        raise
    except OSError as error:
        raise InvalidInput(f"{called.format(place)}: the file cannot be read: {error.strerror or error}") from error


def _none(model: Model) -> Encodings:
    return Encodings(model, np.empty((0, model.dimension), np.float32), np.empty(0, np.float32), ())
