"""``clipsearch evaluate``: how well labels, captions and the index do on one's own pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import ERROR, NOTHING_FOUND
from clipsearch.cli.evaluation_tables import print_evaluation, print_index_recall, print_reference
from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    flags_of,
    json_option,
    library_options,
    model_option,
    open_library,
)
from clipsearch.cli.printing import note, print_json, shown
from clipsearch.cli.progress import LINE_SECONDS

if TYPE_CHECKING:
    from clipsearch.evaluating import Material, Side
    from clipsearch.evaluating.pictures import OnProgress
    from clipsearch.library import Library


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--label-set", metavar="NAME", help="A stored label set, or builtin:NAME; else the classes' own names.")
@click.option("--template", "templates", multiple=True, metavar="TEXT", help="'a photo of a {}.'; may be repeated.")
@click.option("--map", "renamed", multiple=True, metavar="CLASS=LABEL", help="Which label a class stands for.")
@click.option("--reviewed", is_flag=True, help="Measure on the tags of --label-set that were reviewed.")
@click.option("--against-model", metavar="NAME", help="A second model beside the first.")
@click.option("--against-label-set", metavar="NAME", help="A second label set beside the first.")
@click.option("--sweep-templates", metavar="FILE", help="Compare the templates of a file, one a line, or: builtin")
@click.option("--thresholds", "tune", is_flag=True, help="Find the least probability of each label with the best F1.")
@click.option("--write-thresholds", is_flag=True, help="Store them in the label set; embeds nothing.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.html", help="Write a report to look at.")
@click.option("--resamples", type=click.IntRange(1, 100_000), default=1_000, show_default=True, metavar="N",
              help="Bootstrap resamples for the intervals.")  # fmt: skip
@click.option("--index", "index", is_flag=True, help="Measure the vector index against exact search instead.")
@click.option("--queries", type=click.IntRange(1, 10_000), default=500, show_default=True, metavar="N",
              help="Queries of each kind for --index.")  # fmt: skip
@click.option("--reference", is_flag=True, help="Reproduce published figures of the models on this machine instead.")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="FOLDER", help="Where the pictures of --reference lie."
)
@json_option
@collection_option
@model_option
@encoder_options
@library_options
def evaluate(
    source: Path | None,
    label_set: str | None,
    templates: tuple[str, ...],
    renamed: tuple[str, ...],
    reviewed: bool,
    against_model: str | None,
    against_label_set: str | None,
    sweep_templates: str | None,
    tune: bool,
    write_thresholds: bool,
    report: Path | None,
    resamples: int,
    index: bool,
    queries: int,
    reference: bool,
    data: Path | None,
    as_json: bool,
    collection: str | None,
) -> None:
    """Measure on pictures whose truth is known.

    SOURCE is a folder with a folder for each class, or a CSV: file,label[,label…] or, under the heading
    file,caption, captions. Pictures that the library holds are not encoded again, and nothing is indexed.

    \b
    clipsearch evaluate ~/flowers --report flowers.html
    clipsearch evaluate truth.csv --label-set animals --thresholds
    clipsearch evaluate --reviewed --label-set animals --write-thresholds
    clipsearch evaluate --index
    clipsearch evaluate --reference --data ~/pictures-of-papers

    Exit codes: 1 also when a published figure differs, 3 when none could be checked.
    """
    _check(source, reviewed, index, reference, data)
    if reference:
        _reference(data, as_json)
        return
    if index:
        _index(collection, queries, as_json)
        return
    if reviewed and label_set is None:
        raise click.UsageError("--reviewed needs the label set that was reviewed: --label-set NAME")
    if write_thresholds and label_set is None:
        raise click.UsageError("--write-thresholds needs a stored label set: --label-set NAME")
    from clipsearch.evaluating import EvaluationOptions, check_report, evaluate, templates_from

    if report is not None:
        check_report(report)
    swept = templates_from(sweep_templates) if sweep_templates else ()
    sides = _sides(label_set, templates, renamed, against_model, against_label_set)
    with open_library() as library, _progress() as tell:
        material = _material(library, source, label_set, collection)
        options = EvaluationOptions(
            resamples=resamples, sweep=swept, tune=tune, write_thresholds=write_thresholds, on_progress=tell
        )
        answer = evaluate(library, material, sides, collection=collection, options=options)
        if report is not None:
            from clipsearch.evaluating import write_report

            answer = write_report(library, answer, report)
    if as_json:
        print_json(answer)
    else:
        print_evaluation(answer)


def _check(source: Path | None, reviewed: bool, index: bool, reference: bool, data: Path | None) -> None:
    asked = [name for name, given in (
        ("SOURCE", source is not None), ("--reviewed", reviewed), ("--index", index), ("--reference", reference),
    ) if given]  # fmt: skip
    if not asked:
        raise click.UsageError("name a folder or a CSV of labelled pictures, or say --reviewed, --index or --reference")
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} do not go together")
    if data is not None and not reference:
        raise click.UsageError("--data goes with --reference")


def _sides(
    label_set: str | None,
    templates: tuple[str, ...],
    renamed: Sequence[str],
    against_model: str | None,
    against_label_set: str | None,
) -> list[Side]:
    from clipsearch.evaluating import Side

    names: dict[str, str] = {}
    for one in renamed:
        name, equals, label = one.partition("=")
        if not (name.strip() and equals and label.strip()):
            raise click.UsageError(f"--map is CLASS=LABEL, not {one!r}")
        names[name.strip()] = label.strip()
    if against_model and against_label_set:
        raise click.UsageError("compare models or label sets, one at a time: what differs is then known")
    model = flags_of(click.get_current_context()).get("model")
    first = Side(label_set=label_set, templates=templates, model=model, renamed=names)
    if against_model:
        return [first, Side(label_set=label_set, templates=templates, model=against_model, renamed=names)]
    if against_label_set:
        return [first, Side(label_set=against_label_set, model=model, renamed=names)]
    return [first]


def _material(library: Library, source: Path | None, label_set: str | None, collection: str | None) -> Material:
    from clipsearch.evaluating import read_reviews, read_samples

    if source is not None:
        return read_samples(source)
    return read_reviews(library, label_set or "", collection=collection)


def _index(collection: str | None, queries: int, as_json: bool) -> None:
    from clipsearch.evaluating import index_recall

    with open_library() as library:
        answer = index_recall(library, collection=collection, queries=queries)
    if as_json:
        print_json(answer)
    else:
        print_index_recall(answer)


def _reference(data: Path | None, as_json: bool) -> None:
    from clipsearch.evaluating import reproduce

    with open_library() as library:
        answer = reproduce(library, data, told=lambda name: note(f"{shown(name)} …"))
    if as_json:
        print_json(answer)
    else:
        print_reference(answer)
    if answer.different:
        click.get_current_context().exit(ERROR)
    if not answer.reproduced:
        click.get_current_context().exit(NOTHING_FOUND)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """How many pictures are embedded, on stderr: a line every few seconds."""
    said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            note(f"embedding: {done:,} of {total:,}")

    yield tell
