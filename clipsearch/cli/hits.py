"""Gives the answer of a search in the form that was asked for: a table, JSON, paths, a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.printing import counted, note, path_bytes, path_shown, print_json, print_table, shown
from clipsearch.cli.running_server import ToldAnswer, ToldHit

if TYPE_CHECKING:
    from clipsearch.answers import Histogram, Hit, SearchAnswer

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Form:
    """How an answer is wanted."""

    as_json: bool
    ndjson: bool
    paths_only: bool
    print0: bool
    sheet: Path | None


def answer_options(command: Function) -> Function:
    """How many images, which ones, and in what form; they arrive as keyword arguments."""
    for decorator in reversed(
        [
            click.option("--top", "-k", "k", type=int, default=20, metavar="N", show_default=True, help="How many."),
            click.option("--offset", type=int, default=0, metavar="N", help="Leave out the first N."),
            click.option("--min-score", type=float, metavar="X", help="Only from this score on (-1 to 1)."),
            click.option("--min-relevance", type=float, metavar="X", help="Only from this relevance on (0 to 1)."),
            click.option("--auto-cut", is_flag=True, help="Only what matches, which may be nothing."),
            click.option("--relevance", is_flag=True, help="Tell how unusual each score is here (0 to 1)."),
            click.option("--collapse-duplicates", is_flag=True, help="Show near-duplicates once."),
            click.option("--exact", is_flag=True, help="Compare with every image, however many there are."),
            click.option("--sort", type=click.Choice(["relevance", "newest", "oldest"]), default="relevance",
                         help="By date: of the 1,000 best matches."),
            click.option("--group-by", metavar="WHAT", help="folder, day, month, year, format or tag:SET"),
            click.option("--group-size", type=int, default=3, metavar="N", show_default=True, help="Of each group."),
            click.option("--explain", is_flag=True, help="Tell what each term contributed to each score."),
            click.option("--histogram", is_flag=True, help="Tell how the scores of all images are spread."),
            click.option("--paths-only", is_flag=True, help="Print one path a line."),
            click.option("--print0", is_flag=True, help="Print paths that end with NUL: | xargs -0"),
            click.option(
                "--sheet", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                help="Also write the images with their scores as one picture (.jpg, .png, .webp).",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line."),
            click.option("--ndjson", is_flag=True, help="Print one JSON object for each image."),
        ]
    ):  # fmt: skip
        command = decorator(command)
    return command


def form_of(given: dict[str, Any]) -> Form:
    """Takes the options of the form out of ``given``; usage errors for two forms at once."""
    form = Form(**{name: given.pop(name) for name in Form.__dataclass_fields__})
    wanted = [name for name, on in (("--json", form.as_json), ("--ndjson", form.ndjson),
                                    ("--paths-only", form.paths_only or form.print0)) if on]  # fmt: skip
    if len(wanted) > 1:
        raise click.UsageError(f"{' and '.join(wanted)} do not go together")
    return form


def give(answer: SearchAnswer | ToldAnswer, form: Form, title: str) -> None:
    """Print the answer, its histogram on stderr; with no hit, leave with the exit code for that."""
    if form.sheet is not None:
        checked = answer.checked() if isinstance(answer, ToldAnswer) else answer
        _write_sheet_of_some(form.sheet, checked.hits, title)
        note(f"contact sheet: {shown(str(form.sheet))}")
    if form.as_json:
        print_json(answer)
    elif form.ndjson:
        for hit in answer.hits:
            print_json(hit)
    elif form.paths_only or form.print0:
        end = b"\0" if form.print0 else b"\n"
        click.echo(b"".join(path_bytes(hit.image.uri) + end for hit in answer.hits), nl=False)
    elif answer.hits:
        print_hits(answer.hits)
    if answer.histogram is not None and not (form.as_json or form.ndjson):
        _draw(answer.histogram)
    _tell_beside(answer)
    if not answer.hits:
        click.get_current_context().exit(NOTHING_FOUND)


def print_hits(hits: Sequence[Hit | ToldHit], beside: Path | None = None) -> None:
    """The table for people; with ``beside``, files under that folder by their shorter names."""
    top = f"{beside.absolute()}/" if beside else ""
    told = any(hit.relevance is not None for hit in hits)
    grouped = any(hit.group is not None for hit in hits)
    terms = [f"term {one.place + 1}" for one in (hits[0].terms or ())] if hits else []
    rows = [
        (
            *([hit.group or ""] if grouped else []),
            str(hit.rank),
            f"{hit.score:.3f}",
            *(["" if hit.relevance is None else f"{hit.relevance:.2f}"] if told else []),
            *(f"{one.contribution:+.3f}" for one in hit.terms or ()),
            str(hit.image.id),
            path_shown(hit.image.uri).removeprefix(top)
            + (f"  (+{len(hit.duplicates)} alike)" if hit.duplicates else ""),
        )
        for hit in hits
    ]
    names = (
        *(["group"] if grouped else []), "rank", "score", *(["relevance"] if told else []), *terms, "id", "file"
    )  # fmt: skip
    print_table(names, rows, numbers=("rank", "score", "relevance", *terms, "id"))


def _draw(histogram: Histogram) -> None:
    """Bars on stderr, so that the answer itself stays what it is."""
    most = max(histogram.counts)
    counted_of = f"{histogram.looked_at:,} of " if histogram.looked_at < histogram.images else ""
    note(f"scores of {counted_of}{counted(histogram.images, 'image')}:")
    for low, count in zip(histogram.edges, histogram.counts, strict=False):
        note(f"{low:7.3f} {'#' * -(-40 * count // most)} {count or ''}".rstrip())


def _write_sheet_of_some(path: Path, hits: list[Hit], title: str) -> None:
    if hits:
        write_sheet(path, hits, title)
    else:
        note("no contact sheet was written: there is nothing to show")


def write_sheet(path: Path, hits: list[Hit], title: str) -> None:
    """Write the contact sheet. Raises InvalidInput for a suffix that is no picture's."""
    from clipsearch.browsing import local_path
    from clipsearch.errors import ImageNotFound
    from clipsearch.images import SheetEntry, write_contact_sheet

    entries = []
    for hit in hits:
        try:
            source = local_path(hit.image)
        except ImageNotFound:
            source = None
        name = path_shown(hit.image.uri).rpartition("/")[2]
        entries.append(SheetEntry(source, name, f"{hit.score:.3f}"))
    write_contact_sheet(path, entries, title=title)


def _tell_beside(answer: SearchAnswer | ToldAnswer) -> None:
    if answer.truncated:
        note("the text is longer than the model can read: its end was left out")
    if answer.unknown_words and answer.hits:
        note(f"the model never saw: {', '.join(shown(word) for word in answer.unknown_words)}")
    if answer.notice:
        note(shown(answer.notice))
