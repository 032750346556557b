"""The part of the hall that trains approximate indexes beside those that answer; knows when one is due, by which texts
its recall is measured, and that one training at a time goes on in the background.

Putting a trained index in its place is for who holds the served ones (``indexes``).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.database import Database
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import text_vectors
from clipsearch.database.models import ModelRow
from clipsearch.errors import ClipSearchError
from clipsearch.vector_index import VectorIndex, rebuild_due, rebuilt
from clipsearch.vector_index.sample_texts import sample_texts

log = logging.getLogger(__name__)

# Text embeddings to measure recall with: how many suffice, and how many are read.
FEWEST_TEXTS = 250
MOST_TEXTS = 2_000
CLOSING_SECONDS = 10.0

EmbedTexts = Callable[[Sequence[str]], NDArray[np.float32]]


class Closing(Exception):
    """The library is being closed."""


class Trainer:
    """Trains the indexes of one library to reach the recall ``floor``. Safe to share between threads."""

    def __init__(self, database: Database, floor: float) -> None:
        self.floor = floor
        self._database = database
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[CollectionRow | None] = queue.SimpleQueue()
        self._asked: set[int] = set()  # the collections that wait

    def is_due(self, index: VectorIndex) -> bool:
        """Whether training would give a better index."""
        return rebuild_due(index, floor=self.floor)

    def trained(self, name: str, index: VectorIndex, model: ModelRow, embed: EmbedTexts | None) -> VectorIndex:
        """The rows of ``index``, of the collection ``name``, as they are best searched. Takes up to minutes.

        ``embed`` makes text embeddings by ``model``, for recall to be measured with. Raises Closing.
        """
        log.info("training the index of %s over %d images", name, len(index))
        texts = self._text_queries(model, embed)
        return rebuilt(index, text_like=texts, floor=self.floor, check=self._go_on)

    def start(self, train: Callable[[CollectionRow], object]) -> None:
        """From now on call ``train`` in a thread for every collection that is asked for, until `close`."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._keep_training, args=(train,), name="retraining")
                self._thread.daemon = True
                self._thread.start()

    def ask(self, collection: CollectionRow) -> None:
        """Have this collection's index trained in the background, where that was started; it waits once at most."""
        with self._lock:
            if self._thread is not None and collection.id not in self._asked:
                self._asked.add(collection.id)
                self._waiting.put(collection)

    def close(self) -> None:
        """End what runs in the background; a training that is under way is given up at its next block."""
        self._closing.set()
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(timeout=CLOSING_SECONDS)

    def _keep_training(self, train: Callable[[CollectionRow], object]) -> None:
        while (collection := self._waiting.get()) is not None and not self._closing.is_set():
            with self._lock:
                self._asked.discard(collection.id)  # however the training ends, it may be asked for again
            try:
                train(collection)
            except Exception:
                # the collection is searched as before; the next change asks again
                log.exception("the index of %s could not be trained", collection.name)

    def _go_on(self) -> None:
        if self._closing.is_set():
            raise Closing

    def _text_queries(self, model: ModelRow, embed: EmbedTexts | None) -> dict[str, NDArray[np.float32]]:
        """Embeddings by this model to measure recall with: of prompts that are kept, else of texts of our own."""
        with self._database.read() as connection:
            stored = text_vectors(connection, model.id, model.model.dimension, MOST_TEXTS)
        if len(stored) >= FEWEST_TEXTS or embed is None:
            return {"stored": stored}
        try:
            return {"encoded": embed(sample_texts(FEWEST_TEXTS))}
        except ClipSearchError as error:  # synthetic ones are measured then
            log.warning("texts could not be embedded to measure recall with: %s", error.message)
            return {"stored": stored}
