"""``clipsearch search`` and ``clipsearch similar``."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.hits import answer_options, form_of, give
from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    filter_options,
    library_options,
    open_library,
    server_option,
)
from clipsearch.cli.running_server import ask_search
from clipsearch.cli.runtime import keep_text_runtime
from clipsearch.cli.terms import (
    Part,
    filter_values,
    filters_from,
    image_term,
    is_stored_file,
    stored_term,
    term_of,
    text_term,
    vector_term,
    weighted_term,
)
from clipsearch.cli.words import in_words

if TYPE_CHECKING:
    from clipsearch.answers import SearchAnswer
    from clipsearch.queries import Query, Term


# What of a query is no filter.
_DEPTH = (
    "k", "offset", "min_score", "min_relevance", "auto_cut", "relevance", "collapse_duplicates", "exact",
    "sort", "group_by", "group_size", "explain", "histogram",
)  # fmt: skip


@click.command("search")
@click.argument("query", required=False)
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="Words, whatever they look like.")
@click.option("--image", "images", multiple=True, metavar="FILE", help="A picture; - is one on stdin.")
@click.option("--stored", multiple=True, metavar="IMAGE", help="An image of the collection: its id or path.")
@click.option("--vector", "vectors", multiple=True, metavar="FILE", help="An embedding: F.npy, F.npy:ROW, F.json")
@click.option("--add", "--plus", "plus", multiple=True, metavar="[WEIGHT:]TERM", help="Mix in words or a picture.")
@click.option("--minus", multiple=True, metavar="[WEIGHT:]TERM", help="Mix in the opposite: --minus 0.5:night")
@answer_options
@filter_options
@collection_option
@encoder_options
@server_option
@library_options
def search_command(
    query: str | None,
    texts: tuple[str, ...],
    images: tuple[str, ...],
    stored: tuple[str, ...],
    vectors: tuple[str, ...],
    plus: tuple[str, ...],
    minus: tuple[str, ...],
    collection: str | None,
    **given: Any,
) -> None:
    """Find images by words, by a picture, or by a mix.

    QUERY is a picture when it names a file or begins with ./ ../ / ~ and ends like a picture; else it is words.

    \b
    clipsearch search "a dog on a beach"
    clipsearch search ./dog.jpg --add "2:golden retriever" --minus 0.5:./pool.jpg
    clipsearch search "sunset" --from 2024-05-01 --glob "*/greece/*" --print0 | xargs -0 -r ls -l
    """
    form = form_of(given)
    terms = [
        *([term_of(query)] if query is not None else []),
        *map(text_term, texts),
        *map(image_term, images),
        *map(vector_term, vectors),
        *(weighted_term(one, 1.0) for one in plus),
        *(weighted_term(one, -1.0) for one in minus),
    ]
    terms += map(stored_term, stored)
    if not terms:
        raise click.UsageError('say what to look for: clipsearch search "a dog on a beach"')
    title = " ".join(filter(None, (query, *texts, *images, *(f"+ {one}" for one in plus),
                                   *(f"- {one}" for one in minus))))  # fmt: skip
    answer = ask_search(lambda: _body(terms, given), collection)
    if answer is None:
        _search_here(terms, given, collection, lambda found: give(found, form, title))
    else:
        give(answer, form, title)


@click.command()
@click.argument("image", metavar="IMAGE")
@answer_options
@filter_options
@collection_option
@server_option
@library_options
def similar(image: str, collection: str | None, **given: Any) -> None:
    """Find what looks like a stored image.

    IMAGE is its id or its path. No model is loaded for it.
    """
    form = form_of(given)
    terms = [stored_term(image)]
    answer = ask_search(lambda: _body(terms, given), collection)
    if answer is None:
        from clipsearch.errors import ImageNotFound

        try:
            _search_here(terms, given, collection, lambda found: give(found, form, f"like {image}"))
        except ImageNotFound as error:
            if is_stored_file(image):
                raise ImageNotFound(
                    f"{image} is not in the collection; to search with it all the same: clipsearch search --image"
                ) from error
            raise
    else:
        give(answer, form, f"like {image}")


def _search_here(
    terms: Sequence[Part], given: dict[str, Any], collection: str | None, tell: Callable[[SearchAnswer], None]
) -> None:
    """Search in this process, tell the answer, and see to it that the next process need not load the whole model."""
    with ExitStack() as stack:
        with _nothing_collected():
            checked = [one.term(None, collection) for one in terms]
            _query(checked, given)  # a usage error before a library is opened, or made
            library = stack.enter_context(open_library())
            if any(one.text is not None for one in terms):
                # While this thread imports, and reads the index: much of what both do is waiting for files.
                threading.Thread(target=library.prepare_text_encoder, args=(collection,), daemon=True).start()
            from clipsearch.searching import search

            query = _query([one.term(library, collection) for one in terms], given)
            answer = search(library, query, collection=collection)
        tell(answer)
        keep_text_runtime(library, answer.model)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    # Imports make some hundred thousand objects that all stay: to go through them for garbage is a tenth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _query(terms: Sequence[Term], given: dict[str, Any]) -> Query:
    from clipsearch.queries import Query

    depth, filters = _apart(given)
    found = filters_from(**filters)
    with in_words():
        return Query(terms=tuple(terms), filters=found, **depth)


def _body(terms: Sequence[Part], given: dict[str, Any]) -> dict[str, Any] | None:
    """The query as the API takes it; None where it does not."""
    bodies = [one.body() for one in terms]
    if None in bodies:
        return None
    depth, filters = _apart(given)
    passing = {name: value for name, value in filter_values(**filters).items() if value is not None}
    return {"terms": bodies, "filters": passing, **{name: value for name, value in depth.items() if value is not None}}


def _apart(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How much of the answer is wanted, and the filters."""
    depth = {name: given[name] for name in _DEPTH}
    return depth, {name: value for name, value in given.items() if name not in depth}
