"""Routes of search: by text, by weighted terms, by an uploaded image, by a stored one."""

from __future__ import annotations

from collections.abc import Sequence

from apiflask import APIBlueprint

from clipsearch.answers import SearchAnswer
from clipsearch.queries import Query, Term
from clipsearch.searching import search_many
from clipsearch.web.context import context
from clipsearch.web.fetched import fetched
from clipsearch.web.messages import SearchArgs, SearchBatchBody, SearchBody, SearchForm, SimilarArgs
from clipsearch.web.replies import SearchBatch
from clipsearch.web.scopes import needs
from clipsearch.web.slots import takes_slot_for
from clipsearch.web.upload_limit import check_size

routes = APIBlueprint("search", __name__, tag="Search", url_prefix="/api/v1/collections/<name:name>")


@routes.get("/search")
@routes.input(SearchArgs, location="query")
@routes.output(SearchAnswer)
@takes_slot_for("searches")
def search_by_text(name: str, query_data: SearchArgs) -> SearchAnswer:
    """The images nearest to a text, best first."""
    return answer(name, query_data.query((Term(text=query_data.text),), query_data.filters()))


@routes.post("/search")
@routes.input(SearchBody, location="json")
@routes.output(SearchAnswer)
@needs("read")
def search_by_terms(name: str, json_data: SearchBody) -> SearchAnswer:
    """The images nearest to a weighted mix of texts, images, stored images and vectors."""
    return answer(name, _asked([json_data])[0])


@routes.post("/search/batch")
@routes.input(SearchBatchBody, location="json")
@routes.output(SearchBatch)
@needs("read")
def search_by_many(name: str, json_data: SearchBatchBody) -> SearchBatch:
    """Up to 32 searches at once, answered in their order; an error of one names its place and fails them all."""
    return SearchBatch(answers=answers(name, _asked(json_data.queries)))


@routes.post("/search/image")
@routes.input(SearchForm, location="files")
@routes.output(SearchAnswer)
@needs("read")
@takes_slot_for("pictures")
def search_by_upload(name: str, files_data: SearchForm) -> SearchAnswer:
    """The images nearest to one that is uploaded."""
    return answer(name, files_data.query((Term(image=files_data.image.data),), files_data.filters()))


@routes.get("/images/<id:image_id>/similar")
@routes.input(SimilarArgs, location="query")
@routes.output(SearchAnswer)
@takes_slot_for("searches")
def similar(name: str, image_id: int, query_data: SimilarArgs) -> SearchAnswer:
    """The images nearest to a stored one, which is left out itself."""
    return answer(name, query_data.query((Term(image_id=image_id),), query_data.filters()))


def _asked(bodies: Sequence[SearchBody]) -> list[Query]:
    """The queries that these bodies hold, with the images that they name by address."""
    urls = list(dict.fromkeys(url for body in bodies for url in body.image_urls))
    images = dict(zip(urls, fetched(urls), strict=True))
    return [body.asked(images) for body in bodies]


def answer(name: str, query: Query) -> SearchAnswer:
    """Search while holding a work slot; never waits for a writer. Raises as ``answers``."""
    return answers(name, [query])[0]


def answers(name: str, queries: Sequence[Query]) -> list[SearchAnswer]:
    """The answers to several queries, as ``answer`` gives one. Raises TooLarge for an image beyond the limit."""
    held = context()
    pictures = [term.image for query in queries for term in query.terms if isinstance(term.image, bytes)]
    check_size(pictures)
    slots = held.slots if pictures else held.search_slots
    with slots.taken():
        return search_many(held.library, queries, collection=name, wait=False)
