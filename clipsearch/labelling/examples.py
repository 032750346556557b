"""Images that stand for labels: files, uploads and images of collections, embedded once and kept."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.answers import LabelSetInfo
from clipsearch.database import examples as example_rows
from clipsearch.database import label_sets as label_rows
from clipsearch.database import models as model_rows
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.images import get_image
from clipsearch.database.models import ModelRow
from clipsearch.database.vectors import to_blobs
from clipsearch.errors import CollectionNotFound, ImageNotFound, InvalidInput, InvalidLabelSet, UnreadableImage
from clipsearch.examples import keep_examples
from clipsearch.images import absolute, content_hash, read_and_hash
from clipsearch.label_files import checked
from clipsearch.label_set import Example, Label, LabelSet
from clipsearch.labelling.describing import describe
from clipsearch.labelling.editing import label_of, plain_set, refuse_built_in, with_label
from clipsearch.library import Library

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder

MAX_ID = 2**63 - 1  # the databases' largest


@dataclass(frozen=True)
class ExampleSource:
    """An image to stand for a label: a file's path, its bytes with a name, or the id of an image of a collection."""

    name: str = ""
    data: bytes | Path | None = None
    image_id: int | None = None


def add_examples(
    library: Library,
    name: str,
    label: str,
    sources: Sequence[ExampleSource],
    *,
    words_weight: float | None = None,
    collection: str | None = None,
) -> LabelSetInfo:
    """Let images stand for a label, beside its words and those that stand for it already; one version more.

    They are embedded by the model of ``collection``, whose images ``image_id`` means. Raises LabelSetNotFound,
    InvalidLabelSet, ImageNotFound, UnreadableImage.
    """
    refuse_built_in(name)
    if not sources:
        raise InvalidInput("name at least one image to stand for the label")
    with library.database.read() as connection:
        _check_label(label_rows.get_label_set(connection, name), name, label)
    embedder = _Embedder(library, collection)
    added = [embedder.added(source) for source in sources]
    embedder.embed()
    with library.database.write() as connection:
        row = plain_set(label_rows.get_label_set(connection, name))
        old = label_of(row, label)
        known = {example.digest for example in old.examples}
        new = {one.digest: one for one in added if one.digest not in known}
        weight = old.words_weight if words_weight is None else words_weight
        changed = dataclasses.replace(old, examples=(*old.examples, *new.values()), words_weight=weight)
        wanted = checked_label(with_label(row, changed), changed.name)
        return describe(label_rows.save_label_set(connection, name, wanted, replace=True))


def keep_as_examples(
    library: Library, sources: Sequence[ExampleSource], *, collection: str | None = None
) -> list[Example]:
    """Make images known as examples before any label has them, so that a set can be tried before it is saved.

    They are embedded by the model of ``collection``. Raises ImageNotFound, UnreadableImage, InvalidInput.
    """
    embedder = _Embedder(library, collection)
    found = [embedder.added(source) for source in sources]
    embedder.embed()
    return found


def _check_label(label_set: LabelSet, name: str, label: str) -> None:
    try:
        label_of(label_set, label)
    except InvalidLabelSet as error:
        if any(one.name == label for one in label_set.labels):
            raise
        way = f"to add it: clipsearch labels add {shlex.quote(name)} {shlex.quote(label)}"
        raise InvalidLabelSet(f"{error.message}; {way}") from error


def checked_label(label_set: LabelSet, label: str) -> LabelSet:
    """The set, with this label of it checked alone: an imported set may hold others that no file could."""
    one = checked(LabelSet(mode="multi", labels=(label_of(label_set, label),)), name="the label set").labels[0]
    return with_label(label_set, one)


def with_known_examples(
    library: Library, draft: LabelSet, collection: str | None, *, may_read_files: bool = True
) -> LabelSet:
    """The set with the digest of every example, whose embeddings are kept by then."""
    if not any(label.examples for label in draft.labels):
        return draft
    embedder = _Embedder(library, collection)
    labels = tuple(
        dataclasses.replace(
            label, examples=tuple(embedder.looked_up(one, label, may_read_files) for one in label.examples)
        )
        for label in draft.labels
    )
    embedder.embed()
    return dataclasses.replace(draft, labels=labels)


