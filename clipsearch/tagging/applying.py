"""Apply a label set to all that is stored, block by block; knows what is done already from the rows alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import TaggingReport
from clipsearch.database import collections as collection_rows
from clipsearch.database import taggings as tagging_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.label_sets import LabelSetRow, label_set_stamp
from clipsearch.database.tag_writing import TagValues, write_tags
from clipsearch.database.taggings import TaggingRow
from clipsearch.errors import ClipSearchError, Conflict, InvalidInput
from clipsearch.library import Library
from clipsearch.queries import Labels
from clipsearch.tagging.showing import named_tagging

log = logging.getLogger(__name__)

# Images in one transaction: a second of work at most, and few enough that a reader never waits.
BLOCK = 4_096
TOP = 3
MAX_TOP = 100

OnProgress = Callable[[int, int], None]  # images that have their tags and images in all; may raise to end the work


@dataclass(frozen=True)
class _Work:
    """A tagging that is written down, and what waits for it: ids, ascending, and revisions int64 [n]."""

    collection: CollectionRow
    label_set: LabelSetRow
    tagging: TaggingRow
    ids: NDArray[np.int64]
    revisions: NDArray[np.int64]
    there: int
    anew: bool


def tag_collection(
    library: Library,
    label_set: str,
    *,
    collection: str | None = None,
    top: int = TOP,
    automatic: bool = True,
    at_most: int | None = None,
    on_progress: OnProgress | None = None,
) -> TaggingReport:
    """Keep the ``top`` best labels of every image with score, probability and margin; no picture is opened.

    Only images that wait for it are looked at: run again after it was cut short it goes on where it stopped. When
    the set gives other scores than the tags were made by, when the model or ``top`` is another, the old tags are
    removed first. ``automatic`` has new images tagged as they are indexed. Of more waiting images than ``at_most``
    none is tagged.

    Raises CollectionNotFound, LabelSetNotFound, InvalidLabelSet, InvalidInput for an empty collection, Conflict when
    the set changes meanwhile, and for more than ``at_most``.
    """
    if not 1 <= top <= MAX_TOP:
        raise InvalidInput(f"1 to {MAX_TOP} labels can be kept for an image, not {top}")
    started = time.monotonic()
    row = library.collection(collection)
    chosen = _chosen(library, label_set)
    if not chosen.id:
        plain = label_set.strip().removeprefix("builtin:")
        raise InvalidInput(f"{label_set!r} comes with the software; to tag images with it, store it as your own: "
                           f"clipsearch labels install {plain}, then: clipsearch tags apply {plain}")  # fmt: skip
    if at_most is not None:
        _refuse_more(library, row, chosen, top, at_most)
    work = _prepared(library, row, chosen, top=top, automatic=automatic)
    tagged, lacking = _carry_out(library, work, on_progress)
    return _report(work, tagged, lacking, time.monotonic() - started)


def refresh_tags(
    library: Library, collection: str | None = None, *, on_progress: OnProgress | None = None
) -> list[TaggingReport]:
    """Bring every automatic tagging of the collection in step with its new and changed images.

    One whose label set gives other scores by now is left as it is, and its report says so under ``problem``: to tag
    a million images anew is for a person to ask for. So does a report of what went wrong; nothing is raised for it.
    """
    started = time.monotonic()
    row = library.collection(collection)
    with library.database.read() as connection:
        states = tagging_rows.tagging_states(connection, row.id)
    reports = []
    for state in states:
        if not state.tagging.automatic:
            continue
        report = TaggingReport(collection=row.name, label_set=state.label_set, label_set_version=state.version,
                               model=row.model_name, tagged=0, unchanged=0, waiting=0, anew=False,
                               seconds=0.0)  # fmt: skip
        try:
            if state.why_stale is not None:
                raise Conflict(f"the tags of {state.label_set!r} do not hold any more: {state.why_stale}; run: "
                               f"{tagging_rows.command(state.label_set, row.name)}")  # fmt: skip
            chosen = _chosen(library, state.label_set)
            work = _waiting(library, row, chosen, state.tagging, anew=False)
            report = _report(work, *_carry_out(library, work, on_progress), time.monotonic() - started)
        except ClipSearchError as error:
            log.warning("collection %s was not tagged with %s: %s", row.name, state.label_set, error.message)
            report = report.model_copy(update={"problem": error.message})
        reports.append(report)
    return reports


def will_refresh(library: Library, collection: str | None = None) -> bool:
    """Whether any label set is applied automatically to the collection; false where there is no such collection."""
    with library.database.read() as connection:
        row = collection_rows.find_collection(connection, collection or library.settings.collection)
        return row is not None and any(
            state.tagging.automatic for state in tagging_rows.tagging_states(connection, row.id)
        )


def untag(library: Library, label_set: str, *, collection: str | None = None) -> int:
    """Remove the tags of a label set from the collection, and stop applying it; how many images had tags.

    Reviews stay. Raises CollectionNotFound, NotFound where the set is not applied.
    """
    row = library.collection(collection)
    with library.database.write() as connection:
        state = named_tagging(connection, row, label_set)
        there, waiting = tagging_rows.count_images(connection, state.tagging)
        tagging_rows.mark_for_removal(connection, state.tagging.id)
    _remove_tags(library, state.tagging)
    with library.database.write() as connection:
        tagging_rows.delete_tagging(connection, state.tagging.id)
    return there - waiting


def _chosen(library: Library, name: str) -> LabelSetRow:
    # Imported late, as where it is used below: an indexing run asks first whether there is anything to tag.
    from clipsearch.choices import label_set_of

    return label_set_of(library, Labels(label_set=name))


def _refuse_more(library: Library, row: CollectionRow, label_set: LabelSetRow, top: int, at_most: int) -> None:
    with library.database.read() as connection:
        states = tagging_rows.tagging_states(connection, row.id, label_set.name)
        fresh = states and states[0].why_stale is None and states[0].tagging.top == _depth(label_set, top)
        waiting = tagging_rows.count_waiting(connection, row.id, states[0].tagging.id if fresh else 0)
    if waiting > at_most:
        raise Conflict(f"{waiting:,} images wait for tags, more than the {at_most:,} that are tagged in one call; "
                       f"run: {tagging_rows.command(label_set.name, row.name)}")  # fmt: skip


def _depth(label_set: LabelSetRow, top: int) -> int:
    return min(top, len(label_set.labels) + bool(label_set.background))


def _prepared(library: Library, row: CollectionRow, label_set: LabelSetRow, *, top: int, automatic: bool) -> _Work:
    """The tagging written down for what the set is now, without a tag of what it was before."""
    model = library.model_of(row)
    if model is None:
        raise InvalidInput(f"the collection {row.name!r} holds no images yet; index a folder first")
    top = _depth(label_set, top)
    digest = label_set.digest
    with library.database.write() as connection:
        known = tagging_rows.find_tagging(connection, row.id, label_set.id)
        anew = known is not None and (known.digest, known.model_id, known.top) != (digest, model.id, top)
        if known is not None and anew:
            tagging_rows.mark_for_removal(connection, known.id)
    if known is not None and anew:
        _remove_tags(library, known)
    with library.database.write() as connection:
        if (label_set_stamp(connection, label_set.name) or ())[:3] != (label_set.id, label_set.name, label_set.version):
            raise _changed(f"the label set {label_set.name!r}")
        tagging = tagging_rows.save_tagging(
            connection, row.id, label_set, model.id, digest=digest, top=top, automatic=automatic
        )
    return _waiting(library, row, label_set, tagging, anew=anew)


def _remove_tags(library: Library, tagging: TaggingRow) -> None:
    """In transactions of their own: to delete three million rows in one would keep every writer waiting."""
    while True:
        with library.database.write() as connection:
            if not tagging_rows.remove_some_tags(connection, tagging.id):
                return


def _waiting(library: Library, row: CollectionRow, label_set: LabelSetRow, tagging: TaggingRow, *, anew: bool) -> _Work:
    # Before the index is asked for: an image that changes in between is tagged as it was or as it is, and in both
    # cases bears the older revision, by which it will be tagged again.
    with library.database.read() as connection:
        ids, revisions = tagging_rows.waiting_images(connection, tagging)
        there, _ = tagging_rows.count_images(connection, tagging)
    return _Work(row, label_set, tagging, ids, revisions, there, anew)


def _carry_out(library: Library, work: _Work, on_progress: OnProgress | None) -> tuple[int, int]:
    """Tag what waits; how many images were tagged, and how many have no embedding to be tagged by.

    Raises Conflict where the set or the model is not the tagging's any more: its tags would pass for those of another.
    """
    if work.label_set.digest != work.tagging.digest:
        raise _changed(f"the label set {work.label_set.name!r}")
    view = library.index(work.collection) if work.ids.size else None
    if view is None:
        return 0, int(work.ids.size)
    if view.model.id != work.tagging.model_id:
        raise _changed(f"the model of the collection {work.collection.name!r}")
    embedded = np.isin(work.ids, view.index.ids())  # the others left since, or wait for an embedding
    lacking = int(np.count_nonzero(~embedded))
    work = replace(work, ids=work.ids[embedded], revisions=work.revisions[embedded])
    if work.ids.size == 0:
        return 0, lacking
    from clipsearch.choices import choice_of

    choice = choice_of(library, work.label_set, view.model, lambda: library.encoder_for(work.collection)[0])
    rank = choice.ranker(work.tagging.top, len(work.ids))
    before = work.there - len(work.ids)
    for start in range(0, len(work.ids), BLOCK):
        ids = work.ids[start : start + BLOCK]
        ranked = rank(_unit(view.index.vectors(ids)))
        values = TagValues(ranked.positions, ranked.scores, ranked.probabilities, ranked.margins)
        with library.database.write() as connection:
            write_tags(connection, work.tagging, ids, work.revisions[start : start + BLOCK], values)
        if on_progress is not None:
            on_progress(before + start + len(ids), work.there)
    return len(work.ids), lacking


def _changed(what: str) -> Conflict:
    return Conflict(f"{what} was changed at this moment; run the command again")


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return unit


def _report(work: _Work, tagged: int, lacking: int, seconds: float) -> TaggingReport:
    return TaggingReport(
        collection=work.collection.name,
        label_set=work.label_set.name,
        label_set_version=work.label_set.version,
        model=work.collection.model_name,
        tagged=tagged,
        unchanged=work.there - len(work.ids),
        waiting=lacking,
        anew=work.anew,
        seconds=round(seconds, 3),
    )
