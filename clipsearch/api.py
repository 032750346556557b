"""The door for Python: a library with the verbs as methods.

::

    from clipsearch import open_library

    with open_library("~/photos.clipsearch") as library:
        library.index("~/Pictures")
        for hit in library.search("a dog on a beach").hits:
            print(hit.score, hit.image.uri)
        print(library.classify("cat.jpg", labels=["cat", "dog"]).results[0].label)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsearch.answers import (
    ClassifyAnswer,
    EvaluationAnswer,
    ExportReport,
    IndexingReport,
    IndexRecallAnswer,
    LabelSetInfo,
    ReviewQueue,
    SearchAnswer,
    TagCountsInfo,
    TaggingReport,
)
from clipsearch.answers.additions import ImagesAdded
from clipsearch.config import read_settings
from clipsearch.errors import InvalidInput
from clipsearch.label_set import LabelSet
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels, Query, Term

if TYPE_CHECKING:
    from clipsearch.classifying import PictureSource
    from clipsearch.exporting import Form

Picture = bytes | str | Path


class OpenLibrary:
    """An open library: ``index``, ``search``, ``similar``, ``classify``, ``save_labels``; a context manager.

    ``library`` is the hall itself, for ``clipsearch.web.create_app`` and for the verbs' own functions.
    """

    def __init__(self, library: Library) -> None:
        self.library = library

    def index(
        self,
        source: str | Path,
        *,
        collection: str | None = None,
        dry_run: bool = False,
        retry_failed: bool = False,
        allow_empty: bool = False,
    ) -> IndexingReport:
        """Bring the collection in step with a folder or a file; see ``clipsearch.indexing.index_source``."""
        from clipsearch.indexing import IndexingOptions, index_source

        options = IndexingOptions(dry_run=dry_run, retry_failed=retry_failed, allow_empty=allow_empty)
        report = index_source(self.library, Path(source), collection=collection, options=options)
        if not dry_run:
            from clipsearch.tagging import refresh_tags

            refresh_tags(self.library, collection)
        return report

    def add(
        self, *pictures: Picture, attributes: dict[str, Any] | None = None, collection: str | None = None
    ) -> ImagesAdded:
        """Copy pictures (bytes or paths) into the library and take them in; see ``clipsearch.adding``."""
        from clipsearch.adding import NewPicture, add_pictures
        from clipsearch.images import read_file
        from clipsearch.tagging import refresh_tags

        sent = [NewPicture(source.name, read_file(source.data) if isinstance(source.data, Path) else source.data,
                           attributes or {}) for source in _sources(list(pictures))]  # fmt: skip
        added = add_pictures(self.library, sent, collection=collection, make_collection=True)
        if any(one.outcome != "failed" for one in added.images):
            refresh_tags(self.library, collection)
        return added

    def search(
        self,
        query: str | Picture | Query | Sequence[Term],
        *,
        k: int = 20,
        filters: Filters | None = None,
        collection: str | None = None,
        **options: Any,
    ) -> SearchAnswer:
        """Search by a text, by an image (bytes or Path), by weighted terms, or by a whole Query.

        ``options`` are the other fields of Query: offset, min_score, min_relevance, auto_cut,
        relevance, collapse_duplicates, exact, explain, sort, group_by, group_size, histogram.
        """
        from clipsearch.searching import search

        if isinstance(query, Query):
            return search(self.library, query, collection=collection)
        if isinstance(query, str):
            terms: tuple[Term, ...] = (Term(text=query),)
        elif isinstance(query, bytes | Path):
            terms = (Term(image=query),)
        else:
            terms = tuple(query)
        asked = Query(terms=terms, k=k, filters=filters or Filters(), **options)
        return search(self.library, asked, collection=collection)

    def search_many(self, queries: Sequence[Query], *, collection: str | None = None) -> list[SearchAnswer]:
        """Up to 32 searches at once, answered in their order; quicker than one after the other."""
        from clipsearch.searching import search_many

        return search_many(self.library, queries, collection=collection)

    def similar(self, image_id: int, *, k: int = 20, collection: str | None = None, **options: Any) -> SearchAnswer:
        """The images nearest to a stored one, itself left out."""
        return self.search((Term(image_id=image_id),), k=k, collection=collection, **options)

    def classify(
        self,
        pictures: Picture | Sequence[Picture] | None = None,
        *,
        label_set: str | None = None,
        labels: Sequence[str] = (),
        templates: Sequence[str] = (),
        collection: str | None = None,
        top: int | None = 5,
        **options: Any,
    ) -> ClassifyAnswer:
        """Classify pictures (bytes or paths), or without any, all that the collection holds.

        ``options`` are the other fields of Labels: mode, aggregate, background, min_score, min_probability,
        min_margin.
        """
        from clipsearch.classifying import classify_pictures, classify_stored

        choice = Labels(label_set=label_set, labels=tuple(labels), templates=tuple(templates), **options)
        if pictures is None:
            return classify_stored(self.library, choice, collection=collection, top=top)
        return classify_pictures(self.library, _sources(pictures), choice, collection=collection, top=top)

    def classify_with_sets(
        self,
        pictures: Picture | Sequence[Picture],
        label_sets: Sequence[str],
        *,
        collection: str | None = None,
        top: int | None = 5,
    ) -> list[ClassifyAnswer]:
        """Classify pictures with several stored sets at once, one answer for each; a picture is encoded once."""
        from clipsearch.classifying import classify_with_sets

        sets = [Labels(label_set=name) for name in label_sets]
        return classify_with_sets(self.library, _sources(pictures), sets, collection=collection, top=top)

    def save_labels(
        self,
        name: str,
        labels: Sequence[str] | dict[str, Sequence[str]] | LabelSet | Path,
        *,
        templates: Sequence[str] = (),
        replace: bool = False,
    ) -> LabelSetInfo:
        """Store a label set: names, names with their prompts, a whole ``LabelSet``, or the Path of a label file."""
        from clipsearch.label_files import draft_of, read_label_file
        from clipsearch.labelling import save_label_set

        if isinstance(labels, LabelSet | Path):
            if templates:
                raise InvalidInput("a label set has its own templates")
            whole = read_label_file(labels) if isinstance(labels, Path) else labels
            return save_label_set(self.library, name, whole, replace=replace)
        pairs = labels.items() if isinstance(labels, dict) else [(label, ()) for label in labels]
        return save_label_set(self.library, name, draft_of(pairs, templates), replace=replace)

    def label_set(self, name: str, *, version: int | None = None) -> LabelSetInfo:
        """A label set, stored or ``builtin:NAME``, as it is or as it was; other verbs: ``clipsearch.labelling``."""
        from clipsearch.labelling import show_label_set

        return show_label_set(self.library, name, version)

    def set_thresholds(
        self, name: str, *, labels: dict[str, dict[str, float | None]] | None = None, **thresholds: float | None
    ) -> LabelSetInfo:
        """Change min_score, min_probability and min_margin of a set, or thresholds of labels; embeds nothing."""
        from clipsearch.labelling import set_thresholds

        return set_thresholds(self.library, name, thresholds, labels=labels)

    def add_examples(
        self, name: str, label: str, pictures: Sequence[Picture | int], *, collection: str | None = None
    ) -> LabelSetInfo:
        """Let pictures (bytes, paths, or ids of images in the collection) stand for a label of a stored set."""
        from clipsearch.labelling import ExampleSource, add_examples

        sources = [
            ExampleSource(image_id=one)
            if isinstance(one, int)
            else ExampleSource(data=one if isinstance(one, bytes) else Path(os.path.expanduser(one)))
            for one in pictures
        ]
        return add_examples(self.library, name, label, sources, collection=collection)

    def tag(
        self, label_set: str, *, collection: str | None = None, top: int = 3, automatic: bool = True
    ) -> TaggingReport:
        """Keep the best labels of every image; see ``clipsearch.tagging.tag_collection``."""
        from clipsearch.tagging import tag_collection

        return tag_collection(self.library, label_set, collection=collection, top=top, automatic=automatic)

    def tags(self, label_set: str, *, collection: str | None = None) -> TagCountsInfo:
        """How many images bear each label; which ones, ``search`` says with ``Filters(tags=…)``."""
        from clipsearch.tagging import show_tags

        return show_tags(self.library, label_set, collection=collection)

    def untag(self, label_set: str, *, collection: str | None = None) -> int:
        """Remove the tags of a label set; how many images had some."""
        from clipsearch.tagging import untag

        return untag(self.library, label_set, collection=collection)

    def review(
        self, label_set: str, *, collection: str | None = None, limit: int = 20, after: int | None = None
    ) -> ReviewQueue:
        """Images to look at, the least certain first; decide with the functions of ``clipsearch.reviewing``."""
        from clipsearch.reviewing import queue

        return queue(self.library, label_set, collection=collection, limit=limit, after=after)

    def export(
        self,
        label_set: str | None,
        target: str | Path | None = None,
        *,
        form: Form = "folder",
        collection: str | None = None,
        filters: Filters | None = None,
        split: tuple[float, float, float] | None = (0.8, 0.1, 0.1),
        seed: int = 0,
        **options: Any,
    ) -> ExportReport:
        """Write images with their labels as a dataset; see ``clipsearch.exporting.export_labels``.

        ``split`` are the shares of train, valid and test. ``options`` are the other fields of ``ExportOptions``:
        min_probability, keep_rejected, by, placement, embeddings, top, dry_run.
        """
        from clipsearch.exporting import ExportOptions, Split, export_labels

        parts = Split(*split, seed=seed) if split is not None else None
        wanted = ExportOptions(form=form, split=parts, **options)
        place = Path(target) if target is not None else None
        return export_labels(self.library, label_set, place, wanted, collection=collection, filters=filters)

    def evaluate(
        self,
        source: str | Path | None = None,
        *,
        label_set: str | None = None,
        templates: Sequence[str] = (),
        model: str | None = None,
        report: str | Path | None = None,
        collection: str | None = None,
        **options: Any,
    ) -> EvaluationAnswer:
        """Measure on a folder per class or a CSV, or, without a source, on the reviewed tags of ``label_set``.

        ``options`` are those of ``clipsearch.evaluating.EvaluationOptions``; ``report`` is an HTML file to write. Two
        sides at once, and published figures: ``clipsearch.evaluating.evaluate`` and ``reproduce``.
        """
        from clipsearch import evaluating
        from clipsearch.evaluating import EvaluationOptions, Side, evaluate, read_reviews, read_samples

        if report is not None:
            evaluating.check_report(report)
        if source is not None:
            material = read_samples(source)
        elif label_set is not None:
            material = read_reviews(self.library, label_set, collection=collection)
        else:
            raise InvalidInput("name a folder or a table of labelled pictures, or the label set that was reviewed")
        sides = [Side(label_set=label_set, templates=tuple(templates), model=model)]
        answer = evaluate(self.library, material, sides, collection=collection, options=EvaluationOptions(**options))
        return answer if report is None else evaluating.write_report(self.library, answer, report)

    def index_recall(self, *, collection: str | None = None, **options: Any) -> IndexRecallAnswer:
        """The vector index against exact search; see ``clipsearch.evaluating.index_recall``."""
        from clipsearch.evaluating import index_recall

        return index_recall(self.library, collection=collection, **options)

    def close(self) -> None:
        """Close the library; it cannot be used after that."""
        self.library.close()

    def __enter__(self) -> OpenLibrary:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _sources(pictures: Picture | Sequence[Picture]) -> list[PictureSource]:
    from clipsearch.classifying import PictureSource

    several = [pictures] if isinstance(pictures, bytes | str | Path) else list(pictures)
    return [
        PictureSource(f"picture {position}", one)
        if isinstance(one, bytes)
        else PictureSource(str(one), Path(os.path.expanduser(one)))
        for position, one in enumerate(several, start=1)
    ]


def open_library(data_dir: str | Path | None = None, **settings: Any) -> OpenLibrary:
    """Open the library in ``data_dir``, or make one there.

    ``settings`` are those of ``clipsearch.config.Settings`` (model, device, collection, …); what is not given
    comes from the environment and the settings file. Raises ConfigError, SchemaMismatch.
    """
    folder = Path(os.path.expanduser(data_dir)) if data_dir is not None else None
    return OpenLibrary(Library.open(read_settings(data_dir=folder, **settings)))
