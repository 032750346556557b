"""Files open upright, by content, whole or reduced, and say what they know of themselves."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_fixtures import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    corners,
    encoded,
    exif_block,
    flat,
    is_near,
    one_file_of_each_format,
    photograph,
    quarters,
    reference_folder,
    turned,
)
from PIL import Image as PILImage

from clipsearch.encoder import Encoder
from clipsearch.errors import UnreadableImage
from clipsearch.images import open_picture, pixel_hash, pixel_hash_distance
from clipsearch.images.exif import parse_date

NAMES = {"jpeg 2000": "JPEG2000", "apng": "PNG", "mpo": "MPO", "ppm": "PPM"}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_whatever_its_orientation(orientation: int, file_format: str) -> None:
    stored = turned(quarters(), orientation)
    options = {"compression": "tiff_lzw"} if file_format == "TIFF" else {"quality": 95}
    opened = open_picture(encoded(stored, file_format, exif=exif_block(orientation), **options))
    assert (opened.width, opened.height) == opened.picture.size == (64, 32)
    for seen, drawn in zip(corners(opened.picture), (RED, GREEN, BLUE, YELLOW), strict=True):
        assert is_near(seen, drawn, within=40), (seen, drawn)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    assert open_picture(encoded(quarters(), "JPEG", exif=exif_block(orientation))).picture.size == (64, 32)


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_real_photographs_of_all_orientations_look_the_same(shape: str) -> None:
    folder = reference_folder("exif_orientation")
    first = open_picture(folder / f"{shape}_1.jpg", reduced_to=100)
    for number in range(2, 9):
        other = open_picture(folder / f"{shape}_{number}.jpg", reduced_to=100)
        assert (other.width, other.height) == (first.width, first.height)
        assert np.abs(thumb(other.picture) - thumb(first.picture)).mean() < 8
        assert pixel_hash_distance(first.pixel_hash, other.pixel_hash) <= 12


def thumb(picture: PILImage.Image) -> np.ndarray:
    return np.asarray(picture.resize((24, 24), PILImage.Resampling.BOX), np.float32)


def test_every_real_photograph_opens() -> None:
    files = sorted(reference_folder("photos").rglob("*.*"))
    assert len(files) > 50
    for file in files:
        opened = open_picture(file, reduced_to=64)
        assert opened.picture.mode == "RGB"
        assert min(opened.picture.size) >= min(128, opened.width, opened.height)


@pytest.mark.parametrize("name", one_file_of_each_format())
def test_every_format_opens_from_bytes_path_and_stream(name: str, tmp_path: Path) -> None:
    data = one_file_of_each_format()[name]
    file = tmp_path / "wrong.suffix.gif"
    file.write_bytes(data)
    from_bytes = open_picture(data)
    expected = NAMES.get(name, name.rsplit(maxsplit=1)[-1].upper())
    assert from_bytes.format == expected
    stream = io.BytesIO(data)
    stream.seek(7)
    for source in (file, str(file), stream):
        opened = open_picture(source)
        assert opened.format == expected, "the content decides, not the name"
        assert opened.picture.tobytes() == from_bytes.picture.tobytes()


def test_a_stream_that_cannot_seek_is_read_to_its_end() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert open_picture(Pipe(encoded(quarters(), "PNG"))).picture.size == (64, 32)
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(UnreadableImage, match="cannot be read"):
        open_picture(closed)


@pytest.mark.parametrize(("name", "frames"), [("gif", 2), ("animated webp", 2), ("apng", 2), ("mpo", 2), ("png", 1)])
def test_an_animation_gives_its_first_picture(name: str, frames: int) -> None:
    opened = open_picture(one_file_of_each_format()[name])
    assert opened.frames == frames
    assert is_near(corners(opened.picture)[3], YELLOW, within=40)


def test_a_first_frame_smaller_than_its_canvas_is_composed() -> None:
    small = encoded(flat("P", 1, (4, 4)), "GIF", transparency=0)
    on_canvas = small[:6] + (16).to_bytes(2, "little") * 2 + small[10:]
    assert open_picture(on_canvas).picture.size == (16, 16)


@pytest.mark.parametrize(
    ("size", "reduced_to", "expected"),
    [
        ((800, 600), 100, (400, 300)),
        ((800, 600), 75, (200, 150)),
        ((801, 600), 75, (201, 150)),
        ((800, 600), 301, (800, 600)),
        ((4000, 240), 100, (4000, 240)),
        ((50, 40), 224, (50, 40)),
    ],
)
def test_a_reduced_jpeg_keeps_twice_the_pixels_on_its_shorter_side(
    size: tuple[int, int], reduced_to: int, expected: tuple[int, int]
) -> None:
    data = encoded(photograph(*size), "JPEG", exif=exif_block(6))
    opened = open_picture(data, reduced_to=reduced_to)
    assert opened.picture.size == expected[::-1]
    assert (opened.width, opened.height) == size[::-1], "the original's size is told"


def test_a_reduced_decode_is_hardly_to_be_told_from_a_full_one() -> None:
    data = encoded(photograph(1800, 1350), "JPEG", quality=90)
    full, reduced = open_picture(data), open_picture(data, reduced_to=224)
    assert reduced.picture.size == (900, 675)
    exact = [
        np.asarray(opened.picture.resize((298, 224), PILImage.Resampling.BICUBIC), np.float32)
        for opened in (full, reduced)
    ]
    assert np.abs(exact[0] - exact[1]).mean() < 1.0
    assert pixel_hash_distance(full.pixel_hash, reduced.pixel_hash) <= 2


def test_a_reduced_decode_gives_the_embedding_of_a_full_one(shared_encoder: Encoder) -> None:
    files = sorted(reference_folder("photos").rglob("*.jpg"))[:8]
    originals = [open_picture(file).picture.resize((800, 600)) for file in files]
    data = [encoded(original, "JPEG", quality=90) for original in originals]
    full = [open_picture(one) for one in data]
    reduced = [open_picture(one, reduced_to=shared_encoder.model.image_size) for one in data]
    assert {one.picture.size for one in reduced} == {(100, 75)}, "an eighth, twice the model's 32 pixels and more"
    rows, others = (shared_encoder.encode_images([one.picture for one in opened]).vectors for opened in (full, reduced))
    cosines = rows @ others.T
    assert cosines.diagonal().min() >= 0.999
    # This model of random weights finds all photographs alike: it still tells every reduced one from the others.
    apart = (1 - cosines)[~np.eye(len(files), dtype=bool)]
    assert 1 - cosines.diagonal().min() < apart.min() / 20


def test_only_jpegs_are_reduced() -> None:
    assert open_picture(encoded(photograph(800, 600), "PNG"), reduced_to=20).picture.size == (800, 600)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_date_is_the_cameras(file_format: str) -> None:
    data = encoded(quarters(), file_format, exif=exif_block(taken="2021:07:14 18:30:05"))
    assert open_picture(data).taken_at == datetime(2021, 7, 14, 18, 30, 5)  # noqa: DTZ001 - a camera's clock


@pytest.mark.parametrize(
    "junk", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "2021:13:40 99:99:99", "yesterday", b"\xff\xfe"]
)
def test_a_date_that_is_none_is_no_date(junk: str | bytes) -> None:
    assert open_picture(encoded(quarters(), "JPEG", exif=exif_block(taken=junk))).taken_at is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-07-14T18:30:05+02:00", datetime(2021, 7, 14, 18, 30, 5)),  # noqa: DTZ001
        ("2021/07/14", datetime(2021, 7, 14)),  # noqa: DTZ001
        (b"2021:07:14 18:30\0", datetime(2021, 7, 14, 18, 30)),  # noqa: DTZ001
        ("2021:07:14 18:30:05\0\0", datetime(2021, 7, 14, 18, 30, 5)),  # noqa: DTZ001
        ("0001:01:01 00:00:00", None),
        ((2021, 7), None),
    ],
)
def test_other_ways_to_write_a_date_are_understood(text: object, expected: datetime | None) -> None:
    assert parse_date(text) == expected


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none()))
def test_anything_may_stand_where_a_date_should(value: object) -> None:
    assert parse_date(value) is None or isinstance(parse_date(value), datetime)


@pytest.mark.parametrize("block", [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"junk" * 9])
def test_junk_in_exif_costs_the_date_and_not_the_picture(block: bytes) -> None:
    for file_format in ("JPEG", "PNG", "WEBP"):
        opened = open_picture(encoded(quarters(), file_format, exif=block))
        assert opened.taken_at is None
        assert opened.picture.size == (64, 32)


def test_a_pixel_hash_knows_copies_and_tells_others_apart() -> None:
    pictures = [photograph(400, 300, seed) for seed in range(12)]
    hashes = [pixel_hash(picture) for picture in pictures]
    for picture, known in zip(pictures, hashes, strict=True):
        assert -(2**63) <= known < 2**63
        copy = open_picture(encoded(picture.resize((231, 170)), "JPEG", quality=40))
        assert pixel_hash_distance(copy.pixel_hash, known) <= 6
    others = [pixel_hash_distance(a, b) for a in hashes for b in hashes if a is not b]
    assert min(others) > 12
    assert pixel_hash(flat("RGB", RED)) == 0
    assert (pixel_hash_distance(-1, 0), pixel_hash_distance(-(2**63), 2**63 - 1)) == (64, 64)


def test_threads_decode_side_by_side_to_the_same_pixels() -> None:
    files = [*one_file_of_each_format().values()] * 6
    expected = [open_picture(data).picture.tobytes() for data in files]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda data: open_picture(data).picture.tobytes(), files))
    assert seen == expected


def test_warnings_of_the_decoder_are_neither_raised_nor_printed() -> None:
    program = "import sys; from clipsearch.images import open_picture; open_picture(sys.stdin.buffer.read())"
    junk = encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\xff\0\0\0\xff\xff\0\0")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        PILImage.open(io.BytesIO(junk)).getexif().get(274)
    assert told, "the file makes Pillow warn"
    for option in ("error", "always"):
        said = subprocess.run(
            [sys.executable, "-W", option, "-c", program],
            check=False,
            capture_output=True,
            input=junk,
            cwd=Path(__file__).parents[1],
        )
        assert (said.returncode, said.stderr) == (0, b"")


def test_libtiff_does_not_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(photograph(60, 40), "TIFF", compression="tiff_lzw")
    with pytest.raises(UnreadableImage):
        open_picture(data[:40] + bytes(400) + data[440:])
    assert capfd.readouterr() == ("", "")


def test_other_filters_put_up_later_do_not_let_the_decoder_warn() -> None:
    junk = encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\xff\0\0\0\xff\xff\0\0")
    with warnings.catch_warnings(record=True) as told:
        open_picture(junk)
        warnings.simplefilter("always")
        open_picture(junk)
    assert told == []


@pytest.mark.parametrize(
    ("head", "extra"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heif"),
        (b"II*\0\x10\0\0\0CR\x02\0" + b"\0" * 40, "raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "raw"),
        (b"FUJIFILMCCD-RAW 0201", "raw"),
    ],
)
def test_a_format_of_an_extra_names_the_extra(head: bytes, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnreadableImage, match=rf"pip install -e '.\[{extra}\]' in the clone") as caught:
        open_picture(head)
    assert caught.value.code == "unsupported_format"
