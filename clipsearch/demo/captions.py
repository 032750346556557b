"""Words a scene in many ways and remembers what each wording claims; it alone turns scenes into sentences.

A caption carries its claims so that training can tell a false pair from one that happens to be true as well.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from clipsearch.demo.scenes import Scene, Thing
from clipsearch.demo.wording import (
    NUMBERS,
    OBJECT_NAMES,
    OPENINGS,
    PLACE_NAMES,
    PLACE_PHRASES,
    SIZE_WORDS,
    TIME_NAMES,
    TIME_PHRASES,
    plural,
    with_article,
)

AT_LEAST_ONE: Final = 0
AT_LEAST_TWO: Final = -1


@dataclass(frozen=True, slots=True)
class Claim:
    """So many things of this look: `None` leaves open which object, colour or size; `count` may be a minimum."""

    object: str | None = None
    colour: str | None = None
    size: str | None = None
    count: int = AT_LEAST_ONE


@dataclass(frozen=True, slots=True)
class Caption:
    """One wording of a scene and all that it claims."""

    text: str
    claims: tuple[Claim, ...] = ()
    place: str | None = None
    time: str | None = None


def full_caption(scene: Scene) -> str:
    """The plain, complete sentence about a scene that stands under its picture."""
    if scene.of_one_kind:
        thing, count = scene.things[0], len(scene.things)
        words = [*_plain_size(thing), thing.colour]
        if count == 1:
            what = with_article(" ".join([*words, thing.object]))
        else:
            what = " ".join([NUMBERS[count][0], *words, plural(thing.object)])
    else:
        what = _listed(
            [with_article(" ".join([*_plain_size(thing), thing.colour, thing.object])) for thing in scene.things]
        )
    return f"{what} {PLACE_PHRASES[scene.place][0]} {TIME_PHRASES[scene.time][0]}"


def describe(scene: Scene, rng: random.Random) -> Caption:
    """Word the scene at random: some captions say everything, some only a part, in many styles."""
    roll = rng.random()
    if roll < 0.07:
        return _about_surroundings(scene, rng)
    if roll < 0.14:
        return _about_number(scene, rng)
    claims, what = _about_things(scene, rng)
    place = scene.place if rng.random() < 0.68 else None
    time = scene.time if rng.random() < 0.62 else None
    if rng.random() < 0.10:
        return Caption(_as_keywords(what, place, time, rng), claims, place, time)
    return Caption(_as_sentence(what, place, time, rng), claims, place, time)


def _about_surroundings(scene: Scene, rng: random.Random) -> Caption:
    place, time = rng.choice(PLACE_NAMES[scene.place]), rng.choice(TIME_NAMES[scene.time])
    style = rng.randrange(5)
    if style == 0:
        return Caption(_opened(time, rng), (), None, scene.time)
    if style == 1:
        return Caption(_opened(place, rng), (), scene.place, None)
    if style == 2:
        where = rng.choice(PLACE_PHRASES[scene.place])
        return Caption(rng.choice((where, f"something {where}", f"a scene {where}")), (), scene.place, None)
    if style == 3:
        when = rng.choice(TIME_PHRASES[scene.time])
        return Caption(rng.choice((when, f"something {when}", f"a scene {when}")), (), None, scene.time)
    return Caption(_opened(f"{place} {rng.choice(TIME_PHRASES[scene.time])}", rng), (), scene.place, scene.time)


def _about_number(scene: Scene, rng: random.Random) -> Caption:
    count = len(scene.things)
    noun = rng.choice(("thing", "object"))
    if count == 1:
        what = rng.choice((f"one {noun}", f"a single {noun}", f"only one {noun}", f"just one {noun}"))
    else:
        what = f"{rng.choice(NUMBERS[count])} {noun}s"
    place = scene.place if rng.random() < 0.4 else None
    time = scene.time if rng.random() < 0.4 else None
    return Caption(_as_sentence(what, place, time, rng), (Claim(count=count),), place, time)


def _about_things(scene: Scene, rng: random.Random) -> tuple[tuple[Claim, ...], str]:
    if scene.of_one_kind:
        claim, phrase = _phrase(scene.things[0], len(scene.things), rng)
        return (claim,), phrase
    things = list(scene.things)
    rng.shuffle(things)
    told = things[: rng.choices(range(1, len(things) + 1), weights=[1, *[2] * (len(things) - 1)])[0]]
    pairs = [_phrase(thing, 1, rng) for thing in told]
    return tuple(claim for claim, _ in pairs), _listed([phrase for _, phrase in pairs], rng)


def _phrase(thing: Thing, count: int, rng: random.Random) -> tuple[Claim, str]:
    colour = thing.colour if rng.random() < 0.82 else None
    size = thing.size if thing.size in SIZE_WORDS and rng.random() < 0.35 else None
    named = rng.random() < 0.93
    if not named and rng.random() < 0.4:
        return Claim(None, thing.colour), f"something {thing.colour}"
    noun = rng.choice(OBJECT_NAMES[thing.object]) if named else rng.choice(("thing", "object"))
    words = [*([rng.choice(SIZE_WORDS[size])] if size else []), *([colour] if colour else [])]
    name = thing.object if named else None
    if count > 1:
        return _several(name, colour, size, count, " ".join([*words, plural(noun)]), rng)
    phrase = " ".join([*words, noun])
    style = rng.random()
    if style < 0.62:
        return Claim(name, colour, size), with_article(phrase)
    if style < 0.78:
        return Claim(name, colour, size), phrase
    # "One object" beside others would be a false count, so only named things are counted here.
    if style < 0.88 or not named:
        return Claim(name, colour, size), f"{rng.choice(('the', 'the', 'my'))} {phrase}"
    number = rng.choice(("one", "one", "a single", "just one", "1"))
    return Claim(name, colour, size, 1), f"{number} {phrase}"


def _several(
    name: str | None, colour: str | None, size: str | None, count: int, phrase: str, rng: random.Random
) -> tuple[Claim, str]:
    style = rng.random()
    if style < 0.82:
        return Claim(name, colour, size, count), f"{rng.choice(NUMBERS[count])} {phrase}"
    lead = rng.choice(("", "", "some ", "several ", "many ", "the "))
    return Claim(name, colour, size, AT_LEAST_TWO), lead + phrase


def _as_sentence(what: str, place: str | None, time: str | None, rng: random.Random) -> str:
    where = rng.choice(PLACE_PHRASES[place]) if place else ""
    when = rng.choice(TIME_PHRASES[time]) if time else ""
    style = rng.random()
    if style < 0.62 or not (where or when):
        tail = [where, when] if rng.random() < 0.75 else [when, where]
        return _opened(" ".join(part for part in (what, *tail) if part), rng)
    if style < 0.78:
        lead = " ".join(part for part in (when, where) if part)
        return f"{lead}, {what}" if rng.random() < 0.5 else f"{lead} there is {what}"
    if place and style < 0.90:
        return _opened(" ".join(part for part in (rng.choice(PLACE_NAMES[place]), when, "with", what) if part), rng)
    if time and style < 0.95:
        return _opened(" ".join(part for part in (rng.choice(TIME_NAMES[time]), where, "with", what) if part), rng)
    return f"{what}, {', '.join(part for part in (where, when) if part)}"


def _as_keywords(what: str, place: str | None, time: str | None, rng: random.Random) -> str:
    parts = [what]
    if place:
        parts.append(place)
    if time:
        parts.append(time)
    rng.shuffle(parts)
    return rng.choice((", ", " ")).join(parts)


def _opened(text: str, rng: random.Random) -> str:
    opened = f"{rng.choice(OPENINGS)} {text}" if rng.random() < 0.30 else text
    return opened + "." if rng.random() < 0.12 else opened


def _plain_size(thing: Thing) -> list[str]:
    return [thing.size] if thing.size in SIZE_WORDS else []


def _listed(phrases: list[str], rng: random.Random | None = None) -> str:
    if len(phrases) == 1:
        return phrases[0]
    joints = (" and ", " and ", " with ", " next to ", " beside ", " near ")
    joint = " and " if rng is None or len(phrases) > 2 else rng.choice(joints)
    return ", ".join(phrases[:-1]) + joint + phrases[-1]
