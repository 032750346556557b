"""How far a count has come, on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipsearch.cli.printing import note

LINE_SECONDS = 5.0


@contextmanager
def counting_shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Something to tell how many are done, and of how many, while a block runs."""
    if sys.stderr.isatty():
        with _bar(what) as tell:
            yield tell
        return
    said_at = time.monotonic()  # what takes less than that long needs no line

    def say(done: int, total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= LINE_SECONDS:
            said_at = time.monotonic()
            note(f"{what}: {done:,} of {total:,}")

    yield say


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
