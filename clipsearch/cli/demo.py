"""``clipsearch demo``: draws a picture-book, indexes it into a library of its own, and searches and sorts it."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.hits import print_hits, write_sheet
from clipsearch.cli.options import open_library
from clipsearch.cli.printing import counted, note, path_shown, print_table, program, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import Hit
    from clipsearch.library import Library
    from clipsearch.queries import Term

LABEL_SET = "things"
_QUERY = "a red boat at night"
_SHOWN = 5
_CLASSIFIED = 8


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True,
    metavar="DIR", help="Where the pictures and their library go.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(40, 100_000), default=600, show_default=True, help="How many pictures.")
def demo(folder: Path, count: int) -> None:
    """See it all at work on drawn pictures.

    Needs no network, and leaves your library alone. A second run draws and encodes nothing anew.
    """
    started = time.monotonic()
    folder = Path(os.path.expanduser(folder))
    pictures, data = folder / "picture-book", folder / "library"
    called = f"{program()} --data-dir {shlex.quote(str(data))}"
    _draw(pictures, count)
    # Every setting that decides what is touched is given here, whatever the environment says.
    own: dict[str, Any] = {
        "data_dir": data,
        "database_url": f"sqlite:///{data.absolute() / 'clipsearch.db'}",
        "model": "demo",
        "collection": "default",
    }
    with open_library(**own) as library:
        _index(library, pictures, called)
        first = _search(library, pictures, called)
        _search_by_image(library, pictures, first, called)
        _search_weighted(library, pictures, called)
        _classify(library, pictures, called)
    _tell_what_next(called, time.monotonic() - started)


def _draw(pictures: Path, count: int) -> None:
    from clipsearch.cli.progress import waiting
    from clipsearch.demo.picture_book import draw_picture_book

    _heading(f"Drawing a picture-book: {counted(count, 'picture')} in {shown(str(pictures))}")
    with waiting("drawing"):
        draw_picture_book(pictures, count=count)


def _index(library: Library, pictures: Path, called: str) -> None:
    from clipsearch.cli.progress import progress_shown
    from clipsearch.indexing import index_source

    _heading("Indexing it", f"{called} index {shlex.quote(str(pictures))}")
    with progress_shown() as tell:
        report = index_source(library, pictures, on_progress=tell)
    here = len(report.added) + len(report.changed) + len(report.moved) + len(report.unchanged)
    say(f"{counted(here, 'picture')} in the library, {report.encoded:,} encoded just now in {report.seconds:.1f} s")


def _search(library: Library, pictures: Path, called: str) -> Path:
    from clipsearch.images import path_of

    sheet = pictures.with_name("red-boats-at-night.jpg")
    _heading("Searching by words", f'{called} search "{_QUERY}" --sheet {shlex.quote(str(sheet))}')
    hits = _found(library, pictures, [_text(_QUERY)], 10)
    write_sheet(sheet, hits, _QUERY)
    note(f"the same as pictures: {shown(str(sheet))}")
    return Path(path_of(hits[0].image.uri))


def _search_by_image(library: Library, pictures: Path, image: Path, called: str) -> None:
    from clipsearch.queries import Term

    path = pictures / _short(image, pictures)
    _heading("Searching by a picture", f"{called} search {shlex.quote(str(path))}")
    _found(library, pictures, [Term(image=image)])


def _search_weighted(library: Library, pictures: Path, called: str) -> None:
    _heading("A boat, but not at night", f'{called} search "boat" --minus "night"')
    _found(library, pictures, [_text("boat"), _text("night", -1.0)])


def _classify(library: Library, pictures: Path, called: str) -> None:
    from clipsearch.classifying import classify_stored
    from clipsearch.demo.scenes import OBJECTS
    from clipsearch.errors import LabelSetNotFound
    from clipsearch.label_files import draft_of
    from clipsearch.labelling import save_label_set, show_label_set
    from clipsearch.queries import Labels

    _heading("What is on a picture?", f"{called} classify --stored --label-set {LABEL_SET}")
    try:
        show_label_set(library, LABEL_SET)
    except LabelSetNotFound:
        save_label_set(library, LABEL_SET, draft_of(((name, ()) for name in OBJECTS), ("a picture of a {}",)))
    started = time.monotonic()
    answer = classify_stored(library, Labels(label_set=LABEL_SET), top=2)
    seconds = time.monotonic() - started
    # Some from everywhere in the book, in the order of their names.
    results = sorted(answer.results, key=lambda one: one.uri)
    some = results[:: max(1, len(results) // _CLASSIFIED)][:_CLASSIFIED]
    rows = [
        (
            one.label or "-",
            f"{one.predictions[0].probability:.0%}",
            str(_short(Path(path_shown(one.uri)), pictures)),
            f"{one.predictions[1].label} {one.predictions[1].probability:.0%}",
        )
        for one in some
    ]
    print_table(("label", "probability", "file", "else"), rows, numbers=("probability",))
    say(f"{counted(len(results), 'picture')} with {counted(len(OBJECTS), 'label')} in {seconds:.2f} s")


def _tell_what_next(called: str, seconds: float) -> None:
    name = program()
    _heading(f"Done in {seconds:.0f} s. What next?")
    say("The web page, at http://127.0.0.1:8000")
    say(f"    {called} serve")
    say("Another search of the picture-book")
    say(f'    {called} search "a dog on a beach"')
    say("Your own pictures, with a large model that is downloaded once")
    say(f"    {name} index ~/Pictures")
    say(f'    {name} search "a dog on a beach"')


def _found(library: Library, pictures: Path, terms: list[Term], count: int = _SHOWN) -> list[Hit]:
    from clipsearch.queries import Query
    from clipsearch.searching import search

    hits = search(library, Query(terms=tuple(terms), k=count)).hits
    print_hits(hits[:_SHOWN], beside=pictures)
    return hits


def _text(words: str, weight: float = 1.0) -> Term:
    from clipsearch.queries import Term

    return Term(text=words, weight=weight)


def _short(path: Path, beside: Path) -> Path:
    top = beside.absolute()
    return path.relative_to(top) if path.is_relative_to(top) else path


def _heading(title: str, command: str = "") -> None:
    say()
    say(click.style(title, bold=True))
    if command:
        say(click.style(f"$ {command}", dim=True))
