"""The background texts: everyday things that a query is held against; knows what a small model can be asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

# People search by bare words and by captions, and a model scores the two differently: half of each.
TEMPLATES = ("{}", "a photo of {}")

# Where a small model knows fewer texts of the list than this, its own words are taken as well.
FEWEST_TEXTS = 150
_MOST_WORDS = 400
_SHORTEST_WORD = 3
_WORD = re.compile(r"[a-z]+")


def background_prompts(vocabulary: frozenset[str] | None) -> list[tuple[str, str]]:
    """The (template, text) pairs for a model, in stable order and each once.

    ``vocabulary`` holds the words that a small model was taught; None stands for a model that knows language at
    large. Texts with a word outside it are left out, and where too few remain the vocabulary's own words come in.
    """
    texts = list(_texts())
    if vocabulary is not None:
        texts = [text for text in texts if all(word in vocabulary for word in _WORD.findall(text.lower()))]
        if len(texts) < FEWEST_TEXTS:
            words = sorted(word for word in vocabulary if len(word) >= _SHORTEST_WORD)
            texts += _spread(words, _MOST_WORDS)
    texts = list(dict.fromkeys(texts))
    return [(TEMPLATES[place % len(TEMPLATES)], text) for place, text in enumerate(texts)]


@cache
def _texts() -> tuple[str, ...]:
    written = resources.files(__package__).joinpath("background.txt").read_text(encoding="utf-8")
    return tuple(line for line in written.splitlines() if line)


def _spread(words: Sequence[str], most: int) -> list[str]:
    """Up to ``most`` of the words, from everywhere in the list."""
    if len(words) <= most:
        return list(words)
    return [words[place * len(words) // most] for place in range(most)]
