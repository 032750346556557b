"""Brings the texts of many askers to the model in shared batches; alone knows who goes with whom, and when.

There is no thread of its own and no waiting for company: whoever finds the model idle runs a batch at once, and
whoever finds it busy is part of the next. The one who runs batches hands this on as soon as its own texts are done.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.text_cut import TextCut
from clipsearch.errors import Busy, InvalidVector
from clipsearch.stages import aside

Tokens = NDArray[np.int64]
Rows = NDArray[np.float32]

# Below so many tokens a pass through the model costs as much as one of them: company is free.
_FREE_TOKENS = 128


class _Ask:
    """The texts of one caller, shortest first, and how far they have come."""

    def __init__(self, tokens: Tokens, lengths: Tokens, dimension: int) -> None:
        self.order = np.argsort(lengths, kind="stable")
        self.tokens = tokens
        self.lengths = lengths[self.order]
        self.rows = np.empty((len(tokens), dimension), dtype=np.float32)
        self.done = 0
        self.error: Exception | None = None
        self.leads = False
        self.awake = threading.Event()  # it has its rows or its error, or is to lead

    @property
    def left(self) -> int:
        return len(self.order) - self.done

    @property
    def finished(self) -> bool:
        return self.error is not None or not self.left


class TextBatcher:
    """Runs ``forward`` for many threads, one call at a time, each over texts of as many askers as fit.

    ``forward`` takes tokens int64 [n, l], cut at the longest text of the batch, and gives float32 [n, dimension].
    A batch holds at most ``texts`` texts and, with its padding, ``tokens`` tokens, but one text at least. Callers
    whose texts fill more than one batch take turns with each other and with those of few texts.
    """

    def __init__(
        self,
        forward: Callable[[Tokens], Rows],
        cut: TextCut,
        dimension: int,
        *,
        texts: int,
        tokens: int,
        waiting: int = 100_000,
    ) -> None:
        self._forward = forward
        self._cut = cut
        self._dimension = dimension
        self._texts = texts
        self._tokens = tokens
        self._most_waiting = waiting
        self._lock = threading.Lock()
        self._few: deque[_Ask] = deque()
        self._many: deque[_Ask] = deque()
        self._many_next = False
        self._led = False
        self._seconds_per_text = 0.01

    def rows(self, tokens: Tokens) -> Rows:
        """The model's rows for these texts, in order: float32 [n, dimension], not normalised.

        Raises Busy when too many texts of others wait already, and what ``forward`` raised for a batch that held
        one of these texts.
        """
        ask = _Ask(tokens, self._cut.lengths(tokens), self._dimension)
        if not ask.left:
            return ask.rows
        try:
            self._enter(ask)
            if not ask.awake.is_set():
                with aside():
                    ask.awake.wait()
            while not ask.finished:
                self._run_batch()
        finally:
            self._leave(ask)
        if ask.error is not None:
            raise ask.error
        return ask.rows

    def _enter(self, ask: _Ask) -> None:
        with self._lock:
            waiting = sum(one.left for one in (*self._few, *self._many))
            if waiting and waiting + ask.left > self._most_waiting:
                raise Busy(
                    f"{waiting} texts wait to be encoded; try again in a moment",
                    retry_after=round(max(1.0, waiting * self._seconds_per_text), 1),
                )
            (self._few if self._fits(ask.left, int(ask.lengths[-1])) else self._many).append(ask)
            if not self._led:
                self._led = True
                self._promote(ask)

    def _leave(self, ask: _Ask) -> None:
        # Also the way out of one who was interrupted: it must neither be waited for nor keep the lead.
        with self._lock:
            self._forget(ask)
            if ask.leads:
                ask.leads = False
                following = next(iter((*self._few, *self._many)), None)
                self._led = following is not None
                if following is not None:
                    self._promote(following)

    @staticmethod
    def _promote(ask: _Ask) -> None:
        ask.leads = True
        ask.awake.set()

    def _forget(self, ask: _Ask) -> None:
        for queue in (self._few, self._many):
            if ask in queue:
                queue.remove(ask)

    def _run_batch(self) -> None:
        with self._lock:
            batch = self._next_batch()
        length = max(int(ask.lengths[ask.done + count - 1]) for ask, count in batch)
        tokens = np.concatenate([ask.tokens[ask.order[ask.done : ask.done + count], :length] for ask, count in batch])
        started = time.monotonic()
        try:
            with aside():
                rows = self._forward(tokens)
            if rows.shape != (len(tokens), self._dimension):
                raise InvalidVector(f"the model gave {rows.shape} for {len(tokens)} texts, not {self._dimension} wide")
        except Exception as error:  # noqa: BLE001 - raised again, by each whose texts were in the batch
            self._settle(batch, None, error)
        else:
            self._seconds_per_text += (((time.monotonic() - started) / len(rows)) - self._seconds_per_text) / 8
            self._settle(batch, rows, None)

    def _settle(self, batch: list[tuple[_Ask, int]], rows: Rows | None, error: Exception | None) -> None:
        start = 0
        with self._lock:
            for ask, count in batch:
                if rows is None:
                    ask.error = error if error is None or len(batch) == 1 else _own(error)
                else:
                    ask.rows[ask.order[ask.done : ask.done + count]] = rows[start : start + count]
                    ask.done += count
                    start += count
                if ask.finished:
                    self._forget(ask)
                    ask.awake.set()
                elif ask in self._many:  # behind those who came meanwhile
                    self._many.remove(ask)
                    self._many.append(ask)

    def _next_batch(self) -> list[tuple[_Ask, int]]:
        """Whose next texts go through the model together, and how many of each; the two queues take turns."""
        if self._few and not (self._many and self._many_next):
            self._many_next = True
            return self._company()
        self._many_next = False
        ask = self._many[0]
        count = 1
        while count < ask.left and self._fits(count + 1, int(ask.lengths[ask.done + count])):
            count += 1
        return [(ask, count)]

    def _company(self) -> list[tuple[_Ask, int]]:
        # The one who waits longest, and whoever does not make the batch much dearer by its padding.
        batch: list[tuple[_Ask, int]] = []
        texts = longest = said = 0
        for ask in self._few:
            together, length = texts + ask.left, max(longest, int(ask.lengths[-1]))
            with_this = said + int(ask.lengths.sum())
            dear = together * length > max(_FREE_TOKENS, 2 * with_this)
            if batch and (dear or not self._fits(together, length)):
                continue
            batch.append((ask, ask.left))
            texts, longest, said = together, length, with_this
        return batch

    def _fits(self, texts: int, longest: int) -> bool:
        return texts == 1 or (texts <= self._texts and texts * longest <= self._tokens)


def _own(error: Exception) -> Exception:
    """A copy for one thread, which may add to it what it knows of its own texts."""
    try:
        own = copy.deepcopy(error)
    except Exception:  # noqa: BLE001 - an error that cannot be copied is better shared than lost
        return error
    own.__cause__ = error.__cause__
    return own.with_traceback(error.__traceback__)
