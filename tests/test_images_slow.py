"""Small files that would keep a processor busy, or fill the memory, are refused or cost little."""

from __future__ import annotations

import io

import pytest
from PIL import Image as PILImage

from clipsearch.errors import UnreadableImage
from clipsearch.images import open_picture, pixel_hash

JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + b"\0" * 9


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xd8" + b"\xff" * 1_000_000, "filler"),
        (JFIF + b"\xff" * 1_000_000, "filler"),
        (b"P3 #" + b"a" * 1_000_000, "comment"),
        (b"P6 #" + b"a" * 1_000_000, "comment"),
        (b"P3 1500 1500 255 " + b"1 " * 2_500_000, "digits"),
    ],
    ids=["filled JPEG", "filled JFIF", "plain PPM comment", "PPM comment", "long plain PPM"],
)
def test_what_is_read_byte_by_byte_is_refused_before_it_is_read(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        open_picture(data)


def test_a_few_filler_bytes_and_a_short_comment_are_no_fault() -> None:
    file = io.BytesIO()
    PILImage.new("RGB", (8, 8), (200, 10, 10)).save(file, "JPEG")
    data = file.getvalue()
    assert open_picture(data[:2] + b"\xff" * 20 + data[2:]).format == "JPEG"
    assert open_picture(b"P6\n# drawn by hand\n1 1\n255\n\x01\x02\x03").format == "PPM"
    assert open_picture(b"P3\n1 1\n255\n1 2 3\n").format == "PPM"


def test_the_hash_of_a_strip_needs_no_table_of_its_length() -> None:
    strip = PILImage.new("RGB", (3_000_000, 1), (5, 6, 7))
    assert pixel_hash(strip) == 0
