"""Names the format of a file by its first bytes; it alone knows the magic numbers, and nothing of Pillow."""

from __future__ import annotations

import re
from typing import Final

PREFIX_BYTES: Final = 64

READ_HERE: Final = frozenset(
    {"JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF", "PCX", "AVIF", "JPEG 2000", "PPM", "HEIC", "RAW"}
)

_STARTS: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"FUJIFILMCCD-RAW", "RAW"),
    (b"IIRO", "RAW"),
    (b"IIRS", "RAW"),
    (b"MMOR", "RAW"),
    (b"IIU\x00", "RAW"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"PK\x03\x04", "ZIP"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
)
_HEIC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS: Final = {b"avif", b"avis"}
_BMP_HEADER_SIZES: Final = {12, 40, 52, 56, 64, 108, 124}
_PCX: Final = re.compile(rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]", re.DOTALL)
_PPM: Final = re.compile(rb"P[1-6f]\s")
_MARKUP: Final = re.compile(rb"\s*<(?:\?xml|svg|!doctype|html)", re.IGNORECASE)


def sniff(prefix: bytes) -> str | None:
    """Name the format that these first bytes (``PREFIX_BYTES`` of them are enough) announce; None if unknown.

    The names in ``READ_HERE`` are formats that ``open_picture`` reads, HEIC and RAW with their extras; the
    others are named for the sake of the message. A camera's TIFF-like RAW file is "TIFF" here, its tags tell
    it apart.
    """
    for start, name in _STARTS:
        if prefix.startswith(start):
            return "RAW" if name == "TIFF" and prefix[8:10] == b"CR" else name
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return "WebP"
    if prefix[4:8] == b"ftyp":
        return _iso_media(prefix)
    if prefix[:2] == b"BM" and int.from_bytes(prefix[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if _PCX.match(prefix):
        return "PCX"
    if _PPM.match(prefix):
        return "PPM"
    return "SVG or HTML" if _MARKUP.match(prefix) else None


def _iso_media(prefix: bytes) -> str:
    """AVIF, HEIC, Canon's CR3 and films share one container, whose brands say which it is."""
    length = min(int.from_bytes(prefix[:4], "big"), len(prefix))
    brands = [prefix[8:12], *(prefix[at : at + 4] for at in range(16, length - 3, 4))]
    if brands[0] == b"crx ":
        return "RAW"
    if brands[0] in _HEIC_BRANDS:
        return "HEIC"
    if _AVIF_BRANDS.intersection(brands):
        return "AVIF"
    if _HEIC_BRANDS.intersection(brands) or brands[0] in (b"mif1", b"msf1"):
        return "HEIC"
    return "video"
