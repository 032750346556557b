"""Every mode and depth that a file can have comes out in its true colours."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from image_fixtures import (
    BLACK,
    BLUE,
    RED,
    WHITE,
    Colour,
    encoded,
    flat,
    is_near,
    linear_grey_profile,
    png,
    profile_with_red_and_blue_exchanged,
    reference_folder,
    rgb_at,
    tiff,
    ycck_white_jpeg,
)
from PIL import Image as PILImage
from PIL import ImageCms

from clipsearch.images import open_picture
from clipsearch.images.colours import to_rgb

HALF_RED_ON_WHITE = (255, 127, 127)


def grey16(value: int, kind: str = "<u2") -> bytes:
    return np.full((16, 16), value, kind).tobytes()


def floats(low: float, high: float, here: float) -> bytes:
    values = np.full((16, 16), here, "<f4")
    values[0, 0], values[0, 1] = low, high
    return values.tobytes()


def float_tiff(low: float, high: float, here: float) -> bytes:
    return tiff(16, 16, floats(low, high, here), t258=32, t339=3)


def paletted(**options: Any) -> bytes:
    image = flat("P", 1)
    image.putpalette([*BLACK, *RED, *BLUE])
    return encoded(image, "PNG", **options)


GOLDEN: dict[str, tuple[bytes, Colour]] = {
    "1-bit white": (encoded(flat("1", 1), "PNG"), WHITE),
    "1-bit black": (encoded(flat("1", 0), "TIFF", compression="group4"), BLACK),
    "grey": (encoded(flat("L", 90), "PNG"), (90, 90, 90)),
    "grey with half alpha": (encoded(flat("LA", (0, 128)), "PNG"), (127, 127, 127)),
    "grey with one clear value": (encoded(flat("L", 7), "PNG", transparency=7), WHITE),
    "colour": (encoded(flat("RGB", RED), "PNG"), RED),
    "colour with one clear colour": (encoded(flat("RGB", RED), "PNG", transparency=RED), WHITE),
    "alpha, clear black": (encoded(flat("RGBA", (0, 0, 0, 0)), "PNG"), WHITE),
    "alpha, half red": (encoded(flat("RGBA", (255, 0, 0, 128)), "PNG"), HALF_RED_ON_WHITE),
    "alpha in WebP": (encoded(flat("RGBA", (255, 0, 0, 128)), "WEBP", lossless=True), HALF_RED_ON_WHITE),
    "alpha in AVIF": (encoded(flat("RGBA", (0, 0, 0, 0)), "AVIF"), WHITE),
    "palette": (paletted(), RED),
    "palette with one clear entry": (paletted(transparency=1), WHITE),
    "palette with another clear entry": (paletted(transparency=2), RED),
    "palette with alpha per entry": (paletted(transparency=bytes([255, 128, 255])), (252, 137, 137)),
    "GIF with a clear entry": (encoded(flat("P", 1), "GIF", transparency=1), WHITE),
    "16-bit grey PNG": (png(16, 16, 16, 0, grey16(100 * 257, ">u2")), (100, 100, 100)),
    "16-bit grey PNG, dark": (png(16, 16, 16, 0, grey16(200, ">u2")), (1, 1, 1)),
    "16-bit grey PNG, rounded": (png(16, 16, 16, 0, grey16(100 * 257 + 129, ">u2")), (101, 101, 101)),
    "16-bit grey PNG, clear": (png(16, 16, 16, 0, grey16(9, ">u2"), (b"tRNS", b"\0\x09")), WHITE),
    "16-bit colour PNG": (png(16, 16, 16, 2, struct.pack(">HHH", 65535, 0, 51400) * 256), (255, 0, 200)),
    "16-bit TIFF": (tiff(16, 16, grey16(51400), t258=16), (200, 200, 200)),
    "16-bit TIFF, big end first": (tiff(16, 16, grey16(51400, ">u2"), order=">", t258=16), (200, 200, 200)),
    "16-bit TIFF, white is zero": (tiff(16, 16, grey16(51400), t258=16, t262=0), (55, 55, 55)),
    "12 bits in 16": (tiff(16, 16, grey16(4095), t258=16), WHITE),
    "8 bits in 16": (tiff(16, 16, grey16(77), t258=16), (77, 77, 77)),
    "16-bit colour TIFF": (
        tiff(16, 16, struct.pack("<HHH", 65535, 0, 51400) * 256, t258=(16, 16, 16), t262=2, t277=3),
        (255, 0, 200),
    ),
    "32-bit integers": (encoded(flat("I", 51400), "TIFF"), (200, 200, 200)),
    "32-bit integers up to 255": (encoded(flat("I", 80), "TIFF"), (80, 80, 80)),
    "signed integers": (
        tiff(16, 16, np.array([-100] * 128 + [100] * 128, "<i2").tobytes(), t258=16, t339=2),
        WHITE,
    ),
    "16-bit PGM": (encoded(flat("I", 51400), "PPM"), (200, 200, 200)),
    "floats from 0 to 1": (float_tiff(0, 1, 0.5), (128, 128, 128)),
    "floats from 0 to 1, dark": (float_tiff(0, 0.25, 0.2), (51, 51, 51)),
    "floats of any range": (float_tiff(-300, 700, 200), (128, 128, 128)),
    "floats, not a number": (float_tiff(0, 1, float("nan")), BLACK),
    "floats, infinite": (float_tiff(3, 9, float("inf")), WHITE),
    "floats, all the same": (float_tiff(1e30, 1e30, 1e30), (128, 128, 128)),
    "PFM": (encoded(flat("F", 0.4), "PPM"), (102, 102, 102)),
    "inks in JPEG": (encoded(flat("CMYK", (255, 0, 0, 0)), "JPEG", quality=100), (0, 255, 255)),
    "inks in JPEG as luma and chroma": (ycck_white_jpeg(), WHITE),
    "inks in TIFF": (encoded(flat("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "lightness and opponents": (encoded(flat("LAB", (136, 128, 128)), "TIFF"), (128, 128, 128)),
    "luma and chroma": (encoded(flat("YCbCr", (76, 85, 255)), "TIFF"), (254, 0, 0)),
    "grey JPEG": (encoded(flat("L", 90), "JPEG"), (90, 90, 90)),
    "PCX": (encoded(flat("RGB", BLUE), "PCX"), BLUE),
    "BMP": (encoded(flat("RGB", BLUE), "BMP"), BLUE),
    "DIB": (encoded(flat("RGB", BLUE), "DIB"), BLUE),
    "PPM": (encoded(flat("RGB", BLUE), "PPM"), BLUE),
    "JPEG 2000": (encoded(flat("RGB", BLUE), "JPEG2000"), BLUE),
    "JPEG 2000 with alpha": (encoded(flat("RGBA", (*BLUE, 0)), "JPEG2000"), WHITE),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_a_file_comes_out_in_its_true_colour(case: str) -> None:
    data, expected = GOLDEN[case]
    opened = open_picture(data)
    assert opened.picture.mode == "RGB"
    assert is_near(rgb_at(opened.picture), expected, within=3), rgb_at(opened.picture)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("La", (60, 128), (187, 187, 187)),
        ("RGBa", (128, 0, 0, 128), HALF_RED_ON_WHITE),
        ("RGBX", (*RED, 0), RED),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("PA", (0, 0), WHITE),
        ("I;16B", 51400, (200, 200, 200)),
        ("F", 0.2, (51, 51, 51)),
    ],
)
def test_a_mode_that_no_file_here_has_is_converted_as_well(mode: str, colour: Any, expected: Colour) -> None:
    assert is_near(rgb_at(to_rgb(flat(mode, colour))), expected, within=2)


def test_a_ramp_of_16_bits_keeps_its_shades() -> None:
    ramp = np.linspace(0, 65535, 256).astype(">u2").tobytes() * 4
    shades = np.asarray(open_picture(png(256, 4, 16, 0, ramp)).picture)[0, :, 0]
    assert shades.tolist() == list(range(256))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_colour_profile_is_applied(file_format: str) -> None:
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    profile = profile_with_red_and_blue_exchanged()
    data = encoded(flat("RGB", RED), file_format, icc_profile=profile, **options)
    assert is_near(rgb_at(open_picture(data).picture), BLUE)


def test_a_colour_profile_is_applied_under_transparency_and_palettes() -> None:
    profile = profile_with_red_and_blue_exchanged()
    half = encoded(flat("RGBA", (255, 0, 0, 128)), "PNG", icc_profile=profile)
    assert is_near(rgb_at(open_picture(half).picture), (127, 127, 255))
    assert is_near(rgb_at(open_picture(paletted(icc_profile=profile)).picture), BLUE)


def test_a_profile_of_linear_greys_is_applied_to_greys() -> None:
    data = encoded(flat("L", 128), "PNG", icc_profile=linear_grey_profile())
    assert is_near(rgb_at(open_picture(data).picture), (188, 188, 188), within=2)


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert rgb_at(open_picture(encoded(flat("RGB", RED), "PNG", icc_profile=profile)).picture) == RED


@pytest.mark.parametrize(
    "profile",
    [b"no profile", b"\0" * 200, profile_with_red_and_blue_exchanged()[:300], linear_grey_profile()],
    ids=["words", "zeros", "cut short", "of another colour space"],
)
def test_a_profile_that_cannot_be_applied_is_ignored(profile: bytes) -> None:
    assert rgb_at(open_picture(encoded(flat("RGB", RED), "PNG", icc_profile=profile)).picture) == RED
    inks = encoded(flat("CMYK", (0, 255, 255, 0)), "TIFF", icc_profile=profile)
    assert rgb_at(open_picture(inks).picture) == (255, 0, 0)


def test_the_picture_carries_none_of_the_files_metadata() -> None:
    data = encoded(flat("RGB", RED), "PNG", icc_profile=profile_with_red_and_blue_exchanged(), exif=b"Exif\0\0II")
    picture = open_picture(data).picture
    assert picture.info == {}
    assert type(picture) is PILImage.Image


def test_real_odd_files_open_or_say_why_not() -> None:
    folder = reference_folder("odd")
    board = np.asarray(open_picture(folder / "chessboard_GRAY_U16.tif").picture)
    assert (board.min(), board.max()) == (0, 255)
    assert np.array_equal(board, np.asarray(open_picture(folder / "chessboard_GRAY_U16B.tif").picture))
    checker = np.asarray(open_picture(folder / "checker_bilevel.png").picture)
    assert sorted(set(checker.ravel().tolist())) == [0, 255]
    assert open_picture(folder / "multipage.tif").frames == 2
    assert open_picture(folder / "no_time_for_that_tiny.gif").frames == 24
