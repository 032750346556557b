"""How far a run has come, on stderr: a bar with rate and time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clipsearch.cli.printing import note

if TYPE_CHECKING:
    from clipsearch.indexing import Progress
    from clipsearch.indexing.run import OnProgress

LINE_SECONDS = 5.0
# The pace of the last half minute: what was skipped at the start says nothing about the end.
WINDOW_SECONDS = 30.0
# Steps of which it is known how much there is to do.
MEASURED = ("indexing", "tagging", "embedding")


@contextmanager
def progress_shown(what: str = "") -> Iterator[OnProgress]:
    """Something to tell each step to while a block runs; ``what`` is named before it."""
    if sys.stderr.isatty():
        with _bar(what) as tell:
            yield tell
    else:
        lines = _Lines(what)
        yield lines.tell
        lines.finish()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A sign of life on a terminal while a block runs whose end cannot be seen."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


class Pace:
    """Files a second, measured over the last while, and the time that the rest takes."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def words(self, progress: Progress) -> str:
        """For instance ``45 images/s, 0:06 left``; nothing until there is something to measure."""
        if progress.step not in MEASURED:
            return ""
        now = time.monotonic()
        self._marks.append((now, progress.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_SECONDS:
            self._marks.popleft()
        seconds, files = now - self._marks[0][0], progress.done - self._marks[0][1]
        if seconds <= 0 or files <= 0 or progress.total is None:
            return ""
        rate = files / seconds
        left = round((progress.total - progress.done) / rate)
        hours, minutes = left // 3600, left // 60 % 60
        clock = f"{hours}:{minutes:02}:{left % 60:02}" if hours else f"{minutes}:{left % 60:02}"
        return f"{rate:.0f} images/s, {clock} left" if rate >= 10 else f"{rate:.1f} images/s, {clock} left"


class _Lines:
    """A line for each step, and one every few seconds."""

    def __init__(self, what: str) -> None:
        self._what = f"{what}: " if what else ""
        self._pace = Pace()
        self._lock = threading.Lock()
        self._step = ""
        self._said_at = float("-inf")
        self._last = self._said = ""

    def tell(self, progress: Progress) -> None:
        """Called from the run's threads."""
        with self._lock:
            self._last = self._line(progress)
            now = time.monotonic()
            if progress.step != self._step or now - self._said_at >= LINE_SECONDS:
                self._step, self._said_at, self._said = progress.step, now, self._last
                note(self._last)

    def finish(self) -> None:
        """The last line, unless it was said."""
        if self._last != self._said:
            note(self._last)

    def _line(self, progress: Progress) -> str:
        words = [f"{self._what}{progress.step}"]
        if progress.step in MEASURED and progress.total is not None:
            words[0] += f": {progress.done:,} of {progress.total:,}"
            words += [self._pace.words(progress), f"{progress.failed:,} failed" if progress.failed else ""]
        return ", ".join(word for word in words if word)


@contextmanager
def _bar(what: str) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    pace = Pace()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what or "starting", total=None, pace="")

        def tell(progress: Progress) -> None:
            words = [pace.words(progress), f"{progress.failed:,} failed" if progress.failed else ""]
            bar.update(
                task,
                description=f"{what}: {progress.step}" if what else progress.step,
                # A step that cannot be measured pulses.
                total=progress.total if progress.step in MEASURED else None,
                completed=progress.done,
                pace=", ".join(word for word in words if word),
            )

        yield tell
