"""What an image file is called on the wire, by what it was decoded as: its name may say anything. No markup is among
them."""

from __future__ import annotations

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
    "JPEG2000": "image/jp2",
    "HEIF": "image/heif",
}
UNKNOWN_TYPE = "application/octet-stream"
