"""``clipsearch export``: labels as datasets, as events, and as keywords beside the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.counting import counting_shown
from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    filter_options,
    json_option,
    library_options,
    open_library,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, print_table, say, shown
from clipsearch.cli.terms import filters_from

if TYPE_CHECKING:
    from clipsearch.answers import ExportReport
    from clipsearch.exporting import ExportOptions, Form, Split
    from clipsearch.queries import Filters

Function = TypeVar("Function", bound=Callable[..., Any])
FORMS = ("folder", "csv", "jsonl", "parquet", "coco", "cloudevents", "xmp")
TOLD = 20


def _filters(command: Function) -> Function:
    """The usual filters, with the images' own format under another name: here --format is the dataset's."""
    command = filter_options(command)
    given: list[click.Parameter] = command.__click_params__  # type: ignore[attr-defined]
    for one in given:
        if one.name == "formats":
            one.opts = ["--image-format"]
    return command


@click.command("export")
@click.argument("label_set", required=False, metavar="[SET]")
@click.argument("target", required=False, metavar="[TARGET]", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMS), default="folder", show_default=True, help="What to write.")
@click.option("--split", metavar="A,B,C", default="80,10,10", show_default=True, help="Shares of train, valid, test.")
@click.option("--no-split", is_flag=True, help="One part.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Another number, other parts.")
@click.option("--min-probability", type=float, metavar="P", help="Leave out what is less sure than this.")
@click.option("--keep-rejected", is_flag=True, help="Write images without a label, too, as _rejected.")
@click.option("--by", type=click.Choice(["label", "category"]), default="label", show_default=True, help="The classes.")
@click.option("--pictures", "placement", type=click.Choice(["hardlink", "symlink", "copy"]),
              help="How files come into the dataset: hardlink for folders, not at all for coco.")  # fmt: skip
@click.option("--embeddings", is_flag=True, help="Write embeddings, too: jsonl, parquet, cloudevents.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="The N best labels, however sure: cloudevents.")
@click.option("--dry-run", is_flag=True, help="Count, and write nothing.")
@json_option
@_filters
@collection_option
@encoder_options
@library_options
def export(
    label_set: str | None,
    target: Path | None,
    form: Form,
    split: str,
    no_split: bool,
    seed: int,
    dry_run: bool,
    as_json: bool,
    collection: str | None,
    **given: Any,
) -> None:
    """Write images with their labels as a dataset.

    Labels are what was decided in a review, else tags that hold, else the model's. TARGET is a folder or a file,
    made whole or not at all; lines (csv, jsonl, cloudevents) go to stdout without one. Sidecars (xmp) lie beside
    the images. Events need no SET: they bear the five best of builtin:objects.

    \b
    clipsearch export animals ~/datasets/animals --min-probability 0.8 --keep-rejected
    clipsearch export animals animals.parquet --format parquet --embeddings
    clipsearch export --format cloudevents > events.jsonl
    """
    own = {name: given.pop(name) for name in
           ("min_probability", "keep_rejected", "by", "placement", "embeddings", "top")}  # fmt: skip
    found = filters_from(**given)
    from clipsearch.exporting import TEXT_FORMS, ExportOptions

    parts = None if no_split else _split(split, seed)
    options = ExportOptions(form=form, split=parts, dry_run=dry_run, **own)
    if label_set is None and form != "cloudevents":
        raise click.UsageError("name the label set: clipsearch export SET TARGET; clipsearch labels list")
    if target is None and form != "xmp" and not dry_run:
        if form not in TEXT_FORMS or (options.embeddings and form == "cloudevents"):
            raise click.UsageError("say where to write the dataset: clipsearch export SET TARGET")
        if as_json:
            raise click.UsageError("the dataset goes to stdout; name a file for it to have the report there")
        _print_lines(label_set, options, collection, found)
        return
    from clipsearch.exporting import export_labels

    with open_library() as library, counting_shown("exporting") as tell:
        report = export_labels(
            library, label_set, target, options, collection=collection, filters=found, on_progress=tell
        )
    _give(report, as_json)


def _split(text: str, seed: int) -> Split:
    from clipsearch.exporting import Split

    try:
        train, valid, test = (float(one) for one in text.split(","))
    except ValueError as error:
        raise click.UsageError("--split takes three numbers, as in 80,10,10") from error
    return Split(train, valid, test, seed=seed)


def _print_lines(label_set: str | None, options: ExportOptions, collection: str | None, filters: Filters) -> None:
    from clipsearch.exporting import export_lines

    written = False
    with open_library() as library:
        for line in export_lines(library, label_set, options, collection=collection, filters=filters):
            click.echo(line.encode(), nl=False)
            written = True
    if not written:
        note("no image of the collection passes the filters")
        click.get_current_context().exit(NOTHING_FOUND)


def _give(report: ExportReport, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        _tell(report)
    for one in (*report.failed, *report.missing)[:TOLD]:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    if report.failed:
        note(f"{counted(len(report.failed), 'image')} could not be exported; --json names them all")
    if report.missing:
        note(
            f"{counted(len(report.missing), 'image')} listed, though the file is gone or changed; --json names them all"
        )
    if report.images == 0:
        note("no image of the collection passes the filters")
        click.get_current_context().exit(NOTHING_FOUND)


def _tell(report: ExportReport) -> None:
    parts = list(report.parts)
    rows = [
        (one.name, f"{one.images:,}", *(f"{one.parts[part]:,}" for part in parts))
        for one in sorted(report.classes, key=lambda one: -one.images)
    ]
    if rows:
        print_table(("class", "images", *parts), rows, numbers=("images", *parts))
    where = "" if report.target is None else f" to {shown(report.target)}"
    verb = "would be exported" if report.dry_run else "exported"
    say(f"{counted(report.labelled, 'image')} {verb}{where} in {report.seconds:.1f} s: {report.reviewed:,} reviewed, "
        f"{report.from_tags:,} by their tags, {report.classified:,} classified")  # fmt: skip
    if report.rejected:
        reasons = ", ".join(f"{count:,} by {reason}" for reason, count in report.rejected.items())
        kept = "written as _rejected" if report.rejected_written else "left out"
        say(f"{counted(sum(report.rejected.values()), 'image')} without a label, {kept}: {reasons}")
    if any(report.sidecars.values()):
        written = counted(report.sidecars["written"], "sidecar")
        say(f"{written} written, {report.sidecars['unchanged']:,} had nothing to change")
    if report.copied:
        note(f"{counted(report.copied, 'file')} copied")
