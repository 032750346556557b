"""Draws search results as one sheet of pictures with their scores; it alone knows how such a sheet looks."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from clipsearch.errors import InvalidInput, StorageFull, TooLarge, UnreadableImage
from clipsearch.images.opening import Source, open_picture

_FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_SAVING: Final[dict[str, dict[str, Any]]] = {
    "JPEG": {"quality": 90, "optimize": True, "subsampling": 0},
    "PNG": {"optimize": True},
    "WEBP": {"quality": 88},
}
_LONGEST_SIDE: Final = 16_383  # WebP's limit, the least of the three formats'

_PICTURE, _PADDING, _GAP, _MARGIN = 240, 12, 18, 36
_LINE, _TITLE = 24, 54
_CARD_WIDTH: Final = _PICTURE + 2 * _PADDING
_CARD_HEIGHT: Final = _PICTURE + 2 * _PADDING + 2 * _LINE + 6
_CORNER, _PICTURE_CORNER = 12, 6

_PAPER, _CARD, _EDGE = (243, 244, 246), (255, 255, 255), (224, 227, 232)
_HOLLOW, _PICTURE_GROUND = (229, 231, 235), (248, 249, 251)
_INK, _PALE_INK, _ACCENT = (17, 24, 39), (107, 114, 128), (37, 99, 235)
_LONGEST_TEXT, _STRANGE = 500, "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """One result: where its image is (None: gone), its title (a file's name), and its score as text."""

    source: Source | None
    title: str
    score: str


def draw_contact_sheet(entries: Sequence[SheetEntry], *, columns: int = 5, title: str = "") -> PILImage.Image:
    """Draw the entries by rank as an RGB picture: each whole in its cell, with rank, score and title below.

    An entry that has no image, or one that cannot be read, becomes a grey tile that says so. Raises
    InvalidInput for fewer than one column, TooLarge for a sheet longer or wider than an image file can be.
    """
    if columns < 1:
        raise InvalidInput("a contact sheet needs at least one column")
    columns = min(columns, max(len(entries), 1))
    rows = -(-len(entries) // columns)
    top = _MARGIN + (_TITLE if title or not entries else 0)
    width = 2 * _MARGIN + columns * (_CARD_WIDTH + _GAP) - _GAP
    height = top + _MARGIN + max(rows * (_CARD_HEIGHT + _GAP) - _GAP, 0)
    if max(width, height) > _LONGEST_SIDE:
        raise TooLarge(
            f"a contact sheet of {len(entries)} results in {columns} columns is too large: "
            f"{width} x {height} pixels, {_LONGEST_SIDE:,} at most",
        )
    sheet = PILImage.new("RGB", (width, height), _PAPER)
    heading = _shortened(title or ("" if entries else "no results"), _font(26), width - 2 * _MARGIN)
    ImageDraw.Draw(sheet).text((_MARGIN, _MARGIN - 8), heading, _INK, _font(26))
    for place, entry in enumerate(entries):
        row, column = divmod(place, columns)
        corner = (_MARGIN + column * (_CARD_WIDTH + _GAP), top + row * (_CARD_HEIGHT + _GAP))
        sheet.paste(_card(entry, place + 1), corner, _rounded((_CARD_WIDTH, _CARD_HEIGHT), _CORNER))
    return sheet


def write_contact_sheet(path: str | Path, entries: Sequence[SheetEntry], *, columns: int = 5, title: str = "") -> None:
    """Draw a contact sheet and write it as JPEG, PNG or WebP by the suffix; nobody ever sees half of it.

    Raises InvalidInput for another suffix or a path that cannot be written, StorageFull when the disk is
    full, and what ``draw_contact_sheet`` raises.
    """
    target = Path(path)
    file_format = _FORMATS.get(target.suffix.lower())
    if file_format is None:
        raise InvalidInput(f"a contact sheet is written as .jpg, .png or .webp, not as {target.name!r}")
    sheet = draw_contact_sheet(entries, columns=columns, title=title)
    aside = target.with_name(f".clipsearch-sheet-{os.getpid()}-{os.urandom(4).hex()}{target.suffix}")
    try:
        try:
            with aside.open("xb") as file:
                sheet.save(file, file_format, **_SAVING[file_format])
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"the contact sheet cannot be written to {target}: the disk is full") from error
        raise InvalidInput(f"the contact sheet cannot be written to {target}: {error.strerror}") from error


def _card(entry: SheetEntry, rank: int) -> PILImage.Image:
    card = PILImage.new("RGB", (_CARD_WIDTH, _CARD_HEIGHT), _EDGE)
    inner = (_CARD_WIDTH - 2, _CARD_HEIGHT - 2)
    card.paste(_CARD, (1, 1), _rounded(inner, _CORNER - 1))
    _place_picture(card, entry.source)
    draw = ImageDraw.Draw(card)
    right, line = _CARD_WIDTH - _PADDING, _PADDING + _PICTURE + 8 + _LINE // 2
    score = _shortened(entry.score, _font(16), _PICTURE - 60)
    draw.text((_PADDING, line), f"#{rank}", _ACCENT, _font(16), anchor="lm")
    draw.text((right, line), score, _INK, _font(16), anchor="rm")
    title = _shortened(entry.title, _font(14), _PICTURE)
    draw.text((_PADDING, line + _LINE), title, _PALE_INK, _font(14), anchor="lm")
    return card


def _place_picture(card: PILImage.Image, source: Source | None) -> None:
    picture = _fitted(source)
    ground = _HOLLOW if picture is None else _PICTURE_GROUND
    card.paste(ground, (_PADDING, _PADDING), _rounded((_PICTURE, _PICTURE), _PICTURE_CORNER))
    if picture is None:
        middle = _PADDING + _PICTURE // 2
        ImageDraw.Draw(card).text((middle, middle), "not readable", _PALE_INK, _font(16), anchor="mm")
        return
    corner = (_PADDING + (_PICTURE - picture.width) // 2, _PADDING + (_PICTURE - picture.height) // 2)
    card.paste(picture, corner, _rounded(picture.size, _PICTURE_CORNER))


def _fitted(source: Source | None) -> PILImage.Image | None:
    if source is None:
        return None
    try:
        picture = open_picture(source, reduced_to=_PICTURE).picture
    except UnreadableImage:
        return None
    scale = _PICTURE / max(picture.size)  # small pictures are enlarged, so that the sheet stays even
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, PILImage.Resampling.LANCZOS, reducing_gap=3.0)


@functools.lru_cache(maxsize=64)
def _rounded(size: tuple[int, int], corner: int) -> PILImage.Image:
    """A mask (mode L) with round corners; drawn four times as large, since Pillow's own edges are jagged."""
    large = PILImage.new("L", (4 * size[0], 4 * size[1]), 0)
    box = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, min(4 * corner, 2 * min(size)), fill=255)
    return large.resize(size, PILImage.Resampling.BOX)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text if it fits the width in pixels, else its beginning and its end, where file names differ."""
    text = "".join(letter if letter.isprintable() else _STRANGE for letter in text[:_LONGEST_TEXT])
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        shorter = f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return "…"
