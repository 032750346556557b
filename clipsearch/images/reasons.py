"""Turns what a decoder raises into an error with a reason for a person; it alone knows decoders' words."""

from __future__ import annotations

import re

from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from clipsearch.errors import TooManyPixels, UnreadableImage, UnsupportedFormat
from clipsearch.images.hashing import cannot_be_read, printable
from clipsearch.images.signatures import READ_HERE

_CUT_SHORT = re.compile(r"truncat|not enough|not large enough|unexpected end|eof|incomplete", re.IGNORECASE)
_LONGEST_WORDS = 200


def explain(error: Exception, kind: str | None, own_words: str = "") -> UnreadableImage:
    """The error to raise for a decoder's: UnsupportedFormat, TooManyPixels, or UnreadableImage for all else.

    ``kind`` is the format that the first bytes announce; ``own_words`` say more than the error where it says
    little.
    """
    if isinstance(error, PILImage.DecompressionBombError | PILImage.DecompressionBombWarning):
        return TooManyPixels(f"the image has too many pixels{_quoted(_words(error))}")
    if isinstance(error, MemoryError):
        return UnreadableImage("there was not enough memory to decode the image")
    if isinstance(error, UnidentifiedImageError):
        if kind is None:
            return UnsupportedFormat("the file is not an image of a known format")
        if kind not in READ_HERE:
            return UnsupportedFormat(f"the file is in the format {kind}, which is not read here")
        return UnreadableImage(f"the {kind} header is damaged or of an unread kind{_quoted(own_words)}")
    if isinstance(error, OSError) and error.errno:
        return cannot_be_read(error)
    name = kind or "image"
    if isinstance(error, EOFError) or _CUT_SHORT.search(str(error)):
        return UnreadableImage(f"the {name} data is cut short{_quoted(_words(error))}")
    return UnreadableImage(f"the {name} data is damaged{_quoted(_words(error))}")


def too_many_pixels(width: int, height: int, most: int) -> TooManyPixels:
    """The error for a header that declares more pixels than the limit."""
    return TooManyPixels(
        f"the image has too many pixels: {width} x {height} is more than {most:,}",
        width=width,
        height=height,
        max_pixels=most,
    )


def _words(error: Exception) -> str:
    text = error.args[0] if len(error.args) == 1 else str(error)
    if isinstance(text, bytes):  # LibRaw speaks in bytes
        text = text.decode("utf-8", "replace")
    return str(text) or type(error).__name__


def _quoted(words: str) -> str:
    short = printable(words)
    if len(short) > _LONGEST_WORDS:
        short = short[: _LONGEST_WORDS - 1] + "…"
    return f" ({short})" if short else ""
