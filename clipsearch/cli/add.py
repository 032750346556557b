"""``clipsearch add``: put single pictures into a collection, and keep their files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import (
    check_model,
    collection_option,
    encoder_options,
    json_option,
    library_options,
    model_option,
    open_library,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, say, shown
from clipsearch.cli.terms import attributes_from

if TYPE_CHECKING:
    from clipsearch.adding import NewPicture
    from clipsearch.answers.additions import ImageAdded
    from clipsearch.config import Settings

# Decoded and encoded at a time, and brought in by one transaction.
_BATCH = 32


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="FILE|URL...")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="What to say of them all.")
@collection_option
@json_option
@model_option
@encoder_options
@library_options
def add(pictures: tuple[str, ...], attributes: tuple[str, ...], collection: str | None, as_json: bool) -> None:
    """Copy single pictures into the library, and take them in.

    Unlike indexed files they belong to the library: they stay when the original goes, and go when they are removed.
    Web addresses are fetched where CLIPSEARCH_FETCH_URLS is true, from public addresses only.
    """
    from clipsearch.adding import add_pictures
    from clipsearch.answers.additions import ImagesAdded
    from clipsearch.cli.tags import refresh as refresh_tags

    said = attributes_from(attributes)
    found: list[ImageAdded] = []
    with open_library() as library:
        check_model(library, collection)
        name = collection or library.settings.collection
        for batch in _batches(pictures):
            sent = _read(library.settings, batch, said)
            answer = add_pictures(library, sent, collection=collection, make_collection=True)
            name = answer.collection
            found += answer.images
        refresh_tags(library, collection)
    if as_json:
        print_json(ImagesAdded(collection=name, images=found))
    else:
        _tell(pictures, found, name)
    if all(one.outcome == "failed" for one in found):
        click.get_current_context().exit(1)


def _batches(pictures: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(pictures), _BATCH):
        yield pictures[start : start + _BATCH]


def _read(settings: Settings, batch: Sequence[str], attributes: dict[str, Any]) -> list[NewPicture]:
    """The pictures in their order; one that cannot be read, or fetched, bears the error."""
    from clipsearch.adding import NewPicture
    from clipsearch.errors import ClipSearchError
    from clipsearch.images import read_file

    urls = [one for one in batch if _is_url(one)]
    fetched = dict(zip(urls, _fetched(settings, urls), strict=True))
    found = []
    for one in batch:
        name = os.path.basename(one)
        try:
            if _is_url(one):
                came = fetched[one]
                if isinstance(came, ClipSearchError):
                    raise came
                found.append(NewPicture(came.name, came.data, attributes))
            else:
                found.append(NewPicture(name, read_file(Path(os.path.expanduser(one))), attributes))
        except ClipSearchError as error:
            found.append(NewPicture(name, attributes=attributes, error=error))
    return found


def _fetched(settings: Settings, urls: Sequence[str]) -> list[Any]:
    if not urls:
        return []
    from clipsearch.fetching import fetch_images

    return list(fetch_images(settings, urls))


def _is_url(argument: str) -> bool:
    return argument.lower().startswith(("http://", "https://"))


def _tell(pictures: Sequence[str], found: Sequence[ImageAdded], collection: str) -> None:
    for given, one in zip(pictures, found, strict=True):
        if one.image is not None:
            say(f"{one.outcome} {one.image.id}: {path_shown(one.image.uri)}")
        elif one.error is not None:
            note(f"! {shown(given)}: {shown(one.error.reason)}")
    came = sum(one.outcome == "added" for one in found)
    note(f"{counted(came, 'image')} added to the collection {shown(collection)!r}")
