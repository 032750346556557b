"""Makes small JPEGs of images for the web, with no metadata in them; it alone knows size and quality."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image as PILImage

from clipsearch.images.opening import MAX_PIXELS, Source, open_picture

THUMBNAIL_SIZE: Final = 320
THUMBNAIL_QUALITY: Final = 82


def make_thumbnail(
    source: Source,
    *,
    size: int = THUMBNAIL_SIZE,
    quality: int = THUMBNAIL_QUALITY,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """A JPEG of the image: upright, sRGB, the longer side at most ``size`` pixels, without its metadata.

    Smaller images keep their size. Raises what ``open_picture`` raises.
    """
    return thumbnail_of(
        open_picture(source, max_pixels=max_pixels, reduced_to=size).picture, size=size, quality=quality
    )


def thumbnail_of(picture: PILImage.Image, *, size: int = THUMBNAIL_SIZE, quality: int = THUMBNAIL_QUALITY) -> bytes:
    """The same of a picture that is decoded already; it is left as it was."""
    scale = min(1.0, size / max(picture.size))
    fitting = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    small = rgb.resize(fitting, PILImage.Resampling.LANCZOS, reducing_gap=3.0)
    small.info = {}  # Pillow would write the comment that it finds here, and more
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
    return file.getvalue()
