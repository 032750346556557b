"""Which names of labels may be taken for something else, or for each other; knows a list of words with two meanings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clipsearch.label_set import Label
from clipsearch.prompts import plain_words

MOST_WARNINGS = 20
# Beyond it is a vocabulary, which nobody chose word by word.
MOST_LABELS = 10_000
_MEANINGS = {
    "bank": "a house for money, the side of a river",
    "bark": "a tree's skin, a dog's voice",
    "bass": "a fish, an instrument",
    "bat": "an animal, a stick for games",
    "bolt": "a screw, a flash of lightning",
    "bow": "a weapon, a knot, a ship's front",
    "bulb": "a lamp, a plant's root",
    "cardinal": "a bird, a priest",
    "chest": "a box, a part of the body",
    "chip": "of potato, of silicon",
    "crane": "a bird, a machine",
    "date": "a fruit, a day",
    "drill": "a tool, a monkey",
    "fan": "a machine that moves air, a follower",
    "file": "a tool, a folder of papers",
    "flat": "a home, a shape",
    "fly": "an insect, to move through air",
    "gum": "for chewing, a part of the mouth",
    "horn": "an instrument, a part of an animal",
    "iron": "a metal, a tool for clothes",
    "jaguar": "an animal, a car",
    "jam": "a sweet spread, stopped traffic",
    "kite": "a toy, a bird",
    "lead": "a metal, a line for a dog",
    "light": "a lamp, the opposite of heavy",
    "lime": "a fruit, a tree, a stone",
    "match": "for fire, a game",
    "mint": "a plant, a house where coins are made",
    "mole": "an animal, a spot on the skin",
    "monitor": "a screen, a lizard",
    "mouse": "an animal, a part of a computer",
    "mustang": "a horse, a car",
    "nail": "of iron, of a finger",
    "note": "of music, of paper",
    "nut": "to eat, to screw",
    "organ": "an instrument, a part of the body",
    "palm": "a tree, a part of the hand",
    "park": "a garden, to leave a car",
    "pen": "for writing, for animals",
    "perch": "a fish, a place for a bird",
    "pipe": "for water, for tobacco",
    "pitcher": "a jug, a player of baseball",
    "plane": "an aircraft, a tool, a tree",
    "plant": "what grows, a factory",
    "port": "a harbour, a wine",
    "punch": "a drink, a blow, a tool",
    "racket": "for tennis, a noise",
    "ray": "a fish, a beam of light",
    "ring": "for a finger, for boxing",
    "rock": "a stone, a kind of music",
    "ruler": "for measuring, a king",
    "saw": "a tool, has seen",
    "scale": "for weighing, of a fish",
    "seal": "an animal, a stamp",
    "shell": "of an animal, of a gun",
    "sole": "a fish, a part of a shoe",
    "spring": "a season, a coil, a source of water",
    "squash": "a vegetable, a game",
    "stamp": "for a letter, for ink",
    "star": "in the sky, of the screen",
    "stool": "a seat, excrement",
    "swallow": "a bird, to eat",
    "swift": "a bird, quick",
    "tank": "a war machine, a container",
    "tap": "for water, a light blow",
    "tie": "for the neck, an equal score",
    "toast": "bread, a speech",
    "torch": "a lamp, a burning stick",
    "trunk": "of a tree, of an elephant, of a car",
    "turkey": "a bird, a country",
    "watch": "a clock, to look",
    "well": "for water, in good health",
    "yard": "a court, a length",
}
_ENDING = re.compile(r"(?:(?<=[^aeiou])ies|(?<=ss|sh|ch)es|(?<=[xz])es|(?<=[^su])s)$")


def name_warnings(labels: Sequence[Label]) -> list[str]:
    """What to think over of the names: those with several meanings and nothing that says which, and those that are
    the same but for case, underscores or a plural. After twenty only how many more there are; none of a vocabulary
    of more than ten thousand labels."""
    if len(labels) > MOST_LABELS:
        return []
    found: list[str] = []
    known: dict[str, str] = {}
    for label in labels:
        key = one_spelling(label.name)
        if key in known and known[key] != label.name:
            found.append(f"the labels {known[key]!r} and {label.name!r} have nearly the same name")
        known.setdefault(key, label.name)
        meanings = _MEANINGS.get(key)
        if meanings and not label.examples and label.prompts in ((), (label.name,), (plain_words(label.name),)):
            found.append(f"the label {label.name!r} has several meanings ({meanings}); say which with a prompt")
    more = len(found) - MOST_WARNINGS
    return [*found[:MOST_WARNINGS], f"and {more} more such warnings"] if more > 0 else found


def one_spelling(name: str) -> str:
    """The name without what tells two spellings of it apart: case, underscores, hyphens, a plural's ending."""
    words = plain_words(name).casefold().replace("-", " ").split()
    return " ".join(_singular(word) for word in words)


def _singular(word: str) -> str:
    if len(word) < 4:
        return word
    return _ENDING.sub(lambda ending: "y" if ending[0] == "ies" else "", word)
