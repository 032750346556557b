"""Routes of search: by text, by weighted terms, by an uploaded image, by a stored one."""

from __future__ import annotations

from apiflask import APIBlueprint

from clipsearch.answers import SearchAnswer
from clipsearch.errors import TooLarge
from clipsearch.queries import Query, Term
from clipsearch.searching import search
from clipsearch.web.context import context
from clipsearch.web.messages import SearchArgs, SearchBody, SearchForm, SimilarArgs

routes = APIBlueprint("search", __name__, tag="Search", url_prefix="/api/v1/collections/<name:name>")


@routes.get("/search")
@routes.input(SearchArgs, location="query")
@routes.output(SearchAnswer)
def search_by_text(name: str, query_data: SearchArgs) -> SearchAnswer:
    """The images nearest to a text, best first."""
    return answer(name, query_data.query((Term(text=query_data.text),), query_data.filters()))


@routes.post("/search")
@routes.input(SearchBody, location="json")
@routes.output(SearchAnswer)
def search_by_terms(name: str, json_data: SearchBody) -> SearchAnswer:
    """The images nearest to a weighted mix of texts, images, stored images and vectors."""
    limit = context().settings.max_upload_bytes
    if any(term.image is not None and len(term.image) > limit for term in json_data.terms):
        raise TooLarge(f"an image may have {limit:,} bytes at most", limit=limit)
    return answer(name, json_data.query(tuple(term.term() for term in json_data.terms), json_data.filters))


@routes.post("/search/image")
@routes.input(SearchForm, location="files")
@routes.output(SearchAnswer)
def search_by_upload(name: str, files_data: SearchForm) -> SearchAnswer:
    """The images nearest to one that is uploaded."""
    return answer(name, files_data.query((Term(image=files_data.image.data),), files_data.filters()))


@routes.get("/images/<id:image_id>/similar")
@routes.input(SimilarArgs, location="query")
@routes.output(SearchAnswer)
def similar(name: str, image_id: int, query_data: SimilarArgs) -> SearchAnswer:
    """The images nearest to a stored one, which is left out itself."""
    return answer(name, query_data.query((Term(image_id=image_id),), query_data.filters()))


def answer(name: str, query: Query) -> SearchAnswer:
    """Search while holding a work slot; never waits for a writer."""
    held = context()
    with held.slots.taken():
        return search(held.library, query, collection=name, wait=False)
