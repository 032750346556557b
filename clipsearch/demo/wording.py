"""Holds the words that captions are made of: names, places, times, numbers, openings; knows no scene."""

from __future__ import annotations

import re
from typing import Final

OBJECT_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "airplane": ("airplane", "airplane", "plane", "aeroplane"),
    "apple": ("apple",),
    "ball": ("ball", "ball", "beach ball"),
    "balloon": ("balloon", "balloon", "hot air balloon"),
    "bicycle": ("bicycle", "bicycle", "bike"),
    "bird": ("bird",),
    "boat": ("boat", "boat", "sailing boat", "sailboat", "ship"),
    "book": ("book",),
    "butterfly": ("butterfly",),
    "car": ("car", "car", "automobile"),
    "cat": ("cat", "cat", "kitten"),
    "chair": ("chair",),
    "clock": ("clock", "clock", "alarm clock"),
    "cup": ("cup", "cup", "mug"),
    "dog": ("dog", "dog", "puppy"),
    "fish": ("fish",),
    "flower": ("flower", "flower", "blossom"),
    "guitar": ("guitar",),
    "hat": ("hat",),
    "house": ("house", "house", "cottage"),
    "kite": ("kite",),
    "lamp": ("lamp", "lamp", "table lamp"),
    "mushroom": ("mushroom", "mushroom", "toadstool"),
    "rocket": ("rocket", "rocket", "spaceship"),
    "teapot": ("teapot",),
    "train": ("train", "train", "locomotive"),
    "tree": ("tree",),
    "umbrella": ("umbrella", "umbrella", "parasol"),
}
PLACE_PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "sea": (
        "at sea",
        "by the sea",
        "at the beach",
        "on the beach",
        "by the ocean",
        "at the seaside",
        "near the water",
    ),
    "forest": ("in the forest", "in a forest", "in the woods", "among the trees of a forest", "in a wood"),
    "desert": (
        "in the desert",
        "in a desert",
        "among the dunes",
        "in the sand of the desert",
        "on the dunes",
    ),
    "city": (
        "in the city",
        "in a city",
        "on a city street",
        "in town",
        "on the street",
        "on a road in the city",
    ),
    "mountain": (
        "in the mountains",
        "in the snow",
        "in the snowy mountains",
        "on a snowy mountain",
        "by a mountain",
    ),
    "meadow": (
        "in a meadow",
        "in the meadow",
        "on a green field",
        "on the grass",
        "in the countryside",
        "on a lawn",
    ),
}
PLACE_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "sea": ("the sea", "sea", "the beach", "the ocean"),
    "forest": ("the forest", "a forest", "forest", "the woods"),
    "desert": ("the desert", "a desert", "desert"),
    "city": ("the city", "a city", "city", "a street"),
    "mountain": ("the mountains", "a mountain", "mountain", "mountains", "snow"),
    "meadow": ("the meadow", "a meadow", "meadow", "a field"),
}
TIME_PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "day": (
        "by day",
        "during the day",
        "in the daytime",
        "in daylight",
        "in the sun",
        "in the sunshine",
        "at noon",
    ),
    "night": (
        "at night",
        "at night",
        "by night",
        "at night time",
        "in the dark",
        "under the moon",
        "under the stars",
    ),
}
TIME_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "day": ("day", "daytime", "a sunny day", "daylight", "a day", "a bright day"),
    "night": ("night", "nighttime", "a starry night", "a night", "a dark night", "moonlight"),
}
SIZE_WORDS: Final = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
NUMBERS: Final = {2: ("two", "two", "a pair of", "2"), 3: ("three", "three", "3")}
OPENINGS: Final[tuple[str, ...]] = (
    *(
        "a photo of",
        "a picture of",
        "an image of",
        "a drawing of",
        "a painting of",
        "an illustration of",
        "a photo of",
    ),
    *("a photograph of", "a good photo of", "a bad photo of", "a blurry photo of"),
    *(
        "a close-up photo of",
        "a cropped photo of",
        "a rendering of",
        "art of",
        "a cartoon of",
        "a sketch of",
        "graffiti of",
    ),
    *("a low resolution photo of", "a jpeg corrupted photo of", "a pixelated photo of"),
    *(
        "a rendition of",
        "a scene with",
        "a view of",
        "there is",
        "here is",
        "this is",
        "i see",
        "find",
        "show me",
        "itap of",
    ),
    *(
        "a clean photo of",
        "a nice photo of",
        "a cool photo of",
        "a weird photo of",
        "a tattoo of",
        "a sculpture of",
    ),
)

_WORD: Final = re.compile(r"[a-z]+")


def words_in(text: str) -> list[str]:
    """The words of a text: lower case, split at everything that is not a letter from a to z."""
    return _WORD.findall(text.lower())


def plural(name: str) -> str:
    """The plural of an object's name."""
    if name.endswith("fish"):
        return name
    if name.endswith("y"):
        return name[:-1] + "ies"
    return name + "s"


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase
