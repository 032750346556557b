"""Opens an image file as an upright RGB picture, or says why not; it alone chooses the decoders.

Decoders are many and fed by strangers: a list of formats is always passed, the pixels are counted before any
is decoded, and whatever a decoder raises leaves here as UnreadableImage with a reason. Safe to call from many
threads.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from clipsearch.errors import ClipSearchError, UnreadableImage
from clipsearch.images import exif, extras, reasons
from clipsearch.images.colours import to_rgb
from clipsearch.images.hashing import cannot_be_read, open_file
from clipsearch.images.pixel_hashing import pixel_hash
from clipsearch.images.quiet import hush_libraries, hush_warnings
from clipsearch.images.signatures import PREFIX_BYTES, sniff

Source = bytes | str | Path | BinaryIO
"""An image file's bytes, its path, or a stream of it."""

MAX_PIXELS: Final = 50_000_000
"""How many pixels a header may declare: a file of this size takes some 200 MB to decode, as WebP 800 MB."""

_PLUGINS: Final = {
    "JPEG": "Jpeg",
    "PNG": "Png",
    "WEBP": "WebP",
    "GIF": "Gif",
    "TIFF": "Tiff",
    "BMP": "Bmp",
    "DIB": "Bmp",
    "AVIF": "Avif",
    "JPEG2000": "Jpeg2K",
    "PPM": "Ppm",
    "PCX": "Pcx",
}
FORMATS: Final = tuple(_PLUGINS)
"""The allow list, in Pillow's names (MPO is opened as JPEG); without one, a file could start Ghostscript."""

# What is not there when it is needed makes Pillow import all of its decoders.
MOST_FILLER: Final = 1_024
MOST_PLAIN_BYTES: Final = 4_000_000
MOST_BYTES_READ_TWICE: Final = 1_000_000

for _plugin in sorted({*_PLUGINS.values(), "Mpo"}):
    importlib.import_module(f"PIL.{_plugin}ImagePlugin")
hush_libraries()


@dataclass(frozen=True, slots=True)
class Opened:
    """A decoded image and what its file says about it.

    ``picture`` is RGB, upright, loaded and free of the file's metadata; it is smaller than the original if it
    was opened with ``reduced_to``. ``width`` and ``height`` are the upright original's, in pixels. ``format``
    is the content's, in Pillow's names ("JPEG", "JPEG2000") or "HEIF" or "RAW". ``taken_at`` is the camera's
    local time. ``pixel_hash`` is a signed 64-bit dHash. ``frames`` counts an animation's pictures, of which
    this is the first.
    """

    picture: PILImage.Image
    format: str
    width: int
    height: int
    taken_at: datetime | None
    pixel_hash: int
    frames: int


def open_picture(source: Source, *, max_pixels: int = MAX_PIXELS, reduced_to: int | None = None) -> Opened:
    """Decode an image file to an upright RGB picture; its content decides the format, never its name.

    ``reduced_to=N`` lets JPEGs be decoded at 1/2, 1/4 or 1/8 of their size, as long as the shorter side keeps
    at least 2 N pixels: four times as fast for a camera's photograph, and after an exact resize to N hardly
    to be told from a full decode.

    Raises UnsupportedFormat (no image, or a format off the list), TooManyPixels (more than ``max_pixels`` by
    the header; nothing was decoded) and, for every other trouble with the file, UnreadableImage.
    """
    hush_warnings()
    kind: str | None = None
    with _stream_of(source) as stream:
        try:
            stream.seek(0)
            prefix = stream.read(PREFIX_BYTES)
            if not prefix:
                raise UnreadableImage("the file is empty")
            kind = sniff(prefix)
            if kind == "TIFF" and extras.is_camera_raw(stream):
                kind = "RAW"
            _refuse_slow(stream, kind, prefix)
            return _open(stream, kind, max_pixels, reduced_to)
        except ClipSearchError:
            raise
        except UnidentifiedImageError as error:
            raise reasons.explain(error, kind, _own_words(stream, kind)) from error
        except Exception as error:  # decoders raise eight kinds and more, and none may end a run
            raise reasons.explain(error, kind) from error


def _open(stream: BinaryIO, kind: str | None, max_pixels: int, reduced_to: int | None) -> Opened:
    if kind == "RAW":
        image, size = extras.open_raw(stream, max_pixels)
        return _decode(image, "RAW", size, reduced_to)
    formats = extras.heif_formats() if kind == "HEIC" else FORMATS
    stream.seek(0)
    with PILImage.open(stream, formats=formats) as image:
        if image.width * image.height > max_pixels:
            raise reasons.too_many_pixels(image.width, image.height, max_pixels)
        return _decode(image, image.format or "", None, reduced_to)


def _refuse_slow(stream: BinaryIO, kind: str | None, prefix: bytes) -> None:
    """Refuse what Pillow reads byte by byte in Python: a few megabytes of it would keep a processor for a minute."""
    stream.seek(0)
    head = stream.read(64 * MOST_FILLER)
    if kind == "JPEG":
        filler = head.find(b"\xff" * MOST_FILLER)
        if filler >= 0 and b"\xff\xda" not in head[:filler]:
            raise UnreadableImage("the JPEG header is full of filler bytes")
    elif kind == "PPM":
        if any(len(line) > MOST_FILLER for line in head.split(b"\n") if line[:5].find(b"#") >= 0):
            raise UnreadableImage("the PPM header holds a comment that does not end")
        if prefix[:2] in {b"P1", b"P2", b"P3"} and stream.seek(0, io.SEEK_END) > MOST_PLAIN_BYTES:
            raise UnreadableImage("a PPM in digits may have 4 MB at most; save it as a binary one (P4, P5, P6)")


def _decode(
    image: PILImage.Image, file_format: str, upright_size: tuple[int, int] | None, reduced_to: int | None
) -> Opened:
    size = image.size
    if reduced_to is not None:
        # Only JPEG has drafts. They must come before anything that loads the pixels, and once.
        image.draft(None, (2 * reduced_to, 2 * reduced_to))
    image.load()
    orientation = exif.orientation(image)
    picture = exif.upright(to_rgb(image), orientation)
    if upright_size is None:
        upright_size = (size[1], size[0]) if exif.lies_on_its_side(orientation) else size
    return Opened(
        picture=picture,
        format=file_format,
        width=upright_size[0],
        height=upright_size[1],
        taken_at=exif.taken_at(image),
        pixel_hash=pixel_hash(picture),
        frames=_count_frames(image),
    )


def _count_frames(image: PILImage.Image) -> int:
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # noqa: BLE001 - damage behind the first picture, which stands
        return 1


@contextlib.contextmanager
def _stream_of(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str | Path):
        with open_file(source) as file:
            yield file
    elif isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        try:
            stream = source if source.seekable() else io.BytesIO(source.read())
        except (OSError, ValueError) as error:
            raise cannot_be_read(error) from error
        yield stream


def _own_words(stream: BinaryIO, kind: str | None) -> str:
    """What the announced format's decoder has against the file, which Pillow keeps to itself."""
    name = {"JPEG 2000": "JPEG2000", "HEIC": "HEIF"}.get(kind or "", (kind or "").upper())
    if name not in (*FORMATS, "HEIF"):
        return ""
    try:
        if stream.seek(0, io.SEEK_END) > MOST_BYTES_READ_TWICE:
            return ""
        stream.seek(0)
        PILImage.OPEN[name][0](stream, "")
    except Exception as error:  # noqa: BLE001 - any words will do
        return str(error)
    return ""
