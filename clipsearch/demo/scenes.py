"""Says what scenes can hold and samples them from a seed; it alone knows what training never sees."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Final

OBJECTS: Final = (
    "airplane",
    "apple",
    "ball",
    "balloon",
    "bicycle",
    "bird",
    "boat",
    "book",
    "butterfly",
    "car",
    "cat",
    "chair",
    "clock",
    "cup",
    "dog",
    "fish",
    "flower",
    "guitar",
    "hat",
    "house",
    "kite",
    "lamp",
    "mushroom",
    "rocket",
    "teapot",
    "train",
    "tree",
    "umbrella",
)
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
PLACES: Final = ("sea", "forest", "desert", "city", "mountain", "meadow")
TIMES: Final = ("day", "night")
SIZES: Final = ("small", "medium", "large")
MOST_THINGS: Final = 3

HELD_OUT_SHARE: Final = 0.12
_HELD_OUT_SALT: Final = "clipsearch picture-book 1"

Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Thing:
    """One object in a scene, with its colour and how big it is drawn."""

    object: str
    colour: str
    size: str = "medium"


@dataclass(frozen=True, slots=True)
class Scene:
    """What one picture shows; `seed` settles every detail that no caption speaks of."""

    things: tuple[Thing, ...]
    place: str
    time: str
    seed: int

    @property
    def triples(self) -> tuple[Triple, ...]:
        """The (object, colour, place) combinations in this scene, one for each thing."""
        return tuple((thing.object, thing.colour, self.place) for thing in self.things)

    @property
    def of_one_kind(self) -> bool:
        """Whether all things are the same object in the same colour."""
        return len({(thing.object, thing.colour) for thing in self.things}) == 1


def is_held_out(triple: Triple) -> bool:
    """Say whether training must never see this (object, colour, place); the same answer on every machine."""
    digest = hashlib.sha256("|".join((_HELD_OUT_SALT, *triple)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE


def all_triples() -> list[Triple]:
    """Every (object, colour, place), in the order of the vocabulary."""
    return [(thing, colour, place) for thing in OBJECTS for colour in COLOURS for place in PLACES]


HELD_OUT: Final[tuple[Triple, ...]] = tuple(triple for triple in all_triples() if is_held_out(triple))
_HELD_OUT_SET: Final = frozenset(HELD_OUT)


def holds_held_out(scene: Scene) -> bool:
    """Say whether any thing in the scene makes a held-out combination."""
    return any(triple in _HELD_OUT_SET for triple in scene.triples)


def sample_scene(
    rng: random.Random, *, count: int | None = None, kinds: str | None = None, held_out: bool = False
) -> Scene:
    """Draw one scene at random.

    `count` fixes how many things, `kinds` is "one" or "several"; with `held_out` every thing makes a combination that
    training never sees, without it none does.
    """
    number = count or rng.choices((1, 2, 3), weights=(60, 22, 18))[0]
    one_kind = kinds == "one" or (kinds is None and rng.random() < 0.45)
    while True:
        place, time = rng.choice(PLACES), rng.choice(TIMES)
        if one_kind or number == 1:
            size = _sample_size(rng, number)
            things = (Thing(rng.choice(OBJECTS), rng.choice(COLOURS), size),) * number
        else:
            objects = rng.sample(OBJECTS, number)
            things = tuple(Thing(name, rng.choice(COLOURS), _sample_size(rng, number)) for name in objects)
        scene = Scene(things, place, time, rng.randrange(2**31))
        if all((triple in _HELD_OUT_SET) == held_out for triple in scene.triples):
            return scene


def scene_of(rng: random.Random, triple: Triple, *, time: str | None = None, size: str | None = None) -> Scene:
    """A scene with one thing, of this (object, colour, place); the rest is chance."""
    name, colour, place = triple
    thing = Thing(name, colour, size or _sample_size(rng, 1))
    return Scene((thing,), place, time or rng.choice(TIMES), rng.randrange(2**31))


def _sample_size(rng: random.Random, number: int) -> str:
    # Three large things would overlap, so only one or two may be large.
    weights = (25, 45, 30) if number == 1 else (22, 56, 22) if number == 2 else (22, 78, 0)
    return rng.choices(SIZES, weights=weights)[0]
