"""Draws and writes the image files that the image tests open: known colours in every mode, and damaged ones."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage
from PIL import ImageCms

RED, GREEN, BLUE, YELLOW = (250, 20, 20), (20, 200, 20), (20, 20, 250), (240, 220, 20)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Colour = tuple[int, int, int]

_UNDO = {
    2: PILImage.Transpose.FLIP_LEFT_RIGHT,
    3: PILImage.Transpose.ROTATE_180,
    4: PILImage.Transpose.FLIP_TOP_BOTTOM,
    5: PILImage.Transpose.TRANSPOSE,
    6: PILImage.Transpose.ROTATE_90,
    7: PILImage.Transpose.TRANSVERSE,
    8: PILImage.Transpose.ROTATE_270,
}


def reference_folder(name: str) -> Path:
    """A folder of the shared real files; without the setting the test is skipped, with a wrong one it fails."""
    root = os.environ.get("CLIPSEARCH_REFERENCE_DATA")
    if not root:
        pytest.skip("CLIPSEARCH_REFERENCE_DATA is not set: real image files are not tested")
    folder = Path(root) / name
    assert folder.is_dir(), f"CLIPSEARCH_REFERENCE_DATA has no folder {name}"
    return folder


def encoded(image: PILImage.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def flat(mode: str, colour: Any, size: tuple[int, int] = (16, 16)) -> PILImage.Image:
    return PILImage.new(mode, size, colour)


def quarters(width: int = 64, height: int = 32) -> PILImage.Image:
    """Red and green above, blue and yellow below: every turn and mirroring shows."""
    picture = PILImage.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(YELLOW, (width // 2, height // 2, width, height))
    return picture


def corners(picture: PILImage.Image) -> list[Colour]:
    """The four corner colours of a picture in reading order, each taken a little inside."""
    right, bottom = picture.width - 4, picture.height - 4
    return [rgb_at(picture, at) for at in ((3, 3), (right, 3), (3, bottom), (right, bottom))]


def rgb_at(picture: PILImage.Image, at: tuple[int, int] = (8, 8)) -> Colour:
    red, green, blue = picture.getpixel(at)  # type: ignore[misc]
    return int(red), int(green), int(blue)


def is_near(one: Colour, other: Colour, within: int = 6) -> bool:
    return all(abs(a - b) <= within for a, b in zip(one, other, strict=True))


def exif_block(orientation: int | None = None, taken: str | bytes | None = None) -> bytes:
    exif = PILImage.Exif()
    if orientation is not None:
        exif[274] = orientation
    if taken is not None:
        exif.get_ifd(34665)[36867] = taken
    return exif.tobytes()


def turned(picture: PILImage.Image, orientation: int) -> PILImage.Image:
    """The picture as a camera stores it that then writes this orientation."""
    return picture.transpose(_UNDO[orientation]) if orientation in _UNDO else picture


def photograph(width: int, height: int, seed: int = 1) -> PILImage.Image:
    """Smooth shapes with some grain: compresses, and reduces, like a photograph."""
    noise = random.Random(seed)
    small = PILImage.frombytes("RGB", (12, 9), noise.randbytes(12 * 9 * 3))
    grain = PILImage.frombytes("RGB", (width, height), noise.randbytes(width * height * 3))
    return PILImage.blend(small.resize((width, height), PILImage.Resampling.BICUBIC), grain, 0.06)


def png(width: int, height: int, depth: int, colour_type: int, pixels: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand, for what Pillow does not write: ``pixels`` without filter bytes, ``more`` chunks before them."""
    line = len(pixels) // height
    rows = b"".join(b"\0" + pixels[at : at + line] for at in range(0, len(pixels), line or 1))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(width: int, height: int) -> bytes:
    """A few bytes that declare any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def tiff(width: int, height: int, pixels: bytes, *, order: str = "<", **tags: int | tuple[int, ...]) -> bytes:
    """An uncompressed TIFF by hand; tags by number as ``t258=16``; those of one strip are filled in."""
    entries: dict[int, int | tuple[int, ...]] = {256: width, 257: height, 259: 1, 262: 1, 277: 1, 278: height}
    entries |= {int(name[1:]): value for name, value in tags.items()} | {273: 0, 279: len(pixels)}
    start = 8 + 2 + 12 * len(entries) + 4
    rows = {tag: value for tag, value in sorted(entries.items()) if isinstance(value, tuple)}
    behind = {tag: struct.pack(f"{order}{len(value)}H", *value) for tag, value in rows.items()}
    entries[273] = start + sum(map(len, behind.values()))
    directory, at = b"", start
    for tag, value in sorted(entries.items()):
        if isinstance(value, tuple):
            directory += struct.pack(f"{order}HHII", tag, 3, len(value), at)
            at += len(behind[tag])
        else:
            directory += struct.pack(f"{order}HHII", tag, 4, 1, value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return head + directory + struct.pack(f"{order}I", 0) + b"".join(behind.values()) + pixels


def profile_with_red_and_blue_exchanged() -> bytes:
    """A colour profile in which the file's red is blue: nobody can overlook whether it was applied."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"_XYZ").replace(b"bXYZ", b"rXYZ").replace(b"_XYZ", b"bXYZ")
    return profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


