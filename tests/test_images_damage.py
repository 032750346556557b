"""Damaged, hostile and foreign files: each is a picture or an error with a reason, and nothing else comes out."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path

import pytest
from image_fixtures import (
    damaged,
    encoded,
    flat,
    huge_png,
    one_file_of_each_format,
    photograph,
    quarters,
    tiff,
)
from PIL import Image as PILImage

from clipsearch.errors import ClipSearchError, TooManyPixels, UnreadableImage, UnsupportedFormat
from clipsearch.images import make_thumbnail, open_picture
from clipsearch.images.hashing import cannot_be_read
from clipsearch.images.reasons import explain

FILES = one_file_of_each_format()
DAMAGED_OF_EACH = 18


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_a_picture_or_an_unreadable_image_with_a_reason(name: str) -> None:
    reasons = []
    for copy in damaged(FILES[name], DAMAGED_OF_EACH, seed=len(name)):
        try:
            opened = open_picture(copy, max_pixels=4_000_000)
        except UnreadableImage as error:
            reasons.append(error.message)
        else:
            assert opened.picture.mode == "RGB"
            assert opened.picture.getextrema()
    assert all(10 < len(reason) < 300 and "object at 0x" not in reason for reason in reasons)


def test_all_damaged_files_are_many() -> None:
    assert len(FILES) * DAMAGED_OF_EACH >= 200


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "JPEG2000", "PPM"])
def test_a_file_cut_in_half_is_said_to_be_cut_short_or_damaged(file_format: str) -> None:
    data = encoded(photograph(200, 150), file_format)
    with pytest.raises(UnreadableImage, match=r"cut short|damaged"):
        open_picture(data[: len(data) // 2])


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for source in (b"", tmp_path / "empty.jpg", io.BytesIO()):
        with pytest.raises(UnreadableImage, match="the file is empty"):
            open_picture(source)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><title>404</title>", "SVG or HTML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"8BPS\0\1" + b"\0" * 40, "Photoshop"),
        (encoded(quarters(), "ICO"), "icon"),
        (encoded(quarters(), "TGA"), "not an image of a known format"),
        (encoded(quarters(), "SGI"), "not an image of a known format"),
        (b"hello", "not an image of a known format"),
        (b"\0", "not an image of a known format"),
    ],
)
def test_a_file_of_another_kind_is_named_as_unsupported(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedFormat, match=words):
        open_picture(data)


def test_a_header_that_the_decoder_refuses_is_given_in_its_words() -> None:
    odd = tiff(4, 4, b"\0" * 128, t258=64, t339=3)
    with pytest.raises(UnreadableImage, match=r"TIFF header .*\(unknown pixel mode\)") as caught:
        open_picture(odd)
    assert not isinstance(caught.value, UnsupportedFormat)


def test_what_is_no_readable_file_is_an_unreadable_image(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nope.jpg", Path("/dev/zero"), tmp_path / ("n" * 300)):
        with pytest.raises(UnreadableImage, match="cannot be read"):
            open_picture(path)


@pytest.mark.parametrize(
    "bomb",
    [
        huge_png(100_000, 100_000),
        huge_png(2_000_000_000, 2_000_000_000),
        huge_png(10_000, 10_000),
        b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;",
        b"P6\n100000 100000\n255\n",
        b"P4\n9999999999 9999999999\n",
        tiff(70_000, 70_000, b"\0" * 64, t258=8),
        encoded(quarters(), "BMP").replace((64).to_bytes(4, "little"), (60_000).to_bytes(4, "little"), 1)[:18]
        + (60_000).to_bytes(4, "little") * 2
        + encoded(quarters(), "BMP")[26:],
        encoded(flat("RGB", 0, (8, 8)), "JPEG").replace(b"\0\x11\x08\0\x08\0\x08", b"\0\x11\x08\xff\xff\xff\xff"),
    ],
    ids=["png", "giant png", "png of 100 million", "gif", "ppm", "giant pbm", "tiff", "bmp", "jpeg"],
)
def test_a_bomb_is_refused_by_its_header_and_never_decoded(bomb: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(TooManyPixels, match="too many pixels"):
        open_picture(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_the_pixel_limit_is_exact_and_says_its_numbers() -> None:
    data = encoded(flat("RGB", 0, (100, 50)), "PNG")
    assert open_picture(data, max_pixels=5000).width == 100
    with pytest.raises(TooManyPixels) as caught:
        open_picture(data, max_pixels=4999)
    assert caught.value.details == {"width": 100, "height": 50, "max_pixels": 4999}
    assert caught.value.message == "the image has too many pixels: 100 x 50 is more than 4,999"


def test_pillows_own_guard_stays_up() -> None:
    open_picture(encoded(quarters(), "PNG"), max_pixels=10**12)
    assert PILImage.MAX_IMAGE_PIXELS is not None
    with pytest.raises(TooManyPixels):
        open_picture(huge_png(100_000, 100_000), max_pixels=10**12)


def test_a_text_that_inflates_without_end_does_not_fill_the_memory() -> None:
    text = b"Comment\0\0" + zlib.compress(b"A" * 200_000_000)
    chunk = len(text).to_bytes(4, "big") + b"zTXt" + text + zlib.crc32(b"zTXt" + text).to_bytes(4, "big")
    data = encoded(quarters(), "PNG")
    with pytest.raises(UnreadableImage):
        open_picture(data[:33] + chunk + data[33:])


def test_no_memory_is_a_reason_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("clipsearch.images.opening.to_rgb", exhausted)
    with pytest.raises(UnreadableImage, match="not enough memory"):
        open_picture(encoded(quarters(), "PNG"))


@pytest.mark.parametrize(
    "error",
    [
        OSError("broken data stream"),
        ValueError("bad"),
        RuntimeError("Failed to decode: Invalid image"),
        SyntaxError("broken PNG file"),
        EOFError("no more"),
        IndexError(),
        ZeroDivisionError("division by zero"),
        PILImage.DecompressionBombError("huge"),
        RecursionError("too deep"),
        OverflowError("too large"),
        OSError(5, "Input/output error"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_kind_of_error_of_a_decoder_becomes_an_unreadable_image(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", failing)
    with pytest.raises(UnreadableImage) as caught:
        open_picture(encoded(quarters(), "BMP"))
    assert caught.value.__cause__ is error
    own_words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    assert (own_words or type(error).__name__) in caught.value.message


def test_an_interrupt_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_picture(encoded(quarters(), "BMP"))


def test_a_thumbnail_of_a_damaged_file_fails_in_the_same_way() -> None:
    with pytest.raises(ClipSearchError, match="empty"):
        make_thumbnail(b"")


def test_a_reason_holds_nothing_that_cannot_be_read_or_stored(tmp_path: Path) -> None:
    hostile = [b"P6\n" + b"\0" * 40, b"P6\n" + b"\x01\x1b[31m\x7f" * 10 + b" 3 3 255\n", b"P6 3\n\x85" + b"\x00" * 30]
    hostile += [b"Pf\n" + b"\0\x02" * 20, b"P5 1" + b"\0" * 20 + b"\n1 255\n1"]
    for data in hostile:
        with pytest.raises(UnreadableImage) as caught:
            open_picture(data)
        assert caught.value.message.isprintable(), data
    with pytest.raises(UnreadableImage, match="�") as caught:
        open_picture(hostile[0])
    assert isinstance(explain(OSError("a\0b\u202e\ud800\n\tc"), "PPM"), UnreadableImage)
    assert explain(OSError("a\0b\u202e\ud800\n\tc"), "PPM").message == "the PPM data is damaged (a�b�� c)"
    assert cannot_be_read(OSError(5, "no\0t")).message == "the file cannot be read: no�t"
