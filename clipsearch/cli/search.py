"""``clipsearch search`` and ``clipsearch similar``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.hits import answer_options, form_of, give
from clipsearch.cli.options import collection_option, encoder_options, filter_options, library_options, open_library
from clipsearch.cli.terms import (
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
    from clipsearch.queries import Query, Term


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
    if not terms and not stored:
        raise click.UsageError('say what to look for: clipsearch search "a dog on a beach"')
    from clipsearch.searching import search

    title = " ".join(filter(None, (query, *texts, *images, *(f"+ {one}" for one in plus),
                                   *(f"- {one}" for one in minus))))  # fmt: skip
    _query(terms or _placeholder(), given)  # a usage error before a library is opened, or made
    with open_library() as library:
        terms += [stored_term(library, one, collection) for one in stored]
        answer = search(library, _query(terms, given), collection=collection)
    give(answer, form, title)


@click.command()
@click.argument("image", metavar="IMAGE")
@answer_options
@filter_options
@collection_option
@library_options
def similar(image: str, collection: str | None, **given: Any) -> None:
    """Find what looks like a stored image.

    IMAGE is its id or its path. No model is loaded for it.
    """
    from clipsearch.errors import ImageNotFound
    from clipsearch.searching import search

    form = form_of(given)
    _query(_placeholder(), given)
    with open_library() as library:
        try:
            terms = [stored_term(library, image, collection)]
        except ImageNotFound as error:
            if is_stored_file(image):
                raise ImageNotFound(
                    f"{image} is not in the collection; to search with it all the same: clipsearch search --image"
                ) from error
            raise
        answer = search(library, _query(terms, given), collection=collection)
    give(answer, form, f"like {image}")


def _query(terms: list[Term], given: dict[str, Any]) -> Query:
    from clipsearch.queries import Query

    own = {name: given[name] for name in ("k", "offset", "min_score", "collapse_duplicates", "exact")}
    filters = filters_from(**{name: value for name, value in given.items() if name not in own})
    with in_words():
        return Query(terms=tuple(terms), filters=filters, **own)


def _placeholder() -> list[Term]:
    from clipsearch.queries import Term

    return [Term(image_id=1)]
