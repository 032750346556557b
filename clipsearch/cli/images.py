"""``clipsearch images``: the images of a collection one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.options import collection_option, filter_options, json_option, library_options, open_library
from clipsearch.cli.printing import counted, note, path_bytes, path_shown, print_json, print_table, say, shown
from clipsearch.cli.terms import attributes_from, filters_from, image_named

if TYPE_CHECKING:
    from clipsearch.cursors import Order


@click.group()
def images() -> None:
    """List, show and take out images."""


@images.command("list")
@click.option("-k", "--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="How many.")
@click.option("--sort", type=click.Choice(["id", "newest", "oldest"]), default="id", show_default=True, help="By what.")
@click.option("--after", default="0", metavar="NEXT", help="Go on after this id, or where a list by date ended.")
@click.option("--paths-only", is_flag=True, help="Print one path a line.")
@click.option("--print0", is_flag=True, help="Print paths that end with NUL: | xargs -0")
@filter_options
@collection_option
@json_option
@library_options
def list_command(
    limit: int,
    sort: Order,
    after: str,
    paths_only: bool,
    print0: bool,
    collection: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List images in the order in which they came, or by date."""
    from clipsearch.browsing import list_page

    wanted = filters_from(**filters)
    with open_library() as library:
        found, more = list_page(library, collection=collection, filters=wanted, order=sort, after=after, limit=limit)
    if as_json:
        print_json({"images": [one.model_dump(mode="json") for one in found], "next": more})
    elif paths_only or print0:
        end = b"\0" if print0 else b"\n"
        click.echo(b"".join(path_bytes(one.uri) + end for one in found), nl=False)
    elif found:
        rows = [
            (
                str(one.id),
                one.format or "",
                f"{one.width} x {one.height}" if one.width else "",
                f"{one.taken_at:%Y-%m-%d}" if one.taken_at else "",
                path_shown(one.uri),
            )
            for one in found
        ]
        print_table(("id", "format", "size", "taken", "file"), rows, numbers=("id",))
    if more is not None:
        note(f"there are more: --after {more}")
    if not found:
        note("there is no such image")
        click.get_current_context().exit(NOTHING_FOUND)


@images.command("show")
@click.argument("image", metavar="IMAGE")
@collection_option
@json_option
@library_options
def show(image: str, collection: str | None, as_json: bool) -> None:
    """Show what is known of an image, named by its id or its path."""
    from clipsearch.browsing import image_details

    with open_library() as library:
        found = image_details(library, image_named(image), collection=collection)
    if as_json:
        print_json(found)
        return
    for name, value in found.model_dump(mode="json").items():
        if name == "tags":
            for tag in found.tags:
                sure = "by a person" if tag.probability is None else f"{tag.probability:.1%}"
                say(f"{'tag:':14}{shown(f'{tag.label_set}:{tag.label}')} ({sure})")
        elif name == "attributes":
            for attribute, said in found.attributes.items():
                say(f"{'attribute:':14}{shown(attribute)}={shown(_written(said))}")
        elif value is not None:
            say(f"{name + ':':14}{path_shown(value) if name == 'uri' else shown(str(value))}")


@images.command("set")
@click.argument("image", metavar="IMAGE")
@click.argument("attributes", metavar="NAME=VALUE...", nargs=-1)
@click.option("--remove", "removed", multiple=True, metavar="NAME", help="Take back what is said under this name.")
@collection_option
@json_option
@library_options
def set_command(
    image: str, attributes: tuple[str, ...], removed: tuple[str, ...], collection: str | None, as_json: bool
) -> None:
    """Say something of an image, to find it by: clipsearch images set 7 trip=Rome stars=4

    5 is a number, true and false are truth values, "5" and all else are texts; a name that stands twice has a list.
    """
    from clipsearch.browsing import change_attributes

    changes = {**dict.fromkeys(removed), **attributes_from(attributes)}
    if not changes:
        raise click.UsageError("say what to keep: NAME=VALUE, or what to take back: --remove NAME")
    with open_library() as library:
        found = change_attributes(library, image_named(image), changes, collection=collection)
    if as_json:
        print_json(found)
        return
    for name, value in found.attributes.items():
        say(f"{shown(name)}={shown(_written(value))}")


def _written(value: Any) -> str:
    """A value as it may be typed again; several of a list with commas between them."""
    if isinstance(value, list):
        return ", ".join(value)
    from clipsearch.attributes import value_of

    plain = value if isinstance(value, str) else json.dumps(value)
    return plain if value_of(plain) == value else json.dumps(value, ensure_ascii=False)


@images.command("remove")
@click.argument("image", metavar="IMAGE...", nargs=-1, required=True)
@collection_option
@json_option
@library_options
def remove(image: tuple[str, ...], collection: str | None, as_json: bool) -> None:
    """Take images out of the collection, named by ids or paths.

    The files stay, and indexing finds them again; the copies of those that were added (clipsearch add) are deleted.
    """
    from clipsearch.browsing import remove_images

    with open_library() as library:
        gone = remove_images(library, [image_named(one) for one in image], collection=collection)
    if as_json:
        print_json({"removed": [one.model_dump(mode="json") for one in gone]})
    else:
        say(f"{counted(len(gone), 'image')} removed; files that were indexed are where they were")
