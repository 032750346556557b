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
from typing import Any

from clipsearch.answers import ClassifyAnswer, IndexingReport, LabelSetInfo, SearchAnswer
from clipsearch.config import read_settings
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels, Query, Term

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
        return index_source(self.library, Path(source), collection=collection, options=options)

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

        ``options`` are the other fields of Query: offset, min_score, collapse_duplicates, exact.
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
    ) -> ClassifyAnswer:
        """Classify pictures (bytes or paths), or without any, all that the collection holds."""
        from clipsearch.classifying import PictureSource, classify_pictures, classify_stored

        choice = Labels(label_set=label_set, labels=tuple(labels), templates=tuple(templates))
        if pictures is None:
            return classify_stored(self.library, choice, collection=collection, top=top)
        several = [pictures] if isinstance(pictures, bytes | str | Path) else list(pictures)
        sources = [
            PictureSource(f"picture {position}", one)
            if isinstance(one, bytes)
            else PictureSource(str(one), Path(os.path.expanduser(one)))
            for position, one in enumerate(several, start=1)
        ]
        return classify_pictures(self.library, sources, choice, collection=collection, top=top)

    def save_labels(
        self,
        name: str,
        labels: Sequence[str] | dict[str, Sequence[str]],
        *,
        templates: Sequence[str] = (),
        replace: bool = False,
    ) -> LabelSetInfo:
        """Store a label set: names, or names with their prompts."""
        from clipsearch.label_files import draft_of
        from clipsearch.labelling import save_label_set

        pairs = labels.items() if isinstance(labels, dict) else [(label, ()) for label in labels]
        return save_label_set(self.library, name, draft_of(pairs, templates), replace=replace)

    def close(self) -> None:
        """Close the library; it cannot be used after that."""
        self.library.close()

    def __enter__(self) -> OpenLibrary:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def open_library(data_dir: str | Path | None = None, **settings: Any) -> OpenLibrary:
    """Open the library in ``data_dir``, or make one there.

    ``settings`` are those of ``clipsearch.config.Settings`` (model, device, collection, …); what is not given
    comes from the environment and the settings file. Raises ConfigError, SchemaMismatch.
    """
    folder = Path(os.path.expanduser(data_dir)) if data_dir is not None else None
    return OpenLibrary(Library.open(read_settings(data_dir=folder, **settings)))
