"""Short texts in any number, every one another; for queries and labels, where what they mean does not matter."""

from __future__ import annotations

import itertools
import math

_ADJECTIVES = "red blue green small large old young wooden shiny dark bright wet dry round square striped".split()
_NOUNS = (
    "dog cat horse bird fish boat bicycle car train house tree flower mountain river bridge tower lamp chair table cup "
    "bottle book clock guitar piano shoe hat umbrella kite ball cake apple pear lemon bread cheese knife fork spoon "
    "window door roof garden street beach forest field cloud sun moon star snow rain fire stone sand glass paper "
    "rope wheel engine camera phone screen letter coin ring mask drum flag tent rocket robot statue"
).split()
_PLACES = "beach street garden forest kitchen table roof boat bridge field market station museum library".split()
# Numbers that follow each other share most words; steps of a prime spread them.
_STEP = 104_729


def queries(count: int, first: int = 0) -> list[str]:
    """``count`` different texts of some eight words, from number ``first`` on. Raises ValueError beyond a million."""
    sizes = (len(_NOUNS), len(_PLACES), len(_ADJECTIVES), len(_NOUNS))
    total = math.prod(sizes)
    if first + count > total:
        raise ValueError(f"there are {total} texts")
    return [_query(number * _STEP % total, sizes) for number in range(first, first + count)]


def _query(number: int, sizes: tuple[int, ...]) -> str:
    places = []
    for size in sizes:
        number, place = divmod(number, size)
        places.append(place)
    noun, where, kind, other = places
    return f"a {_ADJECTIVES[kind]} {_NOUNS[noun]} on a {_PLACES[where]} beside a {_NOUNS[other]}"


def labels(count: int) -> list[str]:
    """``count`` different names of labels."""
    names = (f"{kind} {noun}" for noun in _NOUNS for kind in _ADJECTIVES)
    return list(itertools.islice(names, count))
