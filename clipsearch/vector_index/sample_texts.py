"""Short captions and queries to measure recall with, put together from word lists; knows nothing of any collection.

What counts is that the model embeds them as it embeds what people ask: things, alone and with a place, a colour or a
doing, in the wordings that queries and prompts have. Whether such things are in the collection does not matter.
"""

from __future__ import annotations

import random

_THINGS = (
    "dog cat horse bird fish cow sheep elephant bear butterfly car bus train bicycle boat aeroplane lorry tractor "
    "house church bridge castle tower street market garden park beach mountain lake river forest desert island "
    "tree flower mushroom apple cake pizza salad bread coffee table chair sofa bed lamp window door clock book "
    "piano guitar computer telephone camera umbrella hat shoe dress child woman man family crowd dancer cyclist "
    "runner musician cook farmer wedding concert football match birthday party sunset rainbow storm snow fog moon"
).split()
_LOOKS = "red blue green yellow black white old small large colourful wooden rusty shiny wet broken empty".split()
_PLACES = (
    "on a table", "in the snow", "at night", "by the sea", "in a forest", "in the city", "under a bridge",
    "in front of a house", "on a street", "in a kitchen", "at sunset", "in the rain", "on a mountain", "in a field",
)  # fmt: skip
_FORMS = (
    "{thing}", "{look} {thing}", "a {thing} {place}", "a {look} {thing}", "a {look} {thing} {place}",
    "a photo of a {thing}", "a photo of a {look} {thing} {place}", "a {thing} and a {other}", "two {thing}s {place}",
    "close-up of a {look} {thing}", "{thing} {place}, seen from above", "a drawing of a {thing}",
)  # fmt: skip


def sample_texts(count: int) -> list[str]:
    """``count`` different texts, the same ones at every call."""
    chance = random.Random(0)  # noqa: S311  (no secret hangs on it)
    found: dict[str, None] = {}
    while len(found) < count:
        thing, other = chance.sample(_THINGS, 2)
        form = chance.choice(_FORMS)
        found[form.format(thing=thing, other=other, look=chance.choice(_LOOKS), place=chance.choice(_PLACES))] = None
    return list(found)
