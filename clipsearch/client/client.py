"""The client: one object for one server, with searches and classifications of its own and a part for every subject."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipsearch.answers import ClassifyAnswer, EmbeddingsAnswer, SearchAnswer, StatusReport
from clipsearch.answers.base import Answer
from clipsearch.client.asking import (
    Picture,
    base64_of,
    body_of_filters,
    body_of_labels,
    body_of_query,
    bytes_of,
)
from clipsearch.client.collections import Collections, Models
from clipsearch.client.images import Images
from clipsearch.client.jobs import Jobs
from clipsearch.client.labels import LabelSets, Review, Tags
from clipsearch.client.transport import Transport, segment
from clipsearch.errors import ConfigError
from clipsearch.queries import Filters, Labels, Query, Term

URL_VARIABLE = "CLIPSEARCH_URL"
KEY_VARIABLE = "CLIPSEARCH_KEY"
TIMEOUT = 60.0
RETRIES = 4
PICTURES_AT_ONCE = 16


class _Answers(Answer):
    answers: list[SearchAnswer]


class _Classified(ClassifyAnswer):
    next: int | None = None


class Client:
    """Asks a clipsearch server. Safe to share between threads; a context manager, else ``close`` it.

    ``url`` and ``key`` are those of CLIPSEARCH_URL and CLIPSEARCH_KEY where they are not given. ``timeout`` is in
    seconds and for one try; what passes by itself (a busy server, a rate limit, a broken connection) is tried again
    ``retries`` times, after what Retry-After says. Every error is one of ``clipsearch.errors``, or NoAnswer or
    ServerError of this package. Raises ConfigError for an address that cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        collection: str = "default",
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        # No default of its own: help() would show it, the key with it.
        environ = os.environ if environ is None else environ
        url = url or environ.get(URL_VARIABLE)
        if not url:
            raise ConfigError(f'say where the server is: Client("http://127.0.0.1:8000"), or {URL_VARIABLE}')
        self.collection = collection
        self._transport = Transport(url, key or environ.get(KEY_VARIABLE), timeout, retries)
        self.collections = Collections(self._transport)
        self.models = Models(self._transport)
        self.images = Images(self._transport)
        self.label_sets = LabelSets(self._transport)
        self.tags = Tags(self._transport)
        self.review = Review(self._transport)
        self.jobs = Jobs(self._transport)

    def search(
        self,
        query: str | Picture | Query | Sequence[Term] = (),
        *,
        k: int = 20,
        filters: Filters | None = None,
        collection: str | None = None,
        image_urls: Sequence[str] = (),
        **options: Any,
    ) -> SearchAnswer:
        """Search by a text, by a picture (bytes or Path), by weighted terms, or by a whole Query.

        ``options`` are the other fields of Query: offset, min_score, auto_cut, sort, group_by, explain and so on.
        ``image_urls`` are addresses that the server fetches, where it may. Raises CollectionNotFound, EmptyText,
        UnreadableImage, InvalidVector.
        """
        asked = _query(query, k, filters, options, with_urls=bool(image_urls))
        body = body_of_query(asked, image_urls) if asked else _of_urls(k, filters, options, image_urls)
        return self._transport.ask(SearchAnswer, f"{self._path(collection)}/search", body, reads=True)

    def search_many(self, queries: Sequence[Query], *, collection: str | None = None) -> list[SearchAnswer]:
        """Up to 32 searches at once, answered in their order."""
        body = {"queries": [body_of_query(query) for query in queries]}
        path = f"{self._path(collection)}/search/batch"
        return self._transport.ask(_Answers, path, body, reads=True).answers

    def similar(self, image_id: int, *, k: int = 20, collection: str | None = None, **options: Any) -> SearchAnswer:
        """The images nearest to a stored one, which is left out itself. Raises ImageNotFound."""
        return self.search((Term(image_id=image_id),), k=k, collection=collection, **options)

    def classify(
        self,
        pictures: Picture | Sequence[Picture],
        *,
        label_set: str | None = None,
        labels: Sequence[str] = (),
        collection: str | None = None,
        top: int = 5,
        **options: Any,
    ) -> ClassifyAnswer:
        """Classify pictures (bytes or paths) with a label set or with labels; the answer has one entry for each.

        By the model of ``collection``, else of the client's. ``options`` are the other fields of Labels: templates,
        mode, aggregate, background and thresholds.
        """
        chosen = body_of_labels(Labels(label_set=label_set, labels=tuple(labels), **options))
        each = [pictures] if isinstance(pictures, bytes | Path) else list(pictures)
        whole: ClassifyAnswer | None = None
        for start in range(0, max(1, len(each)), PICTURES_AT_ONCE):
            part = each[start : start + PICTURES_AT_ONCE]
            images = [base64_of(bytes_of(one)) for one in part]
            body = {**chosen, "images": images, "top": top, "collection": collection or self.collection}
            answer = self._transport.ask(ClassifyAnswer, "/classify", body, reads=True)
            whole = answer if whole is None else _together(whole, answer)
        assert whole is not None  # noqa: S101  there is one part at least
        return whole

    def classify_stored(
        self,
        *,
        label_set: str | None = None,
        labels: Sequence[str] = (),
        image_ids: Sequence[int] | None = None,
        filters: Filters | None = None,
        collection: str | None = None,
        top: int = 5,
        **options: Any,
    ) -> ClassifyAnswer:
        """Classify images of a collection: those with these ids, or all that pass the filters, page by page."""
        body = body_of_labels(Labels(label_set=label_set, labels=tuple(labels), **options)) | {"top": top}
        if image_ids is not None:
            body["image_ids"] = list(image_ids)
        elif filters is not None:
            body["filters"] = body_of_filters(filters)
        path = f"{self._path(collection)}/classify"
        whole = self._transport.ask(_Classified, path, body, reads=True)
        after = whole.next
        while after is not None:
            page = self._transport.ask(_Classified, path, body | {"after": after}, reads=True)
            whole, after = _together(whole, page), page.next
        return ClassifyAnswer.model_validate(whole.model_dump(exclude={"next"}))

    def embed(
        self,
        texts: Sequence[str] = (),
        *,
        images: Sequence[Picture] = (),
        image_urls: Sequence[str] = (),
        image_ids: Sequence[int] = (),
        collection: str | None = None,
        model: str | None = None,
        normalized: bool = True,
    ) -> EmbeddingsAnswer:
        """Embeddings of texts and images, each kind in its order, as lists of floats.

        By the model of ``collection``, else of the client's, or by ``model``.
        """
        asked: dict[str, Any] = {
            "texts": list(texts),
            "images": [base64_of(bytes_of(one)) for one in images],
            "image_urls": list(image_urls),
            "image_ids": list(image_ids),
            "normalized": normalized,
        }
        asked |= {"model": model} if model else {"collection": collection or self.collection}
        return self._transport.ask(EmbeddingsAnswer, "/embeddings", asked, reads=True)

    def status(self) -> StatusReport:
        """The server's library at a glance."""
        return self._transport.read(StatusReport, "/status")

    def close(self) -> None:
        """End the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._transport.url!r})"

    def _path(self, collection: str | None) -> str:
        return f"/collections/{segment(collection or self.collection)}"


def _query(
    query: str | Picture | Query | Sequence[Term],
    k: int,
    filters: Filters | None,
    options: Mapping[str, Any],
    *,
    with_urls: bool,
) -> Query | None:
    """What is asked; None where it is addresses alone."""
    if isinstance(query, Query):
        return query
    if isinstance(query, str):
        terms: tuple[Term, ...] = (Term(text=query),)
    elif isinstance(query, bytes | Path):
        terms = (Term(image=query),)
    else:
        terms = tuple(query)
    if not terms and with_urls:
        return None
    return Query(terms=terms, k=k, filters=filters or Filters(), **options)


def _of_urls(k: int, filters: Filters | None, options: Mapping[str, Any], image_urls: Sequence[str]) -> dict[str, Any]:
    stand_in = Query(terms=(Term(image_id=1),), k=k, filters=filters or Filters(), **options)
    return body_of_query(stand_in, image_urls) | {"terms": [{"image_url": url} for url in image_urls]}


def _together(first: ClassifyAnswer, second: ClassifyAnswer) -> Any:
    return first.model_copy(
        update={"results": [*first.results, *second.results], "failed": [*first.failed, *second.failed]}
    )
