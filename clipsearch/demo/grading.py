"""Puts scenes and captions into numbers; it alone says which caption is true of which picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clipsearch.demo.captions import AT_LEAST_ONE, AT_LEAST_TWO, Caption, Claim
from clipsearch.demo.scenes import COLOURS, MOST_THINGS, OBJECTS, PLACES, SIZES, TIMES, Scene

TRUE: Final = 1
FALSE: Final = 0
UNDECIDED: Final = -1

# Columns of objects, colours, coloured objects, places, times and numbers: first, and one past the last.
_EDGES: Final = np.cumsum(
    [0, len(OBJECTS), len(COLOURS), len(OBJECTS) * len(COLOURS), len(PLACES), len(TIMES), MOST_THINGS]
)
TRAIT_GROUPS: Final = tuple((int(first), int(end)) for first, end in pairwise(_EDGES))

_ANY: Final = -1
_NOTHING: Final = -2

Codes = npt.NDArray[np.int8]


def encode_scene(scene: Scene) -> Codes:
    """A scene as small numbers: place, time, then object, colour and size of up to three things."""
    row = [PLACES.index(scene.place), TIMES.index(scene.time)]
    for thing in scene.things:
        row += [OBJECTS.index(thing.object), COLOURS.index(thing.colour), SIZES.index(thing.size)]
    row += [_NOTHING] * (3 * (MOST_THINGS - len(scene.things)))
    return np.array(row, np.int8)


def encode_caption(caption: Caption) -> Codes:
    """A caption as small numbers: place, time, then object, colour, size and count of up to three claims."""
    row = [_code(caption.place, PLACES), _code(caption.time, TIMES)]
    for claim in caption.claims:
        row += [*_look(claim), claim.count]
    row += [_NOTHING] * (4 * (MOST_THINGS - len(caption.claims)))
    return np.array(row, np.int8)


def traits(codes: Codes) -> npt.NDArray[np.bool_]:
    """What rows of `encode_scene` or `encode_caption` name, in columns laid out as TRAIT_GROUPS says."""
    step = 3 if codes.shape[1] == 2 + 3 * MOST_THINGS else 4
    numbers = codes.astype(int)
    named = np.zeros((len(codes), TRAIT_GROUPS[-1][1]), bool)
    objects, colours, pairs, places, times, numbered = (first for first, _ in TRAIT_GROUPS)
    _name(named, places + numbers[:, 0], numbers[:, 0] >= 0)
    _name(named, times + numbers[:, 1], numbers[:, 1] >= 0)
    for start in range(2, codes.shape[1], step):
        thing, colour = numbers[:, start], numbers[:, start + 1]
        _name(named, objects + thing, thing >= 0)
        _name(named, colours + colour, colour >= 0)
        _name(named, pairs + thing * len(COLOURS) + colour, (thing >= 0) & (colour >= 0))
    number = (numbers[:, 2::step] != _NOTHING).sum(1)
    if step == 4:
        # A caption gives the number away if it makes one claim only, and counts in it.
        number = np.where(number == 1, numbers[:, 5], 0)
    _name(named, numbered + number - 1, number > 0)
    return named


def _name(named: npt.NDArray[np.bool_], columns: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> None:
    named[np.flatnonzero(where), columns[where]] = True


def truth(scenes: Codes, captions: Codes) -> Codes:
    """Which caption (column) is TRUE of which scene (row); UNDECIDED where only a size is in doubt."""
    verdict = np.ones((len(scenes), len(captions)), bool)
    strict = verdict.copy()
    for column in (0, 1):
        agrees = (captions[None, :, column] == _ANY) | (captions[None, :, column] == scenes[:, None, column])
        verdict &= agrees
        strict &= agrees
    for start in range(2, 2 + 4 * MOST_THINGS, 4):
        claim = captions[:, start : start + 4]
        unused = claim[None, :, 0] == _NOTHING
        loosely, exactly = _matches(scenes, claim)
        verdict &= unused | _holds(loosely, claim[None, :, 3])
        strict &= unused | _holds(exactly, claim[None, :, 3])
    return np.where(verdict & strict, TRUE, np.where(verdict | strict, UNDECIDED, FALSE)).astype(np.int8)


def _matches(scenes: Codes, claim: Codes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    loosely = np.zeros((len(scenes), len(claim)), np.int8)
    exactly = loosely.copy()
    for start in range(2, 2 + 3 * MOST_THINGS, 3):
        thing = scenes[:, None, start : start + 3]
        same = (claim[None, :, :3] == _ANY) | (claim[None, :, :3] == thing)
        present = thing[..., 0] != _NOTHING
        look = same[..., 0] & same[..., 1] & present
        # Small beside large is wrong, small beside medium a matter of taste.
        apart = np.abs(claim[None, :, 2] - thing[..., 2]) == len(SIZES) - 1
        loosely += look & (same[..., 2] | ~apart)
        exactly += look & same[..., 2]
    return loosely, exactly


def _holds(number: npt.NDArray[Any], count: npt.NDArray[Any]) -> npt.NDArray[Any]:
    held: npt.NDArray[Any] = np.where(
        count == AT_LEAST_ONE, number >= 1, np.where(count == AT_LEAST_TWO, number >= 2, number == count)
    )
    return held


def _look(claim: Claim) -> list[int]:
    return [_code(claim.object, OBJECTS), _code(claim.colour, COLOURS), _code(claim.size, SIZES)]


def _code(value: str | None, choices: tuple[str, ...]) -> int:
    return _ANY if value is None else choices.index(value)
