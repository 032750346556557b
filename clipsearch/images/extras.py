"""Reads HEIC and cameras' RAW files, which need extra packages; it alone knows pillow-heif and rawpy."""

from __future__ import annotations

import functools
import importlib
import io
import struct
from typing import Any, BinaryIO, Final

from PIL import Image as PILImage

from clipsearch.errors import UnsupportedFormat
from clipsearch.images.reasons import too_many_pixels

_NEW_SUBFILE_TYPE, _MAKE, _SUB_IFDS, _DNG_VERSION = 254, 271, 330, 50706
_SMALLEST_PREVIEW: Final = 448
_LIES_ON_ITS_SIDE: Final = (5, 6)


@functools.cache
def heif_formats() -> tuple[str, ...]:
    """The name by which Pillow opens HEIC, once pillow-heif is registered; UnsupportedFormat without it."""
    heif = _extra("pillow_heif", "HEIC", "heif")
    heif.register_heif_opener(thumbnails=False)
    return ("HEIF",)


def is_camera_raw(stream: BinaryIO) -> bool:
    """Whether a TIFF is a camera's RAW file (DNG, NEF, ARW, PEF): Pillow would show its tiny preview."""
    try:
        stream.seek(0)
        order = "<" if stream.read(2) == b"II" else ">"
        magic, offset = struct.unpack(order + "HI", stream.read(6))
        if magic != 42:
            return False
        stream.seek(offset)
        (count,) = struct.unpack(order + "H", stream.read(2))
        entries = stream.read(12 * count)
    except (OSError, ValueError, struct.error):
        return False  # a damaged TIFF: its own decoder will say so
    tags = {tag: value for tag, _, _, value in struct.iter_unpack(order + "HHII", entries[: len(entries) // 12 * 12])}
    preview_comes_first = tags.get(_NEW_SUBFILE_TYPE) in (1, 1 << 16)
    return _DNG_VERSION in tags or (preview_comes_first and _MAKE in tags and _SUB_IFDS in tags)


def open_raw(stream: BinaryIO, max_pixels: int) -> tuple[PILImage.Image, tuple[int, int]]:
    """A RAW file's preview, or its pixels developed if that is small; and its upright (width, height).

    Raises UnsupportedFormat without rawpy, TooManyPixels, and what rawpy raises for damaged files.
    """
    rawpy = _extra("rawpy", "RAW", "raw")
    stream.seek(0)
    with rawpy.imread(stream) as raw:
        width, height = raw.sizes.width, raw.sizes.height
        if width * height > max_pixels:
            raise too_many_pixels(width, height, max_pixels)
        size = (height, width) if raw.sizes.flip in _LIES_ON_ITS_SIDE else (width, height)
        preview = _preview(rawpy, raw)
        if preview is not None:
            return preview, size
        return PILImage.fromarray(raw.postprocess(use_camera_wb=True, half_size=True)), size


def _preview(rawpy: Any, raw: Any) -> PILImage.Image | None:
    try:
        thumb = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if thumb.format != rawpy.ThumbFormat.JPEG:
        return None
    # LibRaw gives the preview an EXIF block with the camera's orientation, so it is opened like any other
    # JPEG.
    preview = PILImage.open(io.BytesIO(thumb.data), formats=("JPEG",))
    return preview if min(preview.size) >= _SMALLEST_PREVIEW else None


def _extra(module: str, what: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedFormat(
            f"{what} images need an extra package: pip install -e '.[{extra}]' in the clone", extra=extra
        ) from error
