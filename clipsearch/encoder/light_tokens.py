"""Turns texts into the tokens of open_clip's tokenizers without them; knows their rules, and neither torch nor them.

Reading open_clip's vocabulary in the form that ``tokenizers`` has for it takes a quarter of a second, half of
what a search from the command line may take: its merges are kept as lines instead, which are read in some ten
milliseconds. Tokenizers of Hugging Face's own are read by ``tokenizers``.
"""

from __future__ import annotations

import html
import math
import re
import string
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder.texts import composed

MERGES_FILE = "merges.txt"
FAST_FILE = "tokenizer.json"

Clean = Literal["lower", "whitespace", "canonicalize"]
_END = "</w>"
# Printable ASCII without an ampersand: ftfy and html have nothing to mend in it, and need not be imported.
_PLAIN = re.compile(r"[ -%'-~]*")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class LightTokens(Protocol):
    """One model's tokenizer: a text, in composed form, as ids between the marks that belong there."""

    def count(self, text: str) -> int:
        """How many ids the whole text has."""

    def fitted(self, text: str) -> list[int]:
        """Its ids, cut where they are more than the model's context."""


class LightReader:
    """The tokens of texts, as ``TextReader`` gives them."""

    def __init__(self, tokenizer: LightTokens, context_length: int, padding: int) -> None:
        self._tokenizer = tokenizer
        self._context_length = context_length
        self._padding = padding

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64 [n, context length], padded and, where too long, cut as the model's tokenizer does it."""
        tokens = np.full((len(texts), self._context_length), self._padding, dtype=np.int64)
        for row, text in zip(tokens, texts, strict=True):
            ids = self._tokenizer.fitted(composed(text))
            row[: len(ids)] = ids
        return tokens

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether its end would be cut off."""
        return [self._tokenizer.count(composed(text)) > self._context_length for text in texts]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens are left of each text once it is cut."""
        return [min(self._tokenizer.count(composed(text)), self._context_length) for text in texts]


class MergedTokens:
    """Byte-pair encoding as CLIP has it: words by a pattern, their bytes merged by rank, between two marks."""

    def __init__(self, rules: Mapping[str, Any], merges: str, context_length: int) -> None:
        import regex

        self._clean = cleaning(rules["clean"])
        self._pattern = regex.compile(rules["pattern"], regex.IGNORECASE)
        self._letters: list[str] = rules["letters"]  # by byte
        self._letter_ids: dict[str, int] = rules["letter_ids"]
        self._special: dict[str, int] = rules["special"]
        self._first_merged: int = rules["first_merged"]
        self._start: int = rules["start"]
        self._end: int = rules["end"]
        lines = merges.split("\n")
        self._ranks = dict(zip(lines, range(len(lines)), strict=True))
        self._context_length = context_length

    def count(self, text: str) -> int:
        """How many ids the whole text has."""
        return len(self._between(text)) + 2

    def fitted(self, text: str) -> list[int]:
        """Its ids; where they are too many, the mark of the end takes the last place."""
        return [self._start, *self._between(text)[: self._context_length - 2], self._end]

    def _between(self, text: str) -> list[int]:
        return [number for word in self._pattern.findall(self._clean(text)) for number in self._word(word)]

    def _word(self, word: str) -> list[int]:
        letters = [self._letters[byte] for byte in word.encode("utf-8")]
        if "".join(letters) in self._special:
            return [self._special["".join(letters)]]
        letters[-1] += _END
        parts = [(letter, self._letter_ids[letter]) for letter in letters]
        while len(parts) > 1:
            ranks = [self._ranks.get(f"{left} {right}", math.inf) for (left, _), (right, _) in pairwise(parts)]
            best = min(ranks)
            if best == math.inf:
                break
            parts = self._merged(parts, ranks, int(best))
        return [number for _, number in parts]

    def _merged(self, parts: list[tuple[str, int]], ranks: list[float], rank: int) -> list[tuple[str, int]]:
        merged, place = [], 0
        while place < len(parts):
            if place < len(ranks) and ranks[place] == rank:
                merged.append((parts[place][0] + parts[place + 1][0], self._first_merged + rank))
                place += 2
            else:
                merged.append(parts[place])
                place += 1
        return merged


class FastTokens:
    """A fast tokenizer of Hugging Face's, from its own file."""

    def __init__(self, rules: Mapping[str, Any], file: Path, context_length: int) -> None:
        from tokenizers import Tokenizer

        self._clean = cleaning(rules["clean"])
        self._blanked: int | None = rules["blanked"]  # a mark that the model was never shown
        self._context_length = context_length
        self._lock = threading.Lock()  # what is cut is a state of the tokenizer
        self._tokenizer: Any = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """How many ids the whole text has."""
        with self._lock:
            self._tokenizer.no_truncation()
            return len(self._tokenizer.encode(self._clean(text)).ids)

    def fitted(self, text: str) -> list[int]:
        """Its ids; where they are too many, cut as the file says."""
        with self._lock:
            self._tokenizer.enable_truncation(self._context_length)
            ids: list[int] = self._tokenizer.encode(self._clean(text)).ids
        return [0 if number == self._blanked else number for number in ids]


def cleaning(name: Clean) -> Callable[[str], str]:
    """open_clip's way of this name to bring a text in order before it is cut into words."""
    return {"lower": _lower, "whitespace": _whitespace, "canonicalize": _canonical}[name]


def _lower(text: str) -> str:
    return _whitespace(text).lower()


def _whitespace(text: str) -> str:
    return " ".join(_mended(text).split())


def _canonical(text: str) -> str:
    return " ".join(_mended(text).replace("_", " ").translate(_NO_PUNCTUATION).lower().split())


def _mended(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    import ftfy

    return html.unescape(html.unescape(ftfy.fix_text(text)))
