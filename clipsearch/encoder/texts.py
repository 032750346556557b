"""Turns texts into tokens by the model's own tokenizer; alone knows when a text is too long for it."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W\d_]+")
_REMEMBERED_WORDS = 100_000


class TextReader:
    """open_clip's tokenizer for one model, made safe for threads and long lives."""

    def __init__(self, tokenizer: Any, vocabulary: frozenset[str] | None) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._lock = threading.Lock()  # a fast tokenizer of Hugging Face refuses two threads at once

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64 [n, context length], padded and, where too long, cut as the model's tokenizer does it."""
        if not texts:
            return np.zeros((0, self._tokenizer.context_length), dtype=np.int64)
        with self._lock:
            self._forget_words()
            return np.asarray(self._tokenizer([composed(text) for text in texts]).numpy(), dtype=np.int64)

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether its end would be cut off."""
        with self._lock:
            self._forget_words()
            return [self._needed(composed(text)) > self._tokenizer.context_length for text in texts]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens are left of each text once it is cut."""
        with self._lock:
            self._forget_words()
            return [min(self._needed(composed(text)), self._tokenizer.context_length) for text in texts]

    def unknown_words(self, text: str) -> list[str]:
        """The words that the model was not taught, lower-cased, in order, each once."""
        return unknown_words(text, self._vocabulary)

    def _needed(self, text: str) -> int:
        encode = getattr(self._tokenizer, "encode", None)
        if encode is not None:  # open_clip's SimpleTokenizer: between a start and an end token
            return len(encode(text)) + 2
        clips = self._tokenizer.tokenizer_mode == "clips"
        ids = self._tokenizer.tokenizer(self._tokenizer.clean_fn(text), add_special_tokens=not clips, truncation=False)[
            "input_ids"
        ]
        return len(ids) + (3 if clips else 0)  # "clips" adds a start, an end and a class token of its own

    def _forget_words(self) -> None:
        # SimpleTokenizer keeps every word it ever met: forget them before they fill a server's memory.
        cache = getattr(self._tokenizer, "cache", None)
        if isinstance(cache, dict) and len(cache) > _REMEMBERED_WORDS:
            special = {word: word for word in cache if cache[word] == word and word.startswith("<")}
            cache.clear()
            cache.update(special)


def unknown_words(text: str, vocabulary: frozenset[str] | None) -> list[str]:
    """The words of ``text`` outside the vocabulary, lower-cased, in order, each once; [] without a vocabulary."""
    if vocabulary is None:
        return []
    words = _WORD.findall(composed(text).lower())
    return list(dict.fromkeys(word for word in words if word not in vocabulary))


def composed(text: str) -> str:
    """The text in Unicode's composed form (NFC), so that one word typed two ways is one word."""
    return unicodedata.normalize("NFC", text)