def linear_grey_profile() -> bytes:
    """A colour profile of greys whose values are light itself: its 128 is sRGB's 188."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 7) + b"linear\0" + b"\0" * 79,
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x100),
    }
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += padded
    header = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ") + b"\0" * 12
    header += b"acsp" + b"\0" * 28 + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D) + b"\0" * 48
    profile = header + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


def ycck_white_jpeg() -> bytes:
    """White as Photoshop writes it: luma and chroma of inverted inks."""
    data = encoded(flat("CMYK", (255, 127, 127, 0)), "JPEG", quality=100, subsampling=0)
    marker = data.index(b"Adobe")
    return data[: marker + 11] + b"\2" + data[marker + 12 :]


def one_file_of_each_format() -> dict[str, bytes]:
    picture = quarters()
    frames = {"save_all": True, "append_images": [flat("RGB", WHITE, picture.size)], "duration": 50}
    return {
        "jpeg": encoded(picture, "JPEG", exif=exif_block(6, "2020:01:02 03:04:05")),
        "progressive jpeg": encoded(picture, "JPEG", progressive=True),
        "cmyk jpeg": encoded(picture.convert("CMYK"), "JPEG"),
        "png": encoded(picture, "PNG"),
        "palette png": encoded(picture.quantize(8), "PNG", transparency=3),
        "apng": encoded(picture, "PNG", **frames),
        "webp": encoded(picture, "WEBP", lossless=True),
        "animated webp": encoded(picture, "WEBP", lossless=True, **frames),
        "gif": encoded(picture, "GIF", **frames),
        "bmp": encoded(picture, "BMP"),
        "tiff": encoded(picture, "TIFF"),
        "lzw tiff": encoded(picture, "TIFF", compression="tiff_lzw"),
        "jpeg tiff": encoded(picture, "TIFF", compression="jpeg"),
        "pcx": encoded(picture, "PCX"),
        "avif": encoded(picture, "AVIF", quality=95),
        "jpeg 2000": encoded(picture, "JPEG2000"),
        "ppm": encoded(picture, "PPM"),
        "mpo": encoded(picture, "MPO", save_all=True, append_images=[flat("RGB", WHITE, picture.size)]),
    }


def damaged(data: bytes, times: int, seed: int) -> Iterator[bytes]:
    """The bytes cut short, with bits flipped, and with stretches of zeros, in turn."""
    chance = random.Random(seed)
    for turn in range(times):
        copy = bytearray(data)
        if turn % 3 == 0:
            del copy[chance.randrange(len(copy)) :]
        elif turn % 3 == 1:
            for _ in range(chance.randint(1, 12)):
                copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        else:
            start = chance.randrange(len(copy))
            end = min(len(copy), start + chance.randint(1, 64))
            copy[start:end] = bytes(end - start)
        yield bytes(copy)
