"""``clipsearch collections``: the named sets of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clipsearch.cli.asking import ask
from clipsearch.cli.options import json_option, library_options, model_option, open_library, yes_option
from clipsearch.cli.printing import counted, note, print_json, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import CollectionInfo, IndexInfo


@click.group()
def collections() -> None:
    """Make, show, rename and delete collections."""


@collections.command("list")
@json_option
@library_options
def list_command(as_json: bool) -> None:
    """List the collections."""
    from clipsearch.inspecting import list_collections

    with open_library() as library:
        found = list_collections(library)
    if as_json:
        print_json({"collections": [one.model_dump(mode="json") for one in found]})
    elif found:
        print_collections(found)
    else:
        note("there is no collection yet; index a folder: clipsearch index FOLDER")


@collections.command("create")
@click.argument("name")
@model_option
@json_option
@library_options
def create(name: str, as_json: bool) -> None:
    """Make an empty collection; its model stays the same for good."""
    from clipsearch.inspecting import show_collection

    with open_library() as library:
        row = library.create_collection(name)
        made = show_collection(library, row.name, with_index=False)
    if as_json:
        print_json(made)
    else:
        say(f"collection {shown(made.name)!r}, model {shown(made.model)}")


@collections.command("show")
@click.argument("name", required=False)
@json_option
@library_options
def show(name: str | None, as_json: bool) -> None:
    """Show a collection, its index, and who is indexing it."""
    from clipsearch.inspecting import show_collection

    with open_library() as library:
        found = show_collection(library, name)
    if as_json:
        print_json(found)
        return
    lines = {
        "name": found.name,
        "model": found.model,
        "dimension": str(found.dimension or "not known yet"),
        "images": f"{found.images:,}",
        "failed files": f"{found.failures:,}",
        "revision": str(found.revision),
        "made": f"{found.created_at:%Y-%m-%d %H:%M}",
        "changed": f"{found.updated_at:%Y-%m-%d %H:%M}",
    }
    if found.index:
        lines |= _index_lines(found.index)
    if found.lease:
        lines["in use by"] = f"{found.lease.holder}: {found.lease.purpose}"
    for title, value in lines.items():
        say(f"{title + ':':14}{shown(value)}")


@collections.command("stats")
@click.argument("name", required=False)
@json_option
@library_options
def stats(name: str | None, as_json: bool) -> None:
    """Show what a collection holds, in numbers."""
    from clipsearch.cli.statistics_table import tell_statistics
    from clipsearch.counting import count_collection

    with open_library() as library:
        found = count_collection(library, name)
    if as_json:
        print_json(found)
    else:
        tell_statistics(found)


@collections.command("rename")
@click.argument("name")
@click.argument("new_name")
@json_option
@library_options
def rename(name: str, new_name: str, as_json: bool) -> None:
    """Give a collection another name."""
    from clipsearch.inspecting import show_collection

    with open_library() as library:
        library.rename_collection(name, new_name)
        renamed = show_collection(library, new_name, with_index=False)
    if as_json:
        print_json(renamed)
    else:
        say(f"collection {shown(name)!r} is now {shown(new_name)!r}")


@collections.command("delete")
@click.argument("name")
@yes_option
@json_option
@library_options
def delete(name: str, yes: bool, as_json: bool) -> None:
    """Delete a collection with its embeddings and added images; indexed files stay."""
    from clipsearch.inspecting import show_collection

    with open_library() as library:
        found = show_collection(library, name, with_index=False)
        images = counted(found.images, "image")
        ask(f"delete the collection {shown(name)!r} with the embeddings of {images}?", yes)
        library.delete_collection(name)
    if as_json:
        print_json({"deleted": name})
    else:
        say(f"collection {shown(name)!r} deleted; files that were indexed are where they were")


def _index_lines(index: IndexInfo) -> dict[str, str]:
    mapped = f" ({index.mapped_bytes / 1e6:.1f} MB of it mapped)" if index.mapped_bytes else ""
    lines = {"index": f"{index.kind}, {index.memory_bytes / 1e6:.1f} MB{mapped}"}
    trial = index.trial
    if trial is None:
        lines["recall"] = "1 (exact)"
        return lines
    measured = (
        f"{trial.recall_image:.3f} for images, {trial.recall_text:.3f} for texts, measured with {trial.image_queries} "
        f"and {trial.text_queries} queries (texts: {trial.text_source})"
    )
    if trial.in_service:
        lines["recall"] = measured
        lines["probes"] = f"{trial.probes:,} of {trial.cells:,} cells"
    else:
        lines["recall"] = f"1 (exact); an approximate index did not reach the recall wanted: {measured}"
    return lines


def print_collections(found: list[CollectionInfo]) -> None:
    """The table of collections."""
    rows = [
        (one.name, one.model, f"{one.images:,}", f"{one.failures:,}", f"{one.updated_at:%Y-%m-%d %H:%M}",
         one.lease.purpose if one.lease else "")
        for one in found
    ]  # fmt: skip
    print_table(("collection", "model", "images", "failed", "changed", "now"), rows, numbers=("images", "failed"))
