"""``clipsearch classify``: labels for pictures that are given, or for what a collection holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import ERROR, NOTHING_FOUND
from clipsearch.cli.classifications import print_answer, print_csv, print_json_lines, print_side_by_side
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
from clipsearch.cli.printing import counted, note, path_shown, print_json, shown
from clipsearch.cli.terms import filters_from
from clipsearch.cli.words import in_words

if TYPE_CHECKING:
    from clipsearch.answers import Classification, ClassifyAnswer
    from clipsearch.classifying import PictureSource
    from clipsearch.library import Library
    from clipsearch.queries import Filters, Labels


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--labels", multiple=True, metavar="A,B,C", help="What it may be, between commas.")
@click.option("--label", "single", multiple=True, metavar="LABEL", help="One label; may hold commas.")
@click.option("--label-set", "label_sets", multiple=True, metavar="NAME", help="A stored label set; may be repeated.")
@click.option("--template", "templates", multiple=True, metavar="TEXT", help="'a photo of a {}.'; may be repeated.")
@click.option("--mode", type=click.Choice(["single", "multi", "binary"]), help="Which of these, or each on its own.")
@click.option("--background", multiple=True, metavar="TEXT", help="What else it may be: no label then.")
@click.option("--min-score", type=click.FloatRange(-1, 1), metavar="COSINE", help="Reject labels below this.")
@click.option("--min-probability", type=click.FloatRange(0, 1), metavar="P", help="Reject labels below this.")
@click.option("--min-margin", type=click.FloatRange(0, 1), metavar="P", help="Reject what leads by less than this.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help="Labels an image.")
@click.option("--all", "every", is_flag=True, help="Every label of every image.")
@click.option("--stored", is_flag=True, help="Classify what the collection holds, or what of it passes the filters.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print a line for each image and label.")
@click.option("--json-lines", is_flag=True, help="Print a JSON object for each image, as they come.")
@filter_options
@collection_option
@model_option
@encoder_options
@library_options
def classify(
    paths: tuple[Path, ...],
    labels: tuple[str, ...],
    single: tuple[str, ...],
    label_sets: tuple[str, ...],
    templates: tuple[str, ...],
    mode: str | None,
    background: tuple[str, ...],
    min_score: float | None,
    min_probability: float | None,
    min_margin: float | None,
    top: int,
    every: bool,
    stored: bool,
    as_json: bool,
    as_csv: bool,
    json_lines: bool,
    collection: str | None,
    **filters: Any,
) -> None:
    """Say which label fits each picture best, or which of them are there.

    In the mode single the probabilities of a picture's labels add up to one; in multi each is told on its own, and
    in binary against what it is not. PATH is a picture or a folder of them; with --stored in its place,
    or a filter, the images of the collection are classified. --label-set builtin:NAME is a set that comes with
    clipsearch.

    \b
    clipsearch classify cat.jpg --labels cat,dog,bird
    clipsearch classify --stored --label-set animals --csv > animals.csv
    """
    given = any(value not in (None, ()) for value in filters.values())
    if paths and (stored or given):
        raise click.UsageError("name pictures, or classify what is stored (--stored and filters), not both")
    if not (paths or stored or given or collection):
        raise click.UsageError("name pictures or folders, or say --stored for the images of the collection")
    if as_json + as_csv + json_lines > 1:
        raise click.UsageError("--json, --csv and --json-lines do not go together")
    thresholds: dict[str, Any] = {
        "min_score": min_score, "min_probability": min_probability, "min_margin": min_margin,
    }  # fmt: skip
    asked = {"mode": mode, "background": background or None, "templates": templates or None}
    names = [name.strip() for one in labels for name in one.split(",") if name.strip()]
    wanted = _choices((*names, *single), label_sets, asked, thresholds)
    found = filters_from(**filters)
    form = "json" * as_json + "csv" * as_csv + "lines" * json_lines  # one of them at most
    wanted_top = None if every else top
    with open_library() as library:
        check_model(library, collection)
        if paths:
            _classify_pictures(library, paths, wanted, collection, wanted_top, form)
        elif form in ("csv", "lines"):
            _stream_stored(library, wanted, collection, found, wanted_top, form)
        else:
            _classify_stored(library, wanted, collection, found, wanted_top, form)


def _choices(
    names: Sequence[str], label_sets: Sequence[str], asked: dict[str, Any], thresholds: dict[str, Any]
) -> list[Labels]:
    from clipsearch.queries import Labels

    if not label_sets and not names:
        raise click.UsageError("say what to choose from: --labels cat,dog or --label-set NAME")
    if label_sets and names:
        raise click.UsageError("give either label sets or labels")
    given = {name: value for name, value in asked.items() if value is not None}
    if label_sets and given:
        options = ", ".join(f"--{name.removesuffix('s')}" for name in given)
        raise click.UsageError(f"a label set has its own: {options} go with --labels")
    with in_words():
        if label_sets:
            return [Labels(label_set=name, **thresholds) for name in dict.fromkeys(label_sets)]
        return [Labels(labels=tuple(names), **given, **thresholds)]


def _classify_pictures(
    library: Library,
    paths: Sequence[Path],
    wanted: Sequence[Labels],
    collection: str | None,
    top: int | None,
    form: str,
) -> None:
    from clipsearch.classifying import classify_with_sets

    sources = _pictures(paths)
    if not sources:
        note("there is no image in these folders")
        click.get_current_context().exit(NOTHING_FOUND)
    _give(classify_with_sets(library, sources, wanted, collection=collection, top=top), form)


def _classify_stored(
    library: Library, wanted: Sequence[Labels], collection: str | None, filters: Filters, top: int | None, form: str
) -> None:
    from clipsearch.classifying import classify_stored

    _refuse_empty(library, collection)
    answers = [classify_stored(library, one, collection=collection, filters=filters, top=top) for one in wanted]
    _give(answers, form)


def _stream_stored(
    library: Library, wanted: Sequence[Labels], collection: str | None, filters: Filters, top: int | None, form: str
) -> None:
    """Line by line as images are classified: a million of them need no more memory than a thousand."""
    from clipsearch.classifying import classify_all

    _refuse_empty(library, collection)
    every = [classify_all(library, one, collection=collection, filters=filters, top=top) for one in wanted]
    named = ((one.label_set.name or None, one.classifications(library)) for one in every)
    _print_lines(named, form, several=len(every) > 1)
    for one in every:
        for warning in one.warnings(library):
            note(f"warning: {shown(warning)}")
    if not any(map(len, every)):
        note("no image of the collection passes the filters")
        click.get_current_context().exit(NOTHING_FOUND)


def _print_lines(named: Iterable[tuple[str | None, Iterable[Classification]]], form: str, *, several: bool) -> None:
    print_lines = print_csv if form == "csv" else print_json_lines
    print_lines(named, several=several)


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


def _give(answers: Sequence[ClassifyAnswer], form: str) -> None:
    if form == "json":
        from clipsearch.answers import ClassifyAnswers

        print_json(answers[0] if len(answers) == 1 else ClassifyAnswers(answers=list(answers)))
    elif form:
        _print_lines(((one.label_set, one.results) for one in answers), form, several=len(answers) > 1)
    elif len(answers) == 1:
        print_answer(answers[0])
    else:
        print_side_by_side(answers)
    _note_the_rest(answers)


def _note_the_rest(answers: Sequence[ClassifyAnswer]) -> None:
    """Warnings and failures; the exit code says where nothing was classified."""
    for warning in dict.fromkeys(warning for answer in answers for warning in answer.warnings):
        note(f"warning: {shown(warning)}")
    answer = answers[0]
    for one in answer.failed:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    if not answer.results:
        if not answer.failed:
            note("no image of the collection passes the filters")
        click.get_current_context().exit(ERROR if answer.failed else NOTHING_FOUND)
    if answer.failed:
        note(f"{counted(len(answer.failed), 'picture')} could not be classified")
