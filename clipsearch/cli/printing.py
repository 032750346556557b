"""What is printed, and how: JSON in one line, tables for people, names that cannot drive a terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import click

from clipsearch.cli.options import flags_of

# A command in a hint stands behind a colon.
_ADVISED = re.compile(r"(?<=: )clipsearch (?=[a-z])")


class Answering(Protocol):
    """What can be printed as JSON: every answer of the house."""

    def model_dump_json(self) -> str:
        """Its JSON on one line."""


def shown(text: str) -> str:
    """The text as it may stand on a terminal: control characters and broken letters become a sign."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def say(text: str = "") -> None:
    """A line of the answer, on stdout."""
    click.echo(text)


def note(text: str) -> None:
    """A line beside the answer, on stderr."""
    click.echo(for_this_library(text, click.get_current_context(silent=True)), err=True)


def complain(text: str) -> None:
    """An error in one line, on stderr."""
    click.echo(" ".join(shown(line) for line in text.splitlines()), err=True)


def for_this_library(text: str, context: click.Context | None) -> str:
    """The text with the --data-dir that was given in the commands that it advises, as in ``run: clipsearch index``:
    without it they would be about another library."""
    data_dir = flags_of(context).get("data_dir") if context is not None else None
    if data_dir is None:
        return text
    named = f"clipsearch --data-dir {shlex.quote(os.fspath(data_dir))} "
    return _ADVISED.sub(lambda _: named, text)


def print_json(answer: Answering | dict[str, Any]) -> None:
    """One object on one line, in UTF-8 whatever the terminal speaks."""
    text = (
        json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        if isinstance(answer, dict)
        else answer.model_dump_json()
    )
    click.echo(text.encode() + b"\n", nl=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """A table on stdout; ``numbers`` are the columns that stand at the right. What is piped is never cut."""
    cells = [[shown(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (columns, *cells):
            line = [
                cell.rjust(width) if name in numbers else cell.ljust(width)
                for name, cell, width in zip(columns, row, widths, strict=True)
            ]
            click.echo("  ".join(line).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in cells:
        # Text, not strings: a file's name may look like rich's markup.
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False).print(table)


def path_bytes(uri: str) -> bytes:
    """The path that a uri stands for, byte for byte as the file system has it; else the uri itself."""
    from clipsearch.errors import InvalidInput
    from clipsearch.images import path_of

    try:
        return os.fsencode(path_of(uri))
    except InvalidInput:  # an imported embedding, whose name is no path
        return uri.encode()


def path_shown(uri: str) -> str:
    """The path that a uri stands for, as a person may read it."""
    return shown(path_bytes(uri).decode("utf-8", "replace"))


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def program() -> str:
    """What to type to call this program again."""
    import shutil

    here = os.path.abspath(sys.argv[0])
    if os.path.basename(here) != "clipsearch" or shutil.which("clipsearch") == here:
        return "clipsearch"
    return os.path.relpath(here)
