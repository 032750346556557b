"""``clipsearch classify``: labels for pictures that are given, or for what a collection holds."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import ERROR, NOTHING_FOUND
from clipsearch.cli.options import (
    check_model,
    collection_option,
    encoder_options,
    filter_options,
    json_option,
    library_options,
    model_option,
    open_library,
)
from clipsearch.cli.printing import counted, note, path_bytes, path_shown, print_json, print_table, say, shown
from clipsearch.cli.terms import filters_from
from clipsearch.cli.words import in_words

if TYPE_CHECKING:
    from clipsearch.answers import Classification, ClassifyAnswer
    from clipsearch.classifying import PictureSource
    from clipsearch.library import Library
    from clipsearch.queries import Labels


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--labels", multiple=True, metavar="A,B,C", help="What it may be, between commas.")
@click.option("--label", "single", multiple=True, metavar="LABEL", help="One label; may hold commas.")
@click.option("--label-set", metavar="NAME", help="A stored label set: clipsearch labels list")
@click.option("--template", "templates", multiple=True, metavar="TEXT", help="'a photo of a {}.'; may be repeated.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help="Labels an image.")
@click.option("--all", "every", is_flag=True, help="Every label of every image.")
@click.option("--stored", is_flag=True, help="Classify what the collection holds, or what of it passes the filters.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print a line for each image and label.")
@filter_options
@collection_option
@model_option
@encoder_options
@library_options
def classify(
    paths: tuple[Path, ...],
    labels: tuple[str, ...],
    single: tuple[str, ...],
    label_set: str | None,
    templates: tuple[str, ...],
    top: int,
    every: bool,
    stored: bool,
    as_json: bool,
    as_csv: bool,
    collection: str | None,
    **filters: Any,
) -> None:
    """Say which label fits each picture best.

    The probabilities of a picture's labels add up to one. PATH is a picture or a folder of them; without one, the
    images of the collection are classified.

    \b
    clipsearch classify cat.jpg --labels cat,dog,bird
    clipsearch classify --stored --label-set animals --csv > animals.csv
    """
    given = any(value not in (None, ()) for value in filters.values())
    if paths and (stored or given):
        raise click.UsageError("name pictures, or classify what is stored (--stored and filters), not both")
    if not (paths or stored or given or collection):
        raise click.UsageError("name pictures or folders, or say --stored for the images of the collection")
    if as_json and as_csv:
        raise click.UsageError("--json and --csv do not go together")
    choice = _choice(labels, single, label_set, templates)
    found = filters_from(**filters)
    from clipsearch.classifying import classify_pictures, classify_stored

    wanted = None if every else top
    with open_library() as library:
        check_model(library, collection)
        if paths:
            sources = _pictures(paths)
            if not sources:
                note("there is no image in these folders")
                click.get_current_context().exit(NOTHING_FOUND)
            answer = classify_pictures(library, sources, choice, collection=collection, top=wanted)
        else:
            _refuse_empty(library, collection)
            answer = classify_stored(library, choice, collection=collection, filters=found, top=wanted)
    _give(answer, as_json, as_csv)


def _choice(labels: Sequence[str], single: Sequence[str], label_set: str | None, templates: Sequence[str]) -> Labels:
    from clipsearch.queries import Labels

    names = [name.strip() for one in labels for name in one.split(",") if name.strip()]
    if label_set is None and not names and not single:
        raise click.UsageError("say what to choose from: --labels cat,dog or --label-set NAME")
    with in_words():
        return Labels(label_set=label_set, labels=(*names, *single), templates=tuple(templates))


def _pictures(paths: Sequence[Path]) -> list[PictureSource]:
    """The files themselves and the images in folders; what is not there fails by name with the others."""
    from clipsearch.classifying import PictureSource
    from clipsearch.images import find_images, path_of, uri_of

    found: dict[str, None] = {}
    for path in (Path(os.path.expanduser(path)) for path in paths):
        if os.path.isdir(path):
            found |= dict.fromkeys(file.uri for file in find_images(path))
        else:
            found[uri_of(path)] = None
    return [PictureSource(uri, Path(path_of(uri))) for uri in found]


def _refuse_empty(library: Library, collection: str | None) -> None:
    view = library.index(library.collection(collection))
    if view is None or len(view.index) == 0:
        note("the collection holds no images yet")
        click.get_current_context().exit(NOTHING_FOUND)


def _give(answer: ClassifyAnswer, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(answer)
    elif as_csv:
        _print_csv(answer.results)
    elif len(answer.results) == 1:
        _print_one(answer.results[0])
    elif answer.results:
        _print_many(answer.results)
    for warning in answer.warnings:
        note(f"warning: {shown(warning)}")
    for one in answer.failed:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    if not answer.results:
        if not answer.failed:
            note("no image of the collection passes the filters")
        click.get_current_context().exit(ERROR if answer.failed else NOTHING_FOUND)
    if answer.failed:
        note(f"{counted(len(answer.failed), 'picture')} could not be classified")


def _print_one(result: Classification) -> None:
    say(path_shown(result.uri))
    rows = [(one.label, f"{one.probability:.1%}", f"{one.score:.3f}") for one in result.predictions]
    print_table(("label", "probability", "score"), rows, numbers=("probability", "score"))


def _print_many(results: Sequence[Classification]) -> None:
    rows = []
    for result in results:
        first, *rest = result.predictions
        others = ", ".join(f"{one.label} {one.probability:.0%}" for one in rest[:3])
        rows.append((first.label, f"{first.probability:.1%}", path_shown(result.uri), others))
    print_table(("label", "probability", "file", "else"), rows, numbers=("probability",))


def _print_csv(results: Sequence[Classification]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "rank", "label", "probability", "score"))
    for result in results:
        name = path_bytes(result.uri).decode("utf-8", "surrogateescape")
        for rank, one in enumerate(result.predictions, start=1):
            writer.writerow((name, rank, one.label, f"{one.probability:.6f}", f"{one.score:.6f}"))
    click.echo(text.getvalue().encode("utf-8", "surrogateescape"), nl=False)
