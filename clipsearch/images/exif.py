"""Reads from EXIF which way is up and when a picture was taken; it knows what nonsense cameras write."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from PIL import ExifTags
from PIL import Image as PILImage

_FIRST_PHOTOGRAPH: Final = 1826
_DATE: Final = re.compile(r"\s*(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)(?:[T\s]+(\d\d?):(\d\d?)(?::(\d\d?))?)?")

_TURNS: Final = {
    2: PILImage.Transpose.FLIP_LEFT_RIGHT,
    3: PILImage.Transpose.ROTATE_180,
    4: PILImage.Transpose.FLIP_TOP_BOTTOM,
    5: PILImage.Transpose.TRANSPOSE,
    6: PILImage.Transpose.ROTATE_270,
    7: PILImage.Transpose.TRANSVERSE,
    8: PILImage.Transpose.ROTATE_90,
}


def orientation(image: PILImage.Image) -> int:
    """The orientation 1 to 8 that an opened image declares; 1 (upright) when it declares none, or nonsense.

    Ask after ``load``: Pillow turns some formats itself while loading and then forgets the tag.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - any damage to the EXIF block: the pixels may be sound all the same
        return 1
    return value if value in _TURNS else 1


def lies_on_its_side(orientation: int) -> bool:
    """Whether width and height are exchanged when the image is turned upright."""
    return orientation >= 5


def upright(picture: PILImage.Image, orientation: int) -> PILImage.Image:
    """The picture turned as its orientation says.

    ``ImageOps.exif_transpose`` does the same, but reads the EXIF again and writes it anew, and fails where it
    is damaged.
    """
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def taken_at(image: PILImage.Image) -> datetime | None:
    """DateTimeOriginal as the camera's clock showed it (no time zone); None if absent or nonsense."""
    try:
        exif = image.getexif()
        value = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        if value is None:
            value = exif.get(ExifTags.Base.DateTimeOriginal)  # some programs write it to the wrong directory
    except Exception:  # noqa: BLE001 - any damage to the EXIF block: a date is not worth a picture
        return None
    return parse_date(value)


def parse_date(value: object) -> datetime | None:
    """The date in an EXIF value, tolerant of other separators and missing times; None for anything else."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    match = _DATE.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        taken = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - cameras know no time zone
    except ValueError:
        return None
    return taken if year >= _FIRST_PHOTOGRAPH else None
