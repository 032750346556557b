"""Thumbnails for the web and contact sheets of results."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from image_fixtures import BLUE, RED, YELLOW, corners, encoded, exif_block, is_near, photograph, quarters, turned
from PIL import Image as PILImage

from clipsearch.errors import InvalidInput, TooLarge, UnreadableImage
from clipsearch.images import SheetEntry, draw_contact_sheet, make_thumbnail, thumbnail_of, write_contact_sheet


def opened(data: bytes) -> PILImage.Image:
    image = PILImage.open(io.BytesIO(data))
    image.load()
    return image


def test_a_thumbnail_is_a_small_upright_jpeg_without_metadata() -> None:
    exif = exif_block(6, "2020:01:02 03:04:05")
    stored = turned(quarters(800, 400), 6)
    thumbnail = opened(make_thumbnail(encoded(stored, "JPEG", exif=exif, comment=b"mine", quality=95)))
    assert (thumbnail.format, thumbnail.mode, thumbnail.size) == ("JPEG", "RGB", (320, 160))
    assert is_near(corners(thumbnail)[3], YELLOW, within=30)
    assert not thumbnail.getexif()
    assert not {"exif", "comment", "icc_profile", "xmp"} & set(thumbnail.info)


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        ((1000, 500), 100, (100, 50)),
        ((500, 1000), 100, (50, 100)),
        ((60, 30), 100, (60, 30)),
        ((3000, 2), 100, (100, 1)),
    ],
)
def test_a_thumbnail_keeps_its_shape_and_is_never_enlarged(
    size: tuple[int, int], asked: int, expected: tuple[int, int]
) -> None:
    assert opened(make_thumbnail(encoded(quarters(*size), "PNG"), size=asked)).size == expected


def test_a_thumbnail_of_a_picture_leaves_it_as_it_was() -> None:
    picture = quarters(600, 300)
    before = picture.tobytes()
    assert opened(thumbnail_of(picture, size=64)).size == (64, 32)
    assert picture.tobytes() == before
    assert len(thumbnail_of(photograph(600, 400), quality=30)) < len(thumbnail_of(photograph(600, 400)))


def entries(count: int) -> list[SheetEntry]:
    data = encoded(quarters(), "PNG")
    return [SheetEntry(data, f"IMG_{number:04}.jpg", f"{0.3 - number / 100:.3f}") for number in range(count)]


def test_a_sheet_shows_every_picture_whole_in_a_cell_of_its_own() -> None:
    sheet = draw_contact_sheet(entries(7), columns=3, title="a red boat")
    taller = draw_contact_sheet(entries(10), columns=3, title="a red boat")
    assert sheet.mode == "RGB"
    assert taller.width == sheet.width
    assert taller.height > sheet.height
    colours = sheet.getcolors(maxcolors=1_000_000)
    assert colours is not None
    areas = {colour: count for count, colour in colours}
    assert areas[RED] > 7 * 5000
    assert abs(areas[RED] - areas[BLUE]) < 0.02 * areas[RED]


def test_a_missing_or_broken_picture_leaves_a_grey_tile(tmp_path: Path) -> None:
    broken = [SheetEntry(None, "gone.jpg", "0.2"), SheetEntry(b"junk", "x", ""), SheetEntry(tmp_path / "no", "", "")]
    sheet = draw_contact_sheet(broken, columns=3)
    assert sheet.getpixel((36 + 12 + 30, 36 + 12 + 30)) == (229, 231, 235)
    assert sheet.size == draw_contact_sheet(entries(3), columns=3).size


def test_strange_and_long_titles_are_drawn_all_the_same() -> None:
    odd = ["", "a\nb\x07c", "\ud800", "x" * 10_000, "日本語.jpg", "e\u0301\u202ecod.exe", "😀" * 50]
    sheet = draw_contact_sheet([SheetEntry(None, text, text) for text in odd], title="\n".join(odd))
    assert sheet.width > 1000


def test_no_results_make_a_sheet_that_says_so() -> None:
    assert draw_contact_sheet([]).getcolors(maxcolors=100_000) is not None


def test_a_sheet_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(TooLarge):
        draw_contact_sheet([SheetEntry(None, "", "")] * 500, columns=1)
    with pytest.raises(TooLarge):
        draw_contact_sheet([SheetEntry(None, "", "")] * 100, columns=100)
    with pytest.raises(InvalidInput):
        draw_contact_sheet(entries(1), columns=0)


@pytest.mark.parametrize(("suffix", "expected"), [(".jpg", "JPEG"), (".PNG", "PNG"), (".webp", "WEBP")])
def test_a_sheet_is_written_in_the_format_of_its_suffix(tmp_path: Path, suffix: str, expected: str) -> None:
    target = tmp_path / f"sheet{suffix}"
    target.write_bytes(b"an older sheet")
    write_contact_sheet(str(target), entries(2), columns=2, title="boats")
    assert opened(target.read_bytes()).format == expected
    assert [file.name for file in tmp_path.iterdir()] == [target.name], "nothing is left beside it"


def test_a_sheet_that_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"\.jpg, \.png or \.webp"):
        write_contact_sheet(tmp_path / "sheet.pdf", entries(1))
    with pytest.raises(InvalidInput, match="No such file or directory"):
        write_contact_sheet(tmp_path / "no folder" / "sheet.png", entries(1))
    target = tmp_path / "sheet.png"
    target.write_bytes(b"an older sheet")

    def failing(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    one = entries(1)
    monkeypatch.setattr("PIL.Image.Image.save", failing)
    with pytest.raises(InvalidInput, match="Input/output error"):
        write_contact_sheet(target, one)
    assert target.read_bytes() == b"an older sheet"
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]


def test_an_entry_with_too_many_pixels_is_not_readable_and_no_error() -> None:
    with pytest.raises(UnreadableImage):
        make_thumbnail(encoded(quarters(), "PNG"), max_pixels=10)
