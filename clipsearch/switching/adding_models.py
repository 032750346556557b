"""Begin and end runs that embed a collection by a further model; knows when one may be begun."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from clipsearch.answers.models import EmbeddingReport
from clipsearch.database import collection_models as further_rows
from clipsearch.database import collections as collection_rows
from clipsearch.database import embedding_runs
from clipsearch.database import models as model_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.models import check_same
from clipsearch.errors import AlreadyRunning, Conflict, in_words
from clipsearch.library import Library
from clipsearch.switching.embedding import EmbeddingRun, OnEmbedding

log = logging.getLogger(__name__)


def add_model(
    library: Library,
    model: str,
    *,
    collection: str | None = None,
    on_progress: OnEmbedding | None = None,
    run_id: int | None = None,
) -> EmbeddingReport:
    """Embed every image of a collection by a further model, beside the one that answers; once more, what is lacking.

    An image whose content the model has embedded before is taken over by its hash. A file that is gone, changed or
    unreadable is named in the report, and the image keeps lacking the model. Each batch is committed for itself, so
    that a run which was cut short goes on where it stopped. ``run_id`` is a run that ``queue_embedding`` gave.

    Raises CollectionNotFound, ModelNotFound, ModelUnavailable, ModelMismatch for other weights or another dimension
    under a known name, Conflict for the model that answers where no image lacks it, AlreadyRunning, StorageFull.
    """
    started = time.monotonic()
    row = library.collection(collection)
    name = _addable(library, row, model)
    if run_id is None:
        with library.database.read() as connection:
            embedding_runs.check_alone(connection, row.id, name)  # before a run is noted that would only fail
        run_id = queue_embedding(library, row.name, name)
    try:
        with embedding_runs.kept_alive(library.database, run_id, library.settings.lease_seconds):
            run = _begun(library, row, name, run_id, on_progress)
            state = run.execute()
        run_rows.end_run(library.database, run_id, state)
    except BaseException as error:
        run_rows.end_run(library.database, run_id, run_rows.state_after(error), _words(error))
        raise
    return run.report(cancelled=state == "cancelled", seconds=time.monotonic() - started)


def queue_embedding(library: Library, collection: str | None, model: str) -> int:
    """The id of a run that waits for its turn; hand it to ``add_model``. Raises as that, before the model is loaded."""
    row = library.collection(collection)
    name = _addable(library, row, model)
    with library.database.write() as connection:
        return run_rows.create_run(connection, row.id, "", kind="embed", model_name=name)


def _addable(library: Library, row: CollectionRow, model: str) -> str:
    name = library.model_name(model)
    if name == row.model_name and not _lacks(library, row):
        raise Conflict(
            f"{name} is the model that answers in the collection {row.name!r} already, and no image lacks it; new "
            "ones, indexing brings: clipsearch index FOLDER"
        )
    return name


def _lacks(library: Library, row: CollectionRow) -> bool:
    """Whether images lack the model that answers, as after a switch that allowed it."""
    with library.database.read() as connection:
        model = model_rows.find_model(connection, row.model_name)
        return model is not None and further_rows.count_lacking(connection, row.id, model) > 0


def _begun(library: Library, row: CollectionRow, name: str, run_id: int, tell: OnEmbedding | None) -> EmbeddingRun:
    """The run with its model loaded and written down as one of the collection's."""
    # The models of all collections are kept alike: it is refused where the name stands for other weights.
    encoder, model = library.encoder_for(replace(row, model_name=name))
    check_same(model.model, encoder.model)
    with library.database.write() as connection:
        answering = row.model_name == name
        row = further_rows.locked_collection(connection, row.id)
        if row.model_name != name:
            further_rows.add_model(connection, row.id, name)
        elif not answering:
            raise Conflict(f"the collection {row.name!r} was switched to {name} meanwhile")
        apart = embedding_runs.crashed_at_once(connection, row.id, name, run_id)
        images = collection_rows.count_images(connection, row.id)
        lacking = further_rows.count_lacking(connection, row.id, model)
    if apart:
        log.warning("the last run ended before it had embedded anything: files are decoded in processes apart now")
    return EmbeddingRun(library, row, encoder, model, run_id, tell, apart, answering, images, images - lacking)


def _words(error: BaseException) -> str:
    if isinstance(error, AlreadyRunning):
        return f"it was not begun: {error.message}"
    return in_words(error)
