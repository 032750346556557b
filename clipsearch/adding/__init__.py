"""Put pictures into a collection that come with a request: embedded, kept as files, and noted in one transaction."""

from clipsearch.adding.add import add_pictures
from clipsearch.adding.reading import NewPicture

__all__ = ["NewPicture", "add_pictures"]
