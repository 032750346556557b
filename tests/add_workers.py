"""What the fault tests add to a library, and take out, in processes of their own; no model is loaded."""

from __future__ import annotations

import io
import random
from pathlib import Path

from library_fixtures import picture
from store_workers import open_library, say

from clipsearch.adding import NewPicture, add_pictures
from clipsearch.browsing import remove_images

PICTURES = 6


def bitmap(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "BMP")
    return file.getvalue()


def add_and_remove(data_dir: str, seed: int) -> None:
    """Add batch after batch, take one image of each out again, and say what was done once it is."""
    chance = random.Random(seed)
    with open_library(Path(data_dir)) as library:
        while True:
            seeds = [chance.randrange(10**9) for _ in range(PICTURES)]
            sent = [NewPicture(f"{one}.bmp", bitmap(one), {"seed": one}) for one in seeds]
            added = add_pictures(library, sent, make_collection=True).images
            say(added=[one.image.uri for one in added if one.image is not None])
            gone = added[0].image
            assert gone is not None
            say(removing=[gone.uri])
            remove_images(library, [gone.id])
            say(removed=[gone.uri])