class _Embedder:
    """Looks examples up and embeds together those whose embedding is not kept yet."""

    def __init__(self, library: Library, collection: str | None) -> None:
        self._library = library
        self._collection = collection
        self._sources: dict[str, bytes | Path] = {}
        self._model: tuple[ModelRow, Callable[[], Encoder]] | None = None

    def looked_up(self, example: Example, label: Label, may_read_files: bool) -> Example:
        """The example with its digest. Raises InvalidInput, UnreadableImage, ImageNotFound, which name it."""
        if example.digest and self._is_kept(example.digest):
            return example
        if not may_read_files:
            raise InvalidInput(
                f"the example {example.uri!r} of the label {label.name!r} is not known here; upload it to the label"
            )
        try:
            if "://" in example.uri:
                return self._of_collection(uri=example.uri)
            found = self.example(ExampleSource(data=Path(example.uri)))
        except UnreadableImage as error:
            raise UnreadableImage(
                f"the example {example.uri!r} of the label {label.name!r} cannot be used: {error.message}"
            ) from error
        if example.digest and found.digest != example.digest:
            raise InvalidInput(
                f"the example {example.uri!r} of the label {label.name!r} is not the image it was; leave its digest "
                "out if it should stand for the label as it is now"
            )
        return dataclasses.replace(found, uri=example.uri) if example.digest else found

    def added(self, source: ExampleSource) -> Example:
        """As ``example``; an image that cannot be read is named."""
        try:
            return self.example(source)
        except UnreadableImage as error:
            name = source.name or (source.data if isinstance(source.data, Path) else "an upload")
            raise UnreadableImage(f"{name} cannot stand for a label: {error.message}") from error

    def example(self, source: ExampleSource) -> Example:
        """What a source is as an example; its file is read and hashed here, and embedded later."""
        if source.image_id is not None:
            return self._of_collection(number=source.image_id)
        if isinstance(source.data, bytes):
            digest = content_hash(source.data)
            self._sources[digest] = source.data
            return Example(source.name or "upload", digest)
        if source.data is None:
            raise InvalidInput("an example is a file, its bytes, or an image of a collection")
        path = absolute(source.data)
        data, digest = read_and_hash(path)
        # Not the bytes: a thousand examples need not be in memory at once.
        self._sources[digest] = Path(path) if isinstance(data, bytes) else data
        return Example(str(path), digest)

    def embed(self) -> None:
        """Keep the embeddings of all that was looked up."""
        missing = {digest: data for digest, data in self._sources.items() if not self._is_kept(digest)}
        if missing:
            model, encoder = self._model_row()
            keep_examples(self._library, model, encoder(), missing)

    def _of_collection(self, *, number: int | None = None, uri: str | None = None) -> Example:
        if isinstance(number, bool):
            raise InvalidInput(f"{number} is no id of an image; an id is a whole number")
        if number is not None and not 1 <= number <= MAX_ID:
            raise ImageNotFound("there is no image of this id: ids are whole numbers from 1 to 2**63 - 1")
        collection = self._library.collection(self._collection)
        model = self._library.model_of(collection)
        with self._library.database.write() as connection:
            image = get_image(connection, collection.id, number=number, uri=uri)
            found = vectors_of(connection, model.id, model.model.dimension, [image.id]) if model else {}
            if model is None or image.id not in found:
                raise InvalidInput(f"image {image.id} has no embedding by {collection.model_name}; index it again")
            vector = found[image.id]
            digest = image.content_hash or hashlib.sha256(to_blobs(vector)[0]).hexdigest()
            # It outlives the image in its collection.
            example_rows.save_example_embeddings(connection, model.id, [digest], vector[None])
        return Example(image.uri, digest)

    def _is_kept(self, digest: str) -> bool:
        model, _ = self._model_row()
        with self._library.database.read() as connection:
            found = example_rows.example_embeddings(connection, model.id, model.model.dimension, [digest])
        if found:
            with self._library.database.write() as connection:
                example_rows.save_example_embeddings(connection, model.id, [digest], found[digest][None])
        return bool(found)

    def _model_row(self) -> tuple[ModelRow, Callable[[], Encoder]]:
        if self._model is None:
            self._model = self._find_model()
        return self._model

    def _find_model(self) -> tuple[ModelRow, Callable[[], Encoder]]:
        library = self._library
        try:
            collection = library.collection(self._collection)
        except CollectionNotFound:
            if self._collection is not None:
                raise
        else:
            row = library.model_of(collection)
            if row is not None:
                return row, lambda: library.encoder_for(collection)[0]
            encoder, row = library.encoder_for(collection)
            return row, lambda: encoder
        # Before the first collection: the model that it will have.
        encoder = library.encoder(library.model_name())
        with library.database.write() as connection:
            row = model_rows.keep_model(connection, encoder.model)
        return row, lambda: encoder
