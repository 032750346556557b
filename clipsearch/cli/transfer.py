"""``clipsearch import``, ``backup`` and ``restore``: what comes from elsewhere, and what is kept elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli.options import (
    collection_option,
    json_option,
    library_options,
    open_library,
    replace_option,
    settings_from_flags,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import ImportReport

Function = TypeVar("Function", bound=Callable[..., Any])


def import_options(command: Function) -> Function:
    """What every import of an .npy file needs to be told."""
    for decorator in reversed(
        [
            click.argument("embeddings", metavar="FILE.npy", type=click.Path(path_type=Path)),
            click.option("--names", required=True, metavar="FILE", type=click.Path(path_type=Path),
                         help="A JSON list of names, or one a line."),
        ]
    ):  # fmt: skip
        command = decorator(command)
    return _of_model(command)


def _of_model(command: Function) -> Function:
    """Which model made the embeddings, and what the library may not know of it."""
    for decorator in reversed(
        [
            click.option("--model", required=True, metavar="NAME", help="The model that made them: ViT-B-32/openai"),
            click.option("--logit-scale", type=float, metavar="X", help="The model's factor: 100 for most of CLIP."),
            click.option("--logit-bias", type=float, metavar="X", help="The model's bias: 0 but for SigLIP."),
        ]
    ):
        command = decorator(command)
    return command


@click.group("import")
def import_group() -> None:
    """Take over embeddings that were made elsewhere."""


@import_group.command("embeddings")
@import_options
@collection_option
@json_option
@library_options
def import_embeddings_command(
    embeddings: Path,
    names: Path,
    model: str,
    logit_scale: float | None,
    logit_bias: float | None,
    collection: str | None,
    as_json: bool,
) -> None:
    """Put the rows of an .npy file into a collection: row N is the image that name N names."""
    from clipsearch.cli.tags import refresh as refresh_tags
    from clipsearch.importing import import_embeddings

    with open_library() as library:
        report = import_embeddings(
            library,
            embeddings,
            names,
            model=model,
            logit_scale=logit_scale,
            logit_bias=logit_bias,
            collection=collection,
        )
        refresh_tags(library, collection)
    tell_import(report, as_json, "image")


@import_group.command("clip-retrieval")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@_of_model
@click.option("--root", metavar="DIR", type=click.Path(path_type=Path), help="Where relative image paths begin.")
@collection_option
@json_option
@library_options
def import_clip_retrieval_command(
    folder: Path,
    model: str,
    logit_scale: float | None,
    logit_bias: float | None,
    root: Path | None,
    collection: str | None,
    as_json: bool,
) -> None:
    """Take over a FOLDER of `clip-retrieval inference`: img_emb/*.npy with metadata/*.parquet.

    An image's name is its url, else its image_path; url, caption and the other columns become its attributes. What
    stands there already is not brought again.
    """
    from clipsearch.cli.tags import refresh as refresh_tags
    from clipsearch.importing import import_clip_retrieval

    with open_library() as library:
        report = import_clip_retrieval(
            library,
            Path(os.path.expanduser(folder)),
            model=model,
            logit_scale=logit_scale,
            logit_bias=logit_bias,
            collection=collection,
            root=Path(os.path.expanduser(root)) if root else None,
        )
        refresh_tags(library, collection)
    tell_import(report, as_json, "image")


def tell_import(report: ImportReport, as_json: bool, what: str) -> None:
    """The report of an import."""
    if as_json:
        print_json(report)
        return
    where = f"collection {report.collection!r}" if report.collection else f"label set {report.label_set!r}"
    say(f"{counted(report.imported, what)} imported into the {shown(where)} in {report.seconds:.1f} s")
    if report.unchanged:
        say(f"{counted(report.unchanged, 'image')} stood there already")
    for warning in report.warnings:
        note(f"warning: {shown(warning)}")
    for one in report.failed[:20]:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    if report.failed:
        note(f"{counted(len(report.failed), 'row')} could not be imported")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@replace_option
@json_option
@library_options
def backup(file: Path, replace: bool, as_json: bool) -> None:
    """Write a copy of the library to FILE.

    The library may be in use. The image files are not in it, those that were uploaded among them: they are kept
    in the folder uploads of the data folder.
    """
    from clipsearch.database.backup import back_up
    from clipsearch.images import all_uploads_folder, kept_uploads

    file = Path(os.path.expanduser(file))
    with open_library() as library:
        size = back_up(library.database, file, replace=replace)
        place = all_uploads_folder(library.settings.data_dir)
        uploads = sum(1 for _ in kept_uploads(library.settings.data_dir))
    if as_json:
        print_json({"file": str(file.absolute()), "bytes": size, "uploads_left_out": uploads})
        return
    say(f"{shown(str(file))}: {size / 1e6:,.1f} MB")
    if uploads:
        note(f"left out: {counted(uploads, 'uploaded image')}; copy their folder, too: {shown(str(place))}")


@click.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@replace_option
@json_option
@library_options
def restore_command(file: Path, replace: bool, as_json: bool) -> None:
    """Put a backup in the library's place. Stop a server that uses the library before."""
    from clipsearch.database import Database
    from clipsearch.database.backup import restore
    from clipsearch.errors import InvalidInput

    database = Database(settings_from_flags().database)
    try:
        place = database.path
    finally:
        database.close()
    if place is None:
        raise InvalidInput("this library's database is a server; restore it with pg_restore")
    restore(Path(os.path.expanduser(file)), place, replace=replace)
    with open_library() as library:  # a backup of an older version is brought up to date
        names = [one.name for one in _collections(library)]
    if as_json:
        print_json({"database": str(place), "collections": names})
    else:
        say(f"restored to {shown(str(place))}: {counted(len(names), 'collection')}")


def _collections(library: Any) -> list[Any]:
    from clipsearch.inspecting import list_collections

    return list(list_collections(library))
